package main

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/faultline-go/faultline/plugins/internal/nobody"
	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
	"github.com/faultline-go/faultline/sdk/wire"
)

// enough is how long what has to come is waited for, however busy the machine is.
const enough = 2 * time.Minute

// defaults is a configuration as the SDK decodes it from a block with only a URL.
func defaults(url string) config {
	return config{URL: url, Method: "GET", MaxBody: 1 << 20, HTTP2: true, Reuse: true}
}

func open(t testing.TB, c config) func(time.Duration) sdk.Sample {
	t.Helper()
	if err := c.check(); err != nil {
		t.Fatal(err)
	}
	once, done, err := httpProbe.Open(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(done)
	return func(timeout time.Duration) sdk.Sample {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		return once(ctx)
	}
}

func serve(t testing.TB, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// shop answers in every way that a test asks for by path.
func shop(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/ok":
		w.Header().Set("X-Version", "7")
		fmt.Fprint(w, "all is well")
	case "/echo":
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %s %s", r.Method, r.Host, r.Header.Get("X-Test"), r.UserAgent(), body)
	case "/moved":
		http.Redirect(w, r, "/ok", http.StatusFound)
	case "/round":
		http.Redirect(w, r, "/round", http.StatusFound)
	case "/busy":
		http.Error(w, "busy", http.StatusServiceUnavailable)
	case "/long":
		fmt.Fprint(w, strings.Repeat("ä", 4096))
	case "/binary":
		w.Write([]byte{'a', 0xff, 'b'})
	case "/cut":
		w.Header().Set("Content-Length", "100")
		fmt.Fprint(w, "short")
	case "/hang":
		<-r.Context().Done()
	case "/slam":
		panic(http.ErrAbortHandler)
	default:
		http.NotFound(w, r)
	}
}

func TestAnswers(t *testing.T) {
	s := serve(t, shop)
	for name, c := range map[string]struct {
		path   string
		change func(*config)
		status schema.Status
		error  string
		extra  map[string]any
	}{
		"good":             {"/ok", nil, schema.OK, "", map[string]any{"status": 200.0}},
		"not found":        {"/none", nil, schema.Failed, "status 404", map[string]any{"status": 404.0}},
		"busy":             {"/busy", nil, schema.Failed, "status 503", map[string]any{"status": 503.0}},
		"expected":         {"/busy", func(c *config) { c.ExpectStatus = []float64{200, 503} }, schema.OK, "", nil},
		"not expected":     {"/ok", func(c *config) { c.ExpectStatus = []float64{503} }, schema.Failed, "status 200", nil},
		"redirect":         {"/moved", nil, schema.OK, "", map[string]any{"status": 302.0}},
		"redirected":       {"/moved", func(c *config) { c.FollowRedirects = true }, schema.OK, "", map[string]any{"status": 200.0}},
		"round and round":  {"/round", func(c *config) { c.FollowRedirects = true }, schema.Failed, "too many redirects", nil},
		"body":             {"/ok", func(c *config) { c.ExpectBody = "is w.ll" }, schema.OK, "", nil},
		"other body":       {"/ok", func(c *config) { c.ExpectBody = "^is" }, schema.Failed, "another body than expected", map[string]any{"status": 200.0}},
		"captured":         {"/ok", func(c *config) { c.CaptureBody = true }, schema.OK, "", map[string]any{"status": 200.0, "body": "all is well"}},
		"captured binary":  {"/binary", func(c *config) { c.CaptureBody = true }, schema.OK, "", map[string]any{"body": "ab"}},
		"captured long":    {"/long", func(c *config) { c.CaptureBody = true }, schema.OK, "", map[string]any{"body": strings.Repeat("ä", 512)}},
		"captured bad":     {"/busy", func(c *config) { c.CaptureBody = true }, schema.Failed, "status 503", map[string]any{"body": "busy\n"}},
		"header":           {"/ok", func(c *config) { c.CaptureHeader = "x-version" }, schema.OK, "", map[string]any{"header": "7", "status": 200.0}},
		"no header":        {"/busy", func(c *config) { c.CaptureHeader = "x-version" }, schema.Failed, "status 503", map[string]any{"header": ""}},
		"beyond the limit": {"/long", func(c *config) { c.MaxBody, c.ExpectBody = 100, "ä{200}" }, schema.Failed, "another body than expected", nil},
		"limited":          {"/long", func(c *config) { c.MaxBody = 100 }, schema.OK, "", nil},
		"no body read":     {"/long", func(c *config) { c.MaxBody = 0 }, schema.OK, "", nil},
		"cut short":        {"/cut", nil, schema.Failed, "body cut short", map[string]any{"status": 200.0}},
		"slammed":          {"/slam", nil, schema.Failed, "connection closed without an answer", nil},
	} {
		conf := defaults(s.URL + c.path)
		if c.change != nil {
			c.change(&conf)
		}
		got := open(t, conf)(enough)
		if got.Status != c.status || got.Error != c.error {
			t.Errorf("%s: sample %+v", name, got)
		}
		for k, v := range c.extra {
			if got.Extra[k] != v {
				t.Errorf("%s: %s is %v, want %v", name, k, got.Extra[k], v)
			}
		}
	}
}

func TestRequest(t *testing.T) {
	s := serve(t, shop)
	c := defaults(s.URL + "/echo")
	c.Method, c.Body, c.CaptureBody = "POST", "hello", true
	c.Headers = map[string]string{"X-Test": "yes", "host": "shop.example.com"}
	measure := open(t, c)
	for range 3 {
		if got := measure(enough).Extra["body"]; got != "POST shop.example.com yes faultline/"+version+" hello" {
			t.Errorf("the server saw %q", got)
		}
	}
	c.Headers["User-Agent"] = "me"
	if got := open(t, c)(enough).Extra["body"]; got != "POST shop.example.com yes me hello" {
		t.Errorf("the server saw %q", got)
	}
}

func TestTimeout(t *testing.T) {
	s := serve(t, shop)
	if got := open(t, defaults(s.URL+"/hang"))(100 * time.Millisecond); got.Status != schema.Failed || got.Error != "timeout" {
		t.Errorf("sample %+v", got)
	}
}

func TestRefused(t *testing.T) {
	if got := open(t, defaults("http://"+nobody.Listens(t)))(enough); got.Status != schema.Failed || got.Error != "connection refused" || got.Extra != nil {
		t.Errorf("sample %+v", got)
	}
}

func TestNoSuchHost(t *testing.T) {
	got := open(t, defaults("http://no-such-host.invalid/"))(enough)
	if got.Status != schema.Failed || got.Error != "no such host" && got.Error != "name lookup failed" {
		t.Errorf("sample %+v", got)
	}
}

func TestStopped(t *testing.T) {
	s := serve(t, shop)
	once, done, err := httpProbe.Open(t.Context(), defaults(s.URL+"/ok"))
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := once(ctx); got.Status != schema.Missing {
		t.Errorf("sample %+v", got)
	}
}

func TestOwnLack(t *testing.T) {
	for _, e := range []error{syscall.EMFILE, syscall.EADDRNOTAVAIL} {
		if got := sampleOf(t.Context(), &net.OpError{Op: "dial", Err: e}); got.Status != schema.Missing {
			t.Errorf("%v: sample %+v", e, got)
		}
	}
}

func TestConnections(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*config)
		most   int64
		least  int64
	}{
		// A transport gives a connection up that is free before its sender has noticed: on a
		// busy machine, now and then.
		"reused":          {func(*config) {}, 4, 1},
		"not reused":      {func(c *config) { c.Reuse = false }, 10, 10},
		"captured":        {func(c *config) { c.CaptureBody = true }, 4, 1},
		"exactly the max": {func(c *config) { c.MaxBody = len("all is well") }, 4, 1},
		"body left":       {func(c *config) { c.MaxBody = 3 }, 10, 10},
	} {
		var opened atomic.Int64
		s := httptest.NewUnstartedServer(http.HandlerFunc(shop))
		s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				opened.Add(1)
			}
		}
		s.Start()
		conf := defaults(s.URL + "/ok")
		c.change(&conf)
		measure := open(t, conf)
		for range 10 {
			if got := measure(enough); got.Status != schema.OK {
				t.Errorf("%s: sample %+v", name, got)
			}
		}
		if n := opened.Load(); n < c.least || n > c.most {
			t.Errorf("%s: %d connections for 10 requests", name, n)
		}
		s.Close()
	}
}

func TestTLS(t *testing.T) {
	var proto atomic.Value
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { proto.Store(r.Proto) }))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		tls   *tlsConfig
		http2 bool
		want  string // protocol, or error
	}{
		"unknown authority": {nil, true, "certificate not trusted"},
		"known authority":   {&tlsConfig{CAFile: ca}, true, "HTTP/2.0"},
		"http 1":            {&tlsConfig{CAFile: ca}, false, "HTTP/1.1"},
		"skipped":           {&tlsConfig{InsecureSkipVerify: true}, true, "HTTP/2.0"},
		"right name":        {&tlsConfig{CAFile: ca, ServerName: "example.com"}, true, "HTTP/2.0"},
		"wrong name":        {&tlsConfig{CAFile: ca, ServerName: "other.example.org"}, true, "certificate not trusted"},
	} {
		conf := defaults(s.URL)
		conf.TLS, conf.HTTP2 = c.tls, c.http2
		got := open(t, conf)(enough)
		if got.Error != c.want && (got.Status != schema.OK || proto.Load() != c.want) {
			t.Errorf("%s: sample %+v, protocol %v", name, got, proto.Load())
		}
	}
	plain := serve(t, shop)
	conf := defaults(strings.Replace(plain.URL, "http:", "https:", 1))
	if got := open(t, conf)(enough); got.Error != "tls handshake failed" {
		t.Errorf("https to a plain server: sample %+v", got)
	}
	for name, c := range map[string]*tlsConfig{
		"no such file":   {CAFile: "/no/such/file"},
		"no certificate": {CAFile: os.Args[0]},
		"no key":         {CertFile: ca, KeyFile: ca},
	} {
		conf := defaults(s.URL)
		conf.TLS = c
		if _, _, err := httpProbe.Open(t.Context(), conf); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestRefusedConfigurations(t *testing.T) {
	for name, change := range map[string]func(*config){
		"no url":         func(c *config) { c.URL = "" },
		"scheme":         func(c *config) { c.URL = "ftp://example.com" },
		"host":           func(c *config) { c.URL = "http:///path" },
		"user":           func(c *config) { c.URL = "http://me:secret@example.com" },
		"port":           func(c *config) { c.URL = "http://me:secret@example.com:x/" },
		"method":         func(c *config) { c.Method = "GET IT" },
		"header":         func(c *config) { c.Headers = map[string]string{"a b": "c"} },
		"header value":   func(c *config) { c.Headers = map[string]string{"a": "b\r\nc: d"} },
		"capture header": func(c *config) { c.CaptureHeader = "a b" },
		"status":         func(c *config) { c.ExpectStatus = []float64{2} },
		"half a status":  func(c *config) { c.ExpectStatus = []float64{200.5} },
		"body":           func(c *config) { c.ExpectBody = "(" },
		"half a pair":    func(c *config) { c.TLS = &tlsConfig{CertFile: "x"} },
	} {
		c := defaults("http://example.com/")
		change(&c)
		if err := c.check(); err == nil {
			t.Errorf("%s: no error", name)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error shows a password: %v", name, err)
		}
	}
}

// The whole way at a thousand requests a second, as the engine gets it.
func TestStream(t *testing.T) {
	s := serve(t, shop)
	server, err := sdk.NewServer(plugin())
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(map[string]any{"url": s.URL + "/ok"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), enough)
	defer cancel()
	good := 0
	err = server.Probe(ctx, wire.Probe{Type: "http", Config: body, Interval: time.Millisecond, Timeout: 10 * time.Second, Start: time.Now()},
		func(b wire.Batch) error {
			for _, s := range b.Samples {
				if s.Status == schema.OK && s.Latency > 0 && s.Extra["status"] == 200.0 {
					good++
				}
			}
			if good >= 500 {
				cancel()
			}
			return nil
		})
	if good < 500 {
		t.Errorf("%d good samples: %v", good, err)
	}
}

// What a sample costs beside a bare round trip over the same kind of transport.
func BenchmarkMeasure(b *testing.B) {
	s := serve(b, shop)
	measure := open(b, defaults(s.URL+"/ok"))
	b.ReportAllocs()
	for b.Loop() {
		if got := measure(enough); got.Status != schema.OK {
			b.Fatalf("sample %+v", got)
		}
	}
}

func BenchmarkFloor(b *testing.B) {
	s := serve(b, shop)
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequest("GET", s.URL+"/ok", nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		ctx, cancel := context.WithTimeout(context.Background(), enough)
		answer, err := transport.RoundTrip(request.WithContext(ctx))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, answer.Body); err != nil {
			b.Fatal(err)
		}
		answer.Body.Close()
		cancel()
	}
}
