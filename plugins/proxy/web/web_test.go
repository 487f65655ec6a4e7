package web

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// before starts a layer before a server and listens for clients.
func before(t testing.TB, upstream string) (l *Layer, address string) {
	t.Helper()
	l = Start()
	at, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := at.Accept()
			if err != nil {
				return
			}
			l.Serve(c, func(ctx context.Context) (net.Conn, error) {
				var d net.Dialer
				return d.DialContext(ctx, "tcp", upstream)
			})
		}
	}()
	t.Cleanup(func() {
		at.Close()
		<-done
		l.Close()
	})
	return l, at.Addr().String()
}

// server answers over HTTP/1.1 and HTTP/2 and says what it was asked.
func server(t testing.TB) string {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-End")
		w.Header().Set("X-Asked", fmt.Sprintf("%s %s %s host=%s ua=%q xff=%q ae=%q", r.Proto, r.Method, r.RequestURI, r.Host,
			r.Header.Get("User-Agent"), r.Header.Get("X-Forwarded-For"), r.Header.Get("Accept-Encoding")))
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "you said %q", body)
		w.Header().Set("X-End", "yes")
	}))
	s.Config.Protocols = protocols(true, true)
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func client(t testing.TB, two bool) *http.Client {
	t.Helper()
	tr := &http.Transport{Protocols: protocols(!two, two), DisableCompression: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 3 * time.Minute}
}

// ask posts to a path.
func ask(c *http.Client, address, path string, header ...string) (*http.Response, string, error) {
	r, err := http.NewRequest(http.MethodPost, "http://"+address+path, strings.NewReader("hi"))
	if err != nil {
		return nil, "", err
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := c.Do(r)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

func add(t testing.TB, l *Layer, id string, f Fault) {
	t.Helper()
	if f.Percent == 0 {
		f.Percent = 100
	}
	if err := l.Add(id, f); err != nil {
		t.Fatal(err)
	}
}

// both runs a test over HTTP/1.1 and HTTP/2.
func both(t *testing.T, f func(t *testing.T, c *http.Client)) {
	t.Run("HTTP/1.1", func(t *testing.T) { f(t, client(t, false)) })
	t.Run("HTTP/2", func(t *testing.T) { f(t, client(t, true)) })
}

func TestRequestsPassAsTheyAre(t *testing.T) {
	upstream := server(t)
	_, address := before(t, upstream)
	both(t, func(t *testing.T, c *http.Client) {
		header := []string{"Host", "x", "X-Forwarded-For", "1.2.3.4", "User-Agent", "me"}
		got, body, err := ask(c, address, "/a%2Fb?q=1;2&q=%20", header...)
		if err != nil {
			t.Fatal(err)
		}
		want, plain, err := ask(c, upstream, "/a%2Fb?q=1;2&q=%20", header...)
		if err != nil {
			t.Fatal(err)
		}
		asked := strings.ReplaceAll(got.Header.Get("X-Asked"), address, upstream)
		if asked != want.Header.Get("X-Asked") || body != plain || got.Trailer.Get("X-End") != "yes" {
			t.Errorf("the server saw\n%s, body %s, trailer %v; without the proxy\n%s, body %s", asked, body, got.Trailer, want.Header.Get("X-Asked"), plain)
		}
		if a, b := headerNames(got), headerNames(want); !slices.Equal(a, b) {
			t.Errorf("headers %v, without the proxy %v", a, b)
		}
	})
}

func headerNames(r *http.Response) (out []string) {
	for name := range r.Header {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func TestUpgradePasses(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n")
		rw.Flush()
		line, _ := rw.ReadString('\n')
		fmt.Fprint(c, strings.ToUpper(line))
	}))
	defer s.Close()
	_, address := before(t, s.Listener.Addr().String())
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n")
	r := bufio.NewReader(c)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v", resp, err)
	}
	fmt.Fprintln(c, "quietly")
	if line, err := r.ReadString('\n'); line != "QUIETLY\n" {
		t.Errorf("%q, %v", line, err)
	}
}

func TestDelay(t *testing.T) {
	l, address := before(t, server(t))
	both(t, func(t *testing.T, c *http.Client) {
		add(t, l, "f", Fault{Effect: Delay{Delay: 100 * time.Millisecond}, Match: Match{Path: "/slow/*"}})
		at := time.Now()
		if _, _, err := ask(c, address, "/slow/one"); err != nil || time.Since(at) < 100*time.Millisecond {
			t.Errorf("took %s, %v", time.Since(at), err)
		}
		s, _ := l.Seen("f")
		if s.Requests != 1 || s.Hit != 1 || s.Acted != 1 || s.Typical < 100*time.Millisecond {
			t.Errorf("%+v", s)
		}
		add(t, l, "g", Fault{Effect: Delay{Delay: time.Hour}, Match: Match{Path: "/slow/*"}})
		answered := make(chan error, 1)
		go func() {
			_, _, err := ask(c, address, "/slow/two")
			answered <- err
		}()
		if _, _, err := ask(c, address, "/quick"); err != nil {
			t.Error(err)
		}
		for s, _ := l.Seen("g"); s.Hit == 0; s, _ = l.Seen("g") {
			<-time.After(time.Millisecond)
		}
		l.Remove("f")
		l.Remove("g")
		if err := <-answered; err != nil {
			t.Errorf("a request that was held back when the fault ended: %v", err)
		}
	})
}

func TestAbort(t *testing.T) {
	l, address := before(t, server(t))
	both(t, func(t *testing.T, c *http.Client) {
		add(t, l, "f", Fault{Effect: Abort{Status: 503, GRPC: -1, Message: "no"}, Match: Match{Header: map[string]string{"X-Who": "a*"}}, First: 2})
		for i, want := range []int{503, 503, 200} {
			r, body, err := ask(c, address, "/", "X-Who", "alice")
			if err != nil || r.StatusCode != want || want == 503 && body != "no\n" {
				t.Errorf("request %d: %v, %q, %v", i, r, body, err)
			}
		}
		if r, _, err := ask(c, address, "/", "X-Who", "bob"); err != nil || r.StatusCode != 200 {
			t.Errorf("%v, %v", r, err)
		}
		l.Remove("f")
		add(t, l, "f", Fault{Effect: Abort{GRPC: -1}})
		if r, _, err := ask(c, address, "/"); err == nil {
			t.Errorf("a request that is broken off was answered: %v", r.Status)
		}
		l.Remove("f")
		if r, _, err := ask(c, address, "/"); err != nil || r.StatusCode != 200 {
			t.Errorf("%v, %v", r, err)
		}
	})
}

func TestBody(t *testing.T) {
	l, address := before(t, server(t))
	text, five := "another", int64(5)
	both(t, func(t *testing.T, c *http.Client) {
		add(t, l, "f", Fault{Effect: Body{Replace: &text, ContentType: "text/x"}})
		r, body, err := ask(c, address, "/")
		if err != nil || body != text || r.Header.Get("Content-Type") != "text/x" || r.ContentLength != int64(len(text)) {
			t.Errorf("%v, %q, %v", r, body, err)
		}
		l.Remove("f")
		add(t, l, "f", Fault{Effect: Body{Truncate: &five}})
		if _, body, err := ask(c, address, "/"); err == nil || body != "you s" {
			t.Errorf("cut off after 5 bytes: %q, %v", body, err)
		}
		l.Remove("f")
		add(t, l, "f", Fault{Effect: Body{Corrupt: 100}, Seed: 7})
		_, body, err = ask(c, address, "/")
		if err != nil || len(body) != len(`you said "hi"`) {
			t.Fatalf("%q, %v", body, err)
		}
		for i := range body {
			if body[i] == `you said "hi"`[i] {
				t.Errorf("byte %d is not corrupted", i)
			}
		}
		if s, _ := l.Seen("f"); s.Acted != 1 {
			t.Errorf("%+v", s)
		}
		l.Remove("f")
	})
}

func TestGRPC(t *testing.T) {
	at, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	healthpb.RegisterHealthServer(s, health.NewServer())
	go s.Serve(at)
	defer s.Stop()
	l, address := before(t, at.Addr().String())
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDisableRetry())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	check := healthpb.NewHealthClient(conn)
	call := func() error {
		_, err := check.Check(t.Context(), &healthpb.HealthCheckRequest{})
		return err
	}
	if err := call(); err != nil {
		t.Fatal(err)
	}
	// A stream lives through the proxy and gets its messages as they come.
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	watch, err := check.Watch(ctx, &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if m, err := watch.Recv(); err != nil || m.Status != healthpb.HealthCheckResponse_SERVING {
		t.Fatalf("%v, %v", m, err)
	}
	// On a connection that lives.
	add(t, l, "f", Fault{Effect: Abort{GRPC: int(codes.ResourceExhausted), Message: "voll: 100 % ü"}, Match: Match{Path: "/grpc.health.v1.Health/Check"}})
	if got := status.Convert(call()); got.Code() != codes.ResourceExhausted || got.Message() != "voll: 100 % ü" {
		t.Errorf("%v", got)
	}
	l.Remove("f")
	add(t, l, "f", Fault{Effect: Abort{GRPC: -1}})
	if got := status.Code(call()); got != codes.Internal && got != codes.Unavailable && got != codes.Unknown {
		t.Errorf("a call that is broken off ends with %v", got)
	}
	l.Remove("f")
	if err := call(); err != nil {
		t.Error(err)
	}
}

// A server that is not there looks to clients as it does without the proxy: no answer.
func TestServerThatIsNotThere(t *testing.T) {
	l := Start()
	defer l.Close()
	ours, theirs := net.Pipe()
	defer ours.Close()
	go l.Serve(theirs, func(context.Context) (net.Conn, error) { return nil, errors.New("nobody there") })
	go fmt.Fprint(ours, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if answer, err := io.ReadAll(ours); len(answer) > 0 {
		t.Errorf("%q, %v", answer, err)
	}
}

func TestMatch(t *testing.T) {
	r := httptest.NewRequest("PUT", "http://shop.example.com:8080/cart/1/items", nil)
	r.Header.Add("X-A", "one")
	r.Header.Add("X-A", "two")
	for _, c := range []struct {
		m    Match
		fits bool
	}{
		{Match{}, true},
		{Match{Method: "put"}, true},
		{Match{Method: "GET"}, false},
		{Match{Path: "/cart/*"}, true},
		{Match{Path: "/cart/*/items"}, true},
		{Match{Path: "/cart"}, false},
		{Match{Path: "*art*it*"}, true},
		{Match{Path: "*x*"}, false},
		{Match{Host: "SHOP.example.com"}, true},
		{Match{Host: "shop.example.com:8080"}, true},
		{Match{Host: "*.example.org"}, false},
		{Match{Header: map[string]string{"x-a": "two"}}, true},
		{Match{Header: map[string]string{"x-a": "t*", "x-b": "*"}}, false},
		{Match{Method: "PUT", Path: "/other"}, false},
	} {
		if got := c.m.fits(r); got != c.fits {
			t.Errorf("%+v fits: %v", c.m, got)
		}
	}
}

func TestShareOfRequests(t *testing.T) {
	hits := func(seed uint64) (out []bool) {
		a := &active{Fault: Fault{Percent: 30, Seed: seed}}
		for range 2000 {
			out = append(out, a.strikes() != nil)
		}
		return out
	}
	one := hits(1)
	if !slices.Equal(one, hits(1)) || slices.Equal(one, hits(2)) {
		t.Error("the seed does not decide which requests are hit")
	}
	n := 0
	for _, hit := range one {
		if hit {
			n++
		}
	}
	if n < 500 || n > 700 { // 600 expected, standard deviation 20
		t.Errorf("30 %% of 2000 requests are %d", n)
	}
}
