//go:build linux

package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"

	"github.com/faultline-go/faultline/plugins/internal/nft"
	"github.com/faultline-go/faultline/plugins/net/hold"
	"github.com/faultline-go/faultline/plugins/net/nettest"
	"github.com/faultline-go/faultline/sdk/plugintest"
	"github.com/faultline-go/faultline/sdk/schema"
)

func TestMain(m *testing.M) {
	hold.ServeIfChild()
	plugintest.Main(leakChecked{m}, plugin())
}

// leakChecked fails a test run that leaves goroutines behind.
type leakChecked struct{ *testing.M }

func (m leakChecked) Run() int {
	code := m.M.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}

// wires are targets of one sort: the interface of one end of a wire, with somebody at the
// other end who answers.
type wires struct {
	mu  sync.Mutex
	all map[string]strand // by target id
}

type strand struct {
	nettest.Pair
	echo netip.AddrPort
}

func newWires() *wires { return &wires{all: map[string]strand{}} }

// target makes a wire and returns its near end.
func (w *wires) target(t testing.TB) schema.Candidate {
	t.Helper()
	return w.add(t, nettest.NewPair(t))
}

func (w *wires) add(t testing.TB, p nettest.Pair) schema.Candidate {
	t.Helper()
	echo := p.There.Echo(t, netip.AddrPortFrom(p.There.IP, 0))
	found, err := discover(t.Context(), match{Name: nettest.Device, Namespace: p.Here.Name})
	if err != nil || len(found) != 1 {
		t.Fatalf("found %+v, %v", found, err)
	}
	c := found[0]
	p.There.NameServer(t, p.Here)
	c.Kind, c.Interfaces = interfaces.Type, interfaces.Interfaces
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all[c.ID] = strand{p, echo}
	return c
}

func (w *wires) of(c schema.Candidate) strand {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all[c.ID]
}

func (w *wires) destroy(t testing.TB, c schema.Candidate) { nettest.Remove(t, w.of(c).Here.Path) }
func (w *wires) replace(t testing.TB, c schema.Candidate) { w.add(t, w.of(c).Again(t)) }

// cut says whether not one of some packets comes back. A busy machine may be late by itself:
// the second time they are waited for longer.
func (w *wires) cut(c schema.Candidate) (bool, error) {
	x := w.of(c)
	for _, wait := range []time.Duration{300 * time.Millisecond, 2 * time.Second} {
		if took, _ := x.Here.Ping(nobody{}, x.echo, 4, 2*time.Millisecond, wait); len(took) > 0 {
			return false, nil
		}
	}
	return true, nil
}

// lossy says whether some packets are lost of many.
func (w *wires) lossy(c schema.Candidate) (bool, error) {
	const n = 60
	x := w.of(c)
	took, _ := x.Here.Ping(nobody{}, x.echo, n, time.Millisecond, 4*time.Second)
	return len(took) < n*9/10, nil
}

// slow says whether many packets are too much for the wire.
func (w *wires) slow(c schema.Candidate) (bool, error) {
	x := w.of(c)
	// The bucket and the queue hold about 70 of these packets, and let 30 a second pass: it
	// does not matter if a busy machine takes some seconds to send them.
	took, _ := x.Here.Ping(nobody{}, x.echo, 400, 100*time.Microsecond, 2*time.Second)
	return len(took) < 320, nil
}

// late says whether even the fastest packet takes longer than a delay of 600 ms lets it.
func (w *wires) late(c schema.Candidate) (bool, error) {
	x := w.of(c)
	for range 3 { // a busy machine is late once or twice
		took, _ := x.Here.Ping(nobody{}, x.echo, 20, time.Millisecond, 2*time.Second)
		if len(took) > 0 && took[0] <= 500*time.Millisecond {
			return false, nil
		}
	}
	return true, nil
}

// doubled says whether packets come back more than once.
func (w *wires) doubled(c schema.Candidate) (bool, error) {
	x := w.of(c)
	took, answers := x.Here.Ping(nobody{}, x.echo, 20, time.Millisecond, 2*time.Second)
	return answers > len(took), nil
}

// mixed says whether several packets that were delayed by 800 ms were overtaken. A machine
// that is slow does one or the other, and two processors may turn a pair over.
func (w *wires) mixed(c schema.Candidate) (bool, error) {
	x := w.of(c)
	return x.Here.Overtaken(nobody{}, x.echo, 20, time.Millisecond, 2*time.Second, 800*time.Millisecond) > 2, nil
}

// liedTo says whether a name does not exist that does.
func (w *wires) liedTo(c schema.Candidate) (bool, error) {
	x := w.of(c)
	// A question that is under way when somebody is killed may stay without an answer.
	_, err := x.Here.Resolve(x.There.IP, "", "db.example.com", 20*time.Second)
	var not *net.DNSError
	return errors.As(err, &not) && not.IsNotFound, nil
}

// nobody is a test that nothing goes wrong in.
type nobody struct{ testing.TB }

func (nobody) Helper()          {}
func (nobody) Cleanup(func())   {}
func (nobody) Fatal(all ...any) { panic(fmt.Sprint(all...)) }

// state is what faults must leave as it was: tables, interfaces and queues.
func (w *wires) state(c schema.Candidate) (string, error) {
	var out []string
	err := w.of(c).Here.Do(func() error {
		conn, err := nft.Dial()
		if err != nil {
			return err
		}
		defer conn.Close()
		tables, err := conn.Tables("")
		if err != nil {
			return err
		}
		out = append(out, fmt.Sprint("tables ", tables))
		links, err := netlink.LinkList()
		if err != nil {
			return err
		}
		for _, l := range links {
			queues, err := netlink.QdiscList(l)
			if err != nil {
				return err
			}
			out = append(out, l.Attrs().Name, fmt.Sprint(l.Attrs().Flags))
			for _, q := range queues {
				out = append(out, q.Type(), fmt.Sprintf("%x", q.Attrs().Handle))
			}
		}
		return nil
	})
	return strings.Join(out, " "), err
}

// sameButMark compares undo records: each has a mark of its own.
func sameButMark(a, b []byte) bool {
	strip := func(raw []byte) string {
		before, after, _ := strings.Cut(string(raw), `"mark":"`)
		return before + after[12:]
	}
	return strip(a) == strip(b)
}

// architecture is the processor that the Docker engine of a test runs on: this one.
const architecture = runtime.GOARCH
