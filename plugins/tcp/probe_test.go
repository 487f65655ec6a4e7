package main

import (
	"context"
	"encoding/json"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/plugins/internal/nobody"
	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
	"github.com/faultline-go/faultline/sdk/wire"
)

// patience is how long what has to come is waited for, however busy the machine is.
const patience = 2 * time.Minute

func measure(t *testing.T, address string, timeout time.Duration) sdk.Sample {
	t.Helper()
	c := config{Address: address}
	if err := tcpProbe.Check(c); err != nil {
		t.Fatal(err)
	}
	once, _, err := tcpProbe.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	return once(ctx)
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestAccepted(t *testing.T) {
	if s := measure(t, listen(t).Addr().String(), patience); s.Status != schema.OK {
		t.Errorf("sample %+v", s)
	}
}

func TestRefused(t *testing.T) {
	if s := measure(t, nobody.Listens(t), patience); s.Status != schema.Failed || s.Error != "connection refused" {
		t.Errorf("sample %+v", s)
	}
}

// A port whose queue is full drops what comes: nobody answers.
func TestTimeout(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	at, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: at.(*unix.SockaddrInet4).Port}).String()
	for range 4 { // fill the queue
		if c, err := net.DialTimeout("tcp", address, 100*time.Millisecond); err == nil {
			defer c.Close()
		}
	}
	if s := measure(t, address, 100*time.Millisecond); s.Status != schema.Failed || s.Error != "timeout" {
		t.Errorf("sample %+v", s)
	}
}

func TestNoSuchHost(t *testing.T) {
	s := measure(t, "no-such-host.invalid:80", patience)
	if s.Status != schema.Failed || s.Error != "no such host" && s.Error != "name lookup failed" {
		t.Errorf("sample %+v", s)
	}
}

func TestStopped(t *testing.T) {
	once, _, err := tcpProbe.Open(t.Context(), config{Address: listen(t).Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if s := once(ctx); s.Status != schema.Missing {
		t.Errorf("sample %+v", s)
	}
}

func TestOwnLack(t *testing.T) {
	for _, e := range []error{syscall.EMFILE, syscall.EADDRNOTAVAIL} {
		if s := sampleOf(t.Context(), &net.OpError{Op: "dial", Err: e}); s.Status != schema.Missing {
			t.Errorf("%v: sample %+v", e, s)
		}
	}
}

func TestAddress(t *testing.T) {
	for _, bad := range []string{"", "host", "host:", ":80", "host:http", "host:0", "host:65536", "::1:80"} {
		if err := tcpProbe.Check(config{Address: bad}); err == nil {
			t.Errorf("%q: no error", bad)
		} else if !strings.Contains(err.Error(), "address") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// The whole way: a stream of samples, as the engine gets it.
func TestStream(t *testing.T) {
	server, err := sdk.NewServer(plugin())
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(map[string]any{"address": listen(t).Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	good := 0
	err = server.Probe(ctx, wire.Probe{Type: "tcp", Config: body, Interval: 5 * time.Millisecond, Timeout: 10 * time.Second, Start: time.Now()},
		func(b wire.Batch) error {
			for _, s := range b.Samples {
				if s.Status == schema.OK && s.Latency > 0 && s.Latency < 10 {
					good++
				}
			}
			if good >= 20 {
				cancel()
			}
			return nil
		})
	if good < 20 {
		t.Errorf("%d good samples: %v", good, err)
	}
}
