//go:build linux

package nettest

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/faultline-go/faultline/plugins/internal/netns"
)

// NameServer answers every question for an address with the host's own, on port 53, until
// the test ends. From is the host that asks it: its file resolv.conf names the server.
func (h Host) NameServer(t testing.TB, from Host) {
	t.Helper()
	c := h.Listen(t, netip.AddrPortFrom(h.IP, 53))
	done := make(chan struct{})
	t.Cleanup(func() { c.Close(); <-done })
	go func() {
		defer close(done)
		buffer := make([]byte, 1500)
		for {
			n, asker, err := c.ReadFromUDPAddrPort(buffer)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				continue
			}
			if answer, err := h.name(buffer[:n]); err == nil {
				_, _ = c.WriteToUDPAddrPort(answer, asker)
			}
		}
	}()
	dir := filepath.Join("/etc/netns", from.Name)
	must(t, os.MkdirAll(dir, 0o755))
	t.Cleanup(func() {
		os.RemoveAll(dir)
		_ = os.Remove(filepath.Dir(dir)) // in vain while others use it
	})
	must(t, os.WriteFile(filepath.Join(dir, "resolv.conf"), []byte("nameserver "+h.IP.String()+"\n"), 0o644))
}

func (h Host) name(question []byte) ([]byte, error) {
	var p dnsmessage.Parser
	head, err := p.Start(question)
	if err != nil {
		return nil, err
	}
	q, err := p.Question()
	if err != nil {
		return nil, err
	}
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: head.ID, Response: true, RecursionDesired: true, RecursionAvailable: true})
	err = errors.Join(b.StartQuestions(), b.Question(q), b.StartAnswers())
	if q.Type == dnsmessage.TypeA {
		err = errors.Join(err, b.AResource(dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class}, dnsmessage.AResource{A: h.IP.As4()}))
	}
	answer, err2 := b.Finish()
	return answer, errors.Join(err, err2)
}

// Resolve asks a name server from within the host.
func (h Host) Resolve(server netip.Addr, network, name string, within time.Duration) ([]netip.Addr, error) {
	r := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, asked, _ string) (c net.Conn, err error) {
		if network != "" {
			asked = network
		}
		// Opened for itself: the resolver may still dial when nobody waits for the answer
		// any more, and the host's own is closed then.
		n, err := netns.At(h.Path)
		if err != nil {
			return nil, err
		}
		defer n.Close()
		err = n.Do(func() (err error) {
			c, err = new(net.Dialer).DialContext(ctx, asked, netip.AddrPortFrom(server, 53).String())
			return err
		})
		return c, err
	}}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	return r.LookupNetIP(ctx, "ip4", name+".")
}
