//go:build linux

package nettest

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Listen opens a UDP socket in the host, closed with the test.
func (h Host) Listen(t testing.TB, at netip.AddrPort) *net.UDPConn {
	t.Helper()
	var c *net.UDPConn
	must(t, h.Do(func() (err error) {
		c, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
		return err
	}))
	t.Cleanup(func() { c.Close() })
	must(t, haveRoom(c))
	return c
}

// haveRoom lets a socket keep thousands of datagrams. Usually that is some hundreds, and a
// reader that a busy machine keeps waiting loses others: nobody but the fault may.
func haveRoom(c *net.UDPConn) error {
	const bytes = 16 << 20
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, bytes)
	})
	return errors.Join(err, failed)
}

// Echo sends every datagram back to where it came from, until the test ends.
func (h Host) Echo(t testing.TB, at netip.AddrPort) netip.AddrPort {
	t.Helper()
	c := h.Listen(t, at)
	done := make(chan struct{})
	t.Cleanup(func() { c.Close(); <-done })
	go func() {
		defer close(done)
		buffer := make([]byte, 64<<10)
		for {
			n, from, err := c.ReadFromUDPAddrPort(buffer)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				_, _ = c.WriteToUDPAddrPort(buffer[:n], from) // refused answers are the test's business
			}
		}
	}()
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// Ping sends n datagrams to an Echo, one every pause, and returns how long the answers
// took, the shortest first, and how many there were in all, later ones and copies
// included. It waits wait for the last.
func (h Host) Ping(t testing.TB, to netip.AddrPort, n int, pause, wait time.Duration) (took []time.Duration, answers int) {
	t.Helper()
	return h.ping(t, to, n, pause, wait, 20*time.Millisecond)
}

// Copies is a Ping that waits as long for copies as for the answers.
func (h Host) Copies(t testing.TB, to netip.AddrPort, n int, pause, wait time.Duration) (took []time.Duration, answers int) {
	t.Helper()
	return h.ping(t, to, n, pause, wait, wait)
}

func (h Host) ping(t testing.TB, to netip.AddrPort, n int, pause, wait, copies time.Duration) (took []time.Duration, answers int) {
	t.Helper()
	sent, seen, answers := h.pings(t, to, n, pause, wait, copies)
	for i, at := range seen {
		took = append(took, at.Sub(sent[i]))
	}
	slices.Sort(took)
	return took, answers
}

// Overtaken counts those of n datagrams that took least or longer, and behind which a later
// one came back earlier.
func (h Host) Overtaken(t testing.TB, to netip.AddrPort, n int, pause, wait, least time.Duration) (count int) {
	t.Helper()
	sent, seen, _ := h.pings(t, to, n, pause, wait, 0)
	var first time.Time // of those that were sent later
	for i := n - 1; i >= 0; i-- {
		at, ok := seen[uint32(i)]
		if !ok {
			continue
		}
		if !first.IsZero() && at.After(first) && at.Sub(sent[i]) >= least {
			count++
		}
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return count
}

// pings sends datagrams, and says when each was sent and first came back. When all have, it
// waits for their copies.
func (h Host) pings(t testing.TB, to netip.AddrPort, n int, pause, wait, copies time.Duration) (sent []time.Time, seen map[uint32]time.Time, answers int) {
	t.Helper()
	c := h.Listen(t, netip.AddrPortFrom(unspecified(to.Addr()), 0))
	defer c.Close()
	sent = make([]time.Time, n)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(max(pause, time.Microsecond))
		defer tick.Stop()
		for i := range n {
			sent[i] = time.Now()
			// A packet filter's drop may come back as an error of the sender's.
			_, _ = c.WriteToUDPAddrPort(binary.BigEndian.AppendUint32(nil, uint32(i)), to)
			<-tick.C
		}
	}()
	buffer := make([]byte, 64)
	seen = map[uint32]time.Time{}
	for {
		deadline := time.Now().Add(wait)
		select {
		case <-done:
		default:
			deadline = deadline.Add(time.Duration(n) * pause)
		}
		if len(seen) == n { // only copies can come
			deadline = time.Now().Add(copies)
		}
		must(t, c.SetReadDeadline(deadline))
		size, _, err := c.ReadFromUDPAddrPort(buffer)
		at := time.Now()
		var late net.Error
		if errors.As(err, &late) && late.Timeout() {
			break
		}
		if err != nil || size < 4 {
			continue // somebody answered that nobody is there
		}
		answers++
		i := binary.BigEndian.Uint32(buffer)
		if _, again := seen[i]; !again && int(i) < n {
			seen[i] = at
		}
	}
	<-done
	return sent, seen, answers
}

func unspecified(like netip.Addr) netip.Addr {
	if like.Is6() {
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}

// Serve accepts TCP connections until the test ends, and hands each to handle.
func (h Host) Serve(t testing.TB, at netip.AddrPort, handle func(net.Conn)) netip.AddrPort {
	t.Helper()
	var l net.Listener
	must(t, h.Do(func() (err error) {
		l, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
		return err
	}))
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				handle(c)
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// Dial opens a TCP connection from the host.
func (h Host) Dial(to netip.AddrPort, within time.Duration) (c net.Conn, err error) {
	err = h.Do(func() (err error) {
		// With one address given there is nothing that another goroutine would try.
		d := net.Dialer{Timeout: within}
		c, err = d.DialContext(context.Background(), "tcp", to.String())
		return err
	})
	return c, err
}

// Reads a stream for that long, and returns the bytes a second.
func Rate(c net.Conn, during time.Duration) float64 {
	began := time.Now()
	_ = c.SetReadDeadline(began.Add(during))
	n, _ := io.Copy(io.Discard, c)
	return float64(n) / time.Since(began).Seconds()
}

// Flood writes until the connection ends.
func Flood(c net.Conn) {
	block := make([]byte, 32<<10)
	for {
		if _, err := c.Write(block); err != nil {
			return
		}
	}
}

// Median of durations in order; the last resort of a test whose packets are all lost.
func Median(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return -1
	}
	return all[len(all)/2]
}
