package install

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// take is the archive of a source.
func take(t testing.TB, s Source, place string) (string, error) {
	t.Helper()
	to, err := os.CreateTemp(t.TempDir(), "archive")
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	if err := s.Archive(t.Context(), lamp, Archive{URL: place}, to); err != nil {
		return "", err
	}
	text, err := os.ReadFile(to.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(text), nil
}

// serve is a web server, with a certificate of its own authority, and the mirror there.
func serve(t *testing.T, h http.Handler) (*httptest.Server, *web) {
	t.Helper()
	s := httptest.NewTLSServer(h)
	t.Cleanup(s.Close)
	base, err := url.Parse(s.URL + "/mirror")
	if err != nil {
		t.Fatal(err)
	}
	w := newWeb(base, "faultline/test")
	w.pause = time.Millisecond
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	w.client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: roots}
	t.Cleanup(w.client.CloseIdleConnections)
	return s, w
}

// What a mirror has is the same in a folder and on a web server.
func TestSources(t *testing.T) {
	m := newMirror(t)
	by := newSigner(t, "acme")
	m.publish("1.2.0", &by, false)
	m.publish("1.3.0", nil, false)
	m.remove(ChecksumsName("lamp", "1.3.0"))
	_, w := serve(t, http.StripPrefix("/mirror/", http.FileServer(http.Dir(m.dir))))
	for name, s := range map[string]Source{"folder": folder{m.dir}, "web": w} {
		versions, err := s.Versions(t.Context(), lamp)
		slices.Sort(versions)
		if err != nil || !slices.Equal(versions, []string{"1.2.0", "1.3.0"}) {
			t.Errorf("%s: %v, %v", name, versions, err)
		}
		r, err := s.Release(t.Context(), lamp, "1.2.0")
		if err != nil || !slices.Equal(r.Protocols, []int{1, 2}) || len(r.Archives) != 2 || r.Checksums == nil || r.Signature == nil {
			t.Fatalf("%s: %+v, %v", name, r, err)
		}
		if text, err := take(t, s, r.Archives[arm].URL); err != nil || sumOf(text) != r.Archives[arm].SHA256 {
			t.Errorf("%s: %d bytes, %v", name, len(text), err)
		}
		if r, err := s.Release(t.Context(), lamp, "1.3.0"); err != nil || r.Checksums != nil || r.Signature != nil {
			t.Errorf("%s: without checksums: %+v, %v", name, r, err)
		}

		other := lamp
		other.Namespace = "nobody"
		if _, err := s.Versions(t.Context(), other); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: a plugin that is not there: %v", name, err)
		}
		if _, err := s.Release(t.Context(), lamp, "9.0.0"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: a version that is not there: %v", name, err)
		}
		if _, err := take(t, s, "none.zip"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: an archive that is not there: %v", name, err)
		}
	}
}

func TestSourcesWrong(t *testing.T) {
	m := newMirror(t)
	m.write("index.json", []byte(`{"versions": [1]}`))
	m.write("1.0.0.json", []byte(`nonsense`))
	m.write("1.1.0.json", []byte(`{"archives": {"linux": {"url": "x"}}}`))
	m.write("1.2.0.json", make([]byte, maxIndex+1))
	_, w := serve(t, http.StripPrefix("/mirror/", http.FileServer(http.Dir(m.dir))))
	for name, s := range map[string]Source{"folder": folder{m.dir}, "web": w} {
		if v, err := s.Versions(t.Context(), lamp); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: a wrong index: %v, %v", name, v, err)
		}
		for version, want := range map[string]string{"1.0.0": "invalid character", "1.1.0": "no platform", "1.2.0": "are the most that is read"} {
			if r, err := s.Release(t.Context(), lamp, version); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %s: %+v, %v", name, version, r, err)
			}
		}
	}
}

func TestFolder(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	m := newMirror(t)
	m.write("index.json", nil)
	if err := os.Symlink(outside, m.path("link.zip")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(m.path("pipe.zip"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(m.path("folder.zip"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, place := range []string{"link.zip", "pipe.zip", "folder.zip", "../../../../outside", "/etc/passwd", "file:///etc/passwd", "https://example.com/x.zip", "//host/x.zip", "", "%zz"} {
		if _, err := take(t, folder{m.dir}, place); err == nil {
			t.Errorf("%q is opened", place)
		}
	}
	_, err := folder{filepath.Join(m.dir, "none")}.Versions(t.Context(), lamp)
	if err == nil || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "is it mounted?") {
		t.Errorf("a mirror that is not there: %v", err)
	}
}

func TestWeb(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") }))
	defer plain.Close()
	release := make(chan struct{})
	defer close(release)
	var agent string
	mux := http.NewServeMux()
	s, w := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		agent = r.UserAgent()
		mux.ServeHTTP(w, r)
	}))
	place := "/mirror/" + lamp.String() + "/"
	mux.Handle(place+"to-http", http.RedirectHandler(plain.URL, http.StatusFound))
	mux.Handle(place+"loop", http.RedirectHandler(place+"loop", http.StatusFound))
	mux.Handle(place+"once", http.RedirectHandler("/elsewhere/archive", http.StatusFound))
	mux.HandleFunc("/elsewhere/archive", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "archive") })
	mux.HandleFunc(place+"forbidden", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) })
	mux.HandleFunc(place+"huge", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(maxArchive+1))
	})
	mux.HandleFunc(place+"stalls", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "begins")
		w.(http.Flusher).Flush()
		<-release
	})
	mux.HandleFunc(place+"index.json", func(w http.ResponseWriter, _ *http.Request) { // of no stated length
		for {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	})
	w.stall = time.Minute

	fetch := func(place string) (string, error) { return take(t, w, place) }
	for _, ok := range []string{"once", "/elsewhere/archive", s.URL + "/elsewhere/archive"} {
		if text, err := fetch(ok); err != nil || text != "archive" {
			t.Errorf("%s: %q, %v", ok, text, err)
		}
	}
	if agent != "faultline/test" {
		t.Errorf("it calls itself %q", agent)
	}
	for place, want := range map[string]string{
		"to-http":         "away from HTTPS",
		plain.URL + "/x":  "away from HTTPS",
		"file:///etc/pas": "away from HTTPS",
		"loop":            "redirects more than 5 times",
		"forbidden":       "403 Forbidden",
		"huge":            "1073741825 bytes",
		"":                "no URL",
		"%zz":             "no URL",
	} {
		if text, err := fetch(place); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %q, %v; want %q", place, text, err, want)
		}
	}
	if _, err := w.Versions(t.Context(), lamp); err == nil || !strings.Contains(err.Error(), "more than 4194304 bytes") {
		t.Errorf("an endless index: %v", err)
	}
	w.stall = 50 * time.Millisecond
	if text, err := fetch("stalls"); err == nil || !strings.Contains(err.Error(), "nothing has come for 50ms") {
		t.Errorf("what stalls: %q, %v", text, err)
	}
	w.stall = time.Minute
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	if _, err := w.Versions(ctx, lamp); err == nil {
		t.Error("it goes on although it was stopped")
	}
	w.client.Transport.(*http.Transport).TLSClientConfig = nil
	w.client.CloseIdleConnections()
	if _, err := fetch("once"); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("nobody knows the certificate: %v", err)
	}
}

// A token in a mirror's URL goes to the mirror alone, and is shown nowhere.
func TestWebUser(t *testing.T) {
	var heard []string
	hear := func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		heard = append(heard, r.URL.Path+" "+user+":"+password)
		if strings.HasSuffix(r.URL.Path, "/forbidden") {
			http.Error(w, "no", http.StatusForbidden)
		}
	}
	other := httptest.NewTLSServer(http.HandlerFunc(hear))
	defer other.Close()
	place := "/mirror/" + lamp.String() + "/"
	s, plain := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == place+"moved" {
			// By another name: a client that follows to the same host keeps its credentials.
			http.Redirect(w, r, strings.Replace(other.URL, "127.0.0.1", "example.com", 1)+"/moved", http.StatusFound)
			return
		}
		hear(w, r)
	}))
	for _, user := range []*url.Userinfo{url.User("hunter2"), url.UserPassword("me", "hunter2")} {
		base := *plain.base
		base.User = user
		w := newWeb(&base, "")
		w.client.Transport.(*http.Transport).TLSClientConfig = plain.client.Transport.(*http.Transport).TLSClientConfig
		w.client.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, strings.Replace(address, "example.com", "127.0.0.1", 1))
		}
		heard = nil
		for _, to := range []string{"forbidden", "moved", other.URL + "/elsewhere", "http://127.0.0.1:1/", "%zz"} {
			if _, err := take(t, w, to); err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("a token is shown: %v", err)
			}
		}
		w.client.CloseIdleConnections()
		password, _ := user.Password()
		want := []string{place + "forbidden " + user.Username() + ":" + password, "/moved :", "/elsewhere :"}
		if !slices.Equal(heard, want) {
			t.Errorf("heard %q, want %q", heard, want)
		}
		if c := (&SourceConfig{URL: &base}); strings.Contains(c.Place(), "hunter2") || !strings.HasPrefix(c.Place(), s.URL) {
			t.Errorf("the source is called %s", c.Place())
		}
	}
}
