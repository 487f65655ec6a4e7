//go:build linux

package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// gate is a listening socket that can refuse connections without giving its port
// away: Linux keeps a socket bound that is shut down while it listens, answers
// connections to it with a reset, and lets it listen again. (A program that asks for
// SO_REUSEADDR could still take the port meanwhile; reopen then fails, and is tried
// again.)
type gate struct {
	listener *net.TCPListener

	mu     sync.Mutex
	open   chan struct{} // closed while it accepts
	closed bool
}

// backlog is how many connections may wait to be accepted; the kernel's own limit
// (net.core.somaxconn) is usually lower.
const backlog = 1 << 16

func newGate(l *net.TCPListener) *gate {
	g := &gate{listener: l, open: make(chan struct{})}
	close(g.open)
	return g
}

// Listen listens at an address for Start. A free port, for port 0, is bound by its
// number: the kernel takes one that it chose by itself back from a gate that is shut.
func Listen(ctx context.Context, address string) (*net.TCPListener, error) {
	var config net.ListenConfig
	for try := 1; ; try++ {
		l, err := config.Listen(ctx, "tcp", address)
		if err != nil {
			return nil, err
		}
		tcp := l.(*net.TCPListener)
		host, port, err := net.SplitHostPort(address)
		if err != nil || port != "0" && port != "" {
			return tcp, nil
		}
		chosen := tcp.Addr().(*net.TCPAddr).Port
		tcp.Close()
		l, err = config.Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(chosen)))
		if err == nil {
			return l.(*net.TCPListener), nil
		}
		if try == 10 { // somebody else was quicker each time
			return nil, err
		}
	}
}

// accept waits for the next connection; net.ErrClosed ends it.
func (g *gate) accept() (*net.TCPConn, error) {
	for {
		g.mu.Lock()
		open := g.open
		g.mu.Unlock()
		<-open
		c, err := g.listener.AcceptTCP()
		if errors.Is(err, unix.EINVAL) { // it was shut meanwhile
			continue
		}
		return c, err
	}
}

// shut refuses connections from now on, those too that nobody has accepted yet.
func (g *gate) shut() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || !g.isOpen() {
		return nil
	}
	g.open = make(chan struct{})
	if err := g.control(func(fd int) error { return unix.Shutdown(fd, unix.SHUT_RD) }); err != nil {
		close(g.open)
		return fmt.Errorf("refuse connections to %s: %w", g.listener.Addr(), err)
	}
	return nil
}

// reopen accepts connections again.
func (g *gate) reopen() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || g.isOpen() {
		return nil
	}
	if err := g.control(func(fd int) error { return unix.Listen(fd, backlog) }); err != nil {
		return fmt.Errorf("accept connections to %s again: %w", g.listener.Addr(), err)
	}
	close(g.open)
	return nil
}

// close ends the socket, and accept.
func (g *gate) close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil
	}
	g.closed = true
	if !g.isOpen() {
		close(g.open)
	}
	return g.listener.Close()
}

// isOpen is for callers that hold the mutex.
func (g *gate) isOpen() bool {
	select {
	case <-g.open:
		return true
	default:
		return false
	}
}

func (g *gate) control(f func(fd int) error) error {
	raw, err := g.listener.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = f(int(fd)) }); err != nil {
		return err
	}
	return failed
}
