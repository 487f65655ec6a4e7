//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/plugintest"
)

// shared are the proxies of the plugin that this test binary plays, here and in
// processes of its own.
var shared = newProxies()

func TestMain(m *testing.M) {
	if os.Getenv(hangEnv) != "" {
		holdAFault()
	}
	if os.Getenv(islandEnv) != "" {
		island()
	}
	plugintest.Main(m, plugin(shared))
}

// given are the addresses that freeAddress has returned.
var given sync.Map

// freeAddress finds an address that nobody has and nobody was given before, of a port
// that the kernel does not give to clients by itself.
func freeAddress(t testing.TB) string {
	t.Helper()
	for range 1000 {
		address := fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(12000))
		if _, taken := given.LoadOrStore(address, true); taken {
			continue
		}
		if taken, err := isTaken(address); err == nil && !taken {
			return address
		}
	}
	t.Fatal("no free port")
	return ""
}

// echoServer answers with what it gets until the test ends.
func echoServer(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[c] = true
			mu.Unlock()
			running.Go(func() {
				_, _ = io.Copy(c, c)
				c.Close()
				mu.Lock()
				delete(open, c)
				mu.Unlock()
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for c := range open {
			c.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	return l.Addr().String()
}

func webServer(t testing.TB) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello") }))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// listenerBefore is a target, with a fresh address, before a server.
func listenerBefore(upstream, protocol string) func(testing.TB) sdk.Candidate {
	return func(t testing.TB) sdk.Candidate {
		listen := freeAddress(t)
		t.Cleanup(func() {
			if err := shared.closeListener(listen); err != nil {
				t.Error(err)
			}
		})
		c := listener{Name: listen, Listen: listen, Upstream: upstream, Protocol: protocol}.candidate()
		c.Kind, c.Interfaces = listenerKind, []string{listenerKind}
		return c
	}
}

// enough is how long an answer is waited for that has to come, however busy the machine is.
const enough = 2 * time.Minute

func addressOf(c sdk.Candidate) string { return c.Attributes["listen"].(string) }

// nobody says whether an error is that of an address where nobody listens.
func nobody(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

// connect makes a connection, and deals with the answer when there is one.
func connect(c sdk.Candidate, use func(net.Conn) error) error {
	conn, err := net.DialTimeout("tcp", addressOf(c), enough)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(enough)); err != nil {
		return err
	}
	return use(conn)
}

// answer sends data to an echo server and waits for it.
func answer(size int) func(net.Conn) error {
	return func(c net.Conn) error {
		if _, err := c.Write(make([]byte, size)); err != nil {
			return err
		}
		_, err := io.ReadFull(c, make([]byte, size))
		return err
	}
}

// end closes its side and waits for the other.
func end(c net.Conn) error {
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, c)
	return err
}

// slow says that using a connection takes at least so long.
func slow(least time.Duration, use func(net.Conn) error) func(sdk.Candidate) (bool, error) {
	return slowly(least, func(c sdk.Candidate) error { return connect(c, use) })
}

// slowly says that something takes at least so long, and not only a few times: a busy
// machine can be slow by itself. A server that is not there is not slow.
func slowly(least time.Duration, use func(sdk.Candidate) error) func(sdk.Candidate) (bool, error) {
	return func(c sdk.Candidate) (bool, error) {
		for range 6 {
			at := time.Now()
			if err := use(c); nobody(err) {
				return false, nil
			} else if err != nil {
				return false, err
			}
			if time.Since(at) < least {
				return false, nil
			}
		}
		return true, nil
	}
}

// ends says that using a connection ends with such an error.
func ends(use func(net.Conn) error, is func(error) bool) func(sdk.Candidate) (bool, error) {
	return func(c sdk.Candidate) (bool, error) {
		err := connect(c, use)
		if err == nil || nobody(err) {
			return false, nil
		}
		if !is(err) {
			return false, err
		}
		return true, nil
	}
}

func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

func isEOF(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || isReset(err)
}

// isRefusing says that somebody has the address and refuses connections.
func isRefusing(c sdk.Candidate) (bool, error) {
	if err := connect(c, func(net.Conn) error { return nil }); !nobody(err) {
		return false, nil
	}
	return isTaken(addressOf(c))
}

// isTaken says whether somebody has bound an address, even without listening. It does
// not listen there itself: a process that is started just then would have the socket
// for a moment, and accept connections on it.
func isTaken(address string) (bool, error) {
	tcp, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return false, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	err = unix.Bind(fd, &unix.SockaddrInet4{Port: tcp.Port, Addr: [4]byte(tcp.IP.To4())})
	if errors.Is(err, unix.EADDRINUSE) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	// For as long as such a process has it, it is in nobody's way.
	return false, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
}

// get asks a web server through a proxy.
func get(c sdk.Candidate) (status int, body string, err error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: enough}
	r, err := client.Get("http://" + addressOf(c) + "/")
	if err != nil {
		return 0, "", err
	}
	defer r.Body.Close()
	raw, err := io.ReadAll(r.Body)
	return r.StatusCode, string(raw), err
}

// answers differently says that a web server's answer is not its own.
func answersOtherwise(c sdk.Candidate) (bool, error) {
	status, body, err := get(c)
	if nobody(err) {
		return false, nil
	}
	return status != 200 || body != "hello", err
}

func require(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
