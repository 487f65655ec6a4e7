package install

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"path"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// flaky answers each request for a file as the next of its answers does, and as the last one
// from then on.
type flaky struct {
	answers []http.HandlerFunc
	asked   int
}

func (f *flaky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := min(f.asked, len(f.answers)-1)
	f.asked++
	f.answers[n](w, r)
}

func status(code int, retryAfter string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		w.WriteHeader(code)
	}
}

func TestWebTriesAgain(t *testing.T) {
	whole := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "archive") }
	cut := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		fmt.Fprint(w, "something longer")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	chunk := func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "something longer")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	slam := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	files := map[string]struct {
		answers []http.HandlerFunc
		asked   int
		wrong   string // of the error
	}{
		"at-once":   {[]http.HandlerFunc{whole}, 1, ""},
		"busy":      {[]http.HandlerFunc{status(503, ""), status(500, ""), status(502, ""), whole}, 4, ""},
		"too-many":  {[]http.HandlerFunc{status(429, "1"), whole}, 2, ""},
		"cut":       {[]http.HandlerFunc{cut, whole}, 2, ""},
		"cut-chunk": {[]http.HandlerFunc{chunk, whole}, 2, ""},
		"down":      {[]http.HandlerFunc{status(503, "")}, 4, "503 Service Unavailable"},
		"always":    {[]http.HandlerFunc{cut}, 4, "unexpected EOF"},
		"tomorrow":  {[]http.HandlerFunc{status(503, "86400"), whole}, 1, "503 Service Unavailable, and asks to be left alone for 24h0m0s"},
		"none":      {[]http.HandlerFunc{status(404, ""), whole}, 1, "404 Not Found"},
		"gone":      {[]http.HandlerFunc{status(410, ""), whole}, 1, "410 Gone"},
		"forbidden": {[]http.HandlerFunc{status(403, "1"), whole}, 1, "403 Forbidden"},
		"unknown":   {[]http.HandlerFunc{status(501, ""), whole}, 1, "501 Not Implemented"},
	}
	mux := http.NewServeMux()
	served := map[string]*flaky{}
	for name, f := range files {
		served[name] = &flaky{answers: f.answers}
		mux.Handle("/mirror/"+lamp.String()+"/"+name, served[name])
	}
	_, w := serve(t, mux)
	for name, f := range files {
		began := time.Now()
		text, err := take(t, w, name)
		switch {
		case f.wrong == "" && (err != nil || text != "archive"):
			t.Errorf("%s: %q, %v", name, text, err)
		case f.wrong != "" && (err == nil || !strings.Contains(err.Error(), f.wrong)):
			t.Errorf("%s: %q, %v; want %q", name, text, err, f.wrong)
		}
		if served[name].asked != f.asked {
			t.Errorf("%s: asked for %d times, want %d", name, served[name].asked, f.asked)
		}
		if name == "too-many" && time.Since(began) < time.Second {
			t.Errorf("asked again after %s, and the server said 1 s", time.Since(began))
		}
		if missing := errors.Is(err, fs.ErrNotExist); missing != (name == "none" || name == "gone") {
			t.Errorf("%s: missing %v: %v", name, missing, err)
		}
		served[name].asked = 0
		get, err := w.get(t.Context(), path.Join(lamp.String(), name), 100)
		if (err == nil) != (f.wrong == "") || err == nil && string(get) != "archive" || served[name].asked != f.asked {
			t.Errorf("get %s: %q, %v, asked for %d times", name, get, err, served[name].asked)
		}
	}

	// A client takes an answer that is none for a connection that was closed meanwhile, and
	// may ask again by itself.
	slammed := &flaky{answers: []http.HandlerFunc{slam, slam, whole}}
	mux.Handle("/mirror/"+lamp.String()+"/slammed", slammed)
	if text, err := take(t, w, "slammed"); err != nil || text != "archive" {
		t.Errorf("hung up on: %q, %v", text, err)
	}
}

// What is wrong with the content will be wrong again.
func TestAWrongChecksumIsNotFetchedAgain(t *testing.T) {
	f := &flaky{answers: []http.HandlerFunc{func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "evil") }}}
	_, w := serve(t, f)
	_, err := download(t.Context(), w, &vouched{address: lamp}, Archive{URL: "x.zip"}, "x.zip", sumOf("good"), filepath.Join(t.TempDir(), "archive"))
	var untrusted *UntrustedError
	if !errors.As(err, &untrusted) || f.asked != 1 {
		t.Errorf("asked for %d times: %v", f.asked, err)
	}
}

func TestConnectionsAreTriedAgain(t *testing.T) {
	s, w := serve(t, http.NotFoundHandler())
	var dials atomic.Int32
	transport := w.client.Transport.(*http.Transport)
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		dials.Add(1)
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	known := transport.TLSClientConfig
	transport.TLSClientConfig = &tls.Config{} // which does not know the server's authority
	if _, err := take(t, w, "x"); err == nil || !strings.Contains(err.Error(), "certificate") || dials.Load() != 1 {
		t.Errorf("a wrong certificate: %d connections: %v", dials.Load(), err)
	}
	transport.TLSClientConfig = known
	s.Close()
	dials.Store(0)
	if _, err := take(t, w, "x"); err == nil || !strings.Contains(err.Error(), "refused") || dials.Load() != fetchTries {
		t.Errorf("nobody listens: %d connections: %v", dials.Load(), err)
	}
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	f := &flaky{answers: []http.HandlerFunc{status(503, "60")}}
	_, w := serve(t, f)
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("enough")
	// The answer is here, and is not looked at before the context has ended.
	transport := w.client.Transport
	w.client.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		defer cancel(stop)
		return transport.RoundTrip(r)
	})
	if _, err := w.get(ctx, "x", 10); !errors.Is(err, stop) || f.asked != 1 {
		t.Errorf("asked for %d times: %v", f.asked, err)
	}
	w.client.Transport = transport
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"": 0, "0": 0, "7": 7 * time.Second, "-1": 0, "soon": 0, "99999999999999999999": 0,
		"Mon, 30 Nov 2026 12:00:30 GMT": 30 * time.Second,
		"Mon, 30 Nov 2026 11:00:00 GMT": 0,
	} {
		if got := retryAfter(header, now); got != want {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
}
