//go:build linux

package impair

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/faultline-go/faultline/plugins/internal/vm"
	"github.com/faultline-go/faultline/plugins/net/nettest"
	"github.com/faultline-go/faultline/sdk/plugintest"
)

func mark() string {
	b := make([]byte, markLength/2)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}

// put puts an impairment into a host, wants that the kernel shows it, and returns how to
// take it out and how to look at it.
func put(t *testing.T, h nettest.Host, s Spec, ttl time.Duration) (out func(), look func() State) {
	t.Helper()
	var site *Site
	inside := func(f func() error) {
		t.Helper()
		if err := h.Do(f); err != nil {
			t.Fatal(err)
		}
	}
	inside(func() (err error) { site, err = Open(false); return err })
	t.Cleanup(func() { site.Close() })
	if s.Action.Queued() && s.Devices == nil {
		inside(func() error {
			d, err := LookAt(nettest.Device)
			s.Devices = []Device{d}
			return err
		})
	}
	inside(func() error {
		if is, err := site.Look(s); err != nil || is.Any {
			t.Errorf("before it is in: %+v, %v", is, err)
		}
		return site.In(s, ttl)
	})
	look = func() (is State) {
		inside(func() (err error) { is, err = site.Look(s); return err })
		return is
	}
	if is := look(); !is.Whole || !is.Armed || !is.Any {
		t.Errorf("when it is in: %+v", is)
	}
	return func() {
		inside(func() error {
			if did, err := site.Out(s); err != nil || !did {
				t.Errorf("out: changed %v, %v", did, err)
			}
			if did, err := site.Out(s); err != nil || did {
				t.Errorf("out once more: changed %v, %v", did, err)
			}
			return nil
		})
		if is := look(); is.Any {
			t.Errorf("after it is out: %+v", is)
		}
	}, look
}

// fingerprint is all that an impairment can change of a host.
func fingerprint(t *testing.T, h nettest.Host) (all string) {
	t.Helper()
	err := h.Do(func() error {
		s, err := Open(false)
		if err != nil {
			return err
		}
		defer s.Close()
		tables, err := s.conn.Tables("")
		for _, t := range tables {
			all += "table " + t.Name + "\n"
		}
		if err != nil {
			return err
		}
		links, err := netlink.LinkList()
		if err != nil {
			return err
		}
		for _, l := range links {
			all += "interface " + l.Attrs().Name + " " + l.Attrs().Flags.String() + "\n"
			queues, err := s.route.qdiscs(l.Attrs().Index)
			if err != nil {
				return err
			}
			for _, q := range queues {
				all += fmt.Sprintf("  queue %s %x\n", q, q.Options)
			}
			classes, err := netlink.ClassList(l, 0)
			if err != nil {
				return err
			}
			for _, c := range classes {
				if c.Type() == "htb" { // others come and go with the traffic
					all += "  class " + netlink.HandleStr(c.Attrs().Handle) + "\n"
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func prefixes(all ...netip.Addr) (out []netip.Prefix) {
	for _, a := range all {
		out = append(out, netip.PrefixFrom(a, a.BitLen()))
	}
	return out
}

func TestDrop(t *testing.T) {
	t.Parallel()
	p := nettest.NewPair(t)
	p.Settle6(t)
	for name, c := range map[string]struct {
		match  Match
		echo   uint16 // port of the echo, 0: any
		v4, v6 bool   // cut off
	}{
		"everything both ways":   {match: Match{Direction: Both}, v4: true, v6: true},
		"what leaves":            {match: Match{Direction: Out}, v4: true, v6: true},
		"what arrives":           {match: Match{Direction: In}, v4: true, v6: true},
		"one peer":               {match: Match{Direction: Out, To: prefixes(netip.MustParseAddr("10.99.0.2"))}, v4: true},
		"a peer's network":       {match: Match{Direction: In, From: []netip.Prefix{netip.MustParsePrefix("10.99.0.0/16")}}, v4: true},
		"one peer in v6":         {match: Match{Direction: Both, To: prefixes(netip.MustParseAddr("fd99::2"))}, v6: true},
		"another peer":           {match: Match{Direction: Both, To: prefixes(netip.MustParseAddr("10.99.0.3"), netip.MustParseAddr("fd99::3"))}},
		"a peer's port":          {match: Match{Direction: Both, Ports: []Ports{{5000, 5010}}, PortsOf: Peer}, echo: 5005, v4: true, v6: true},
		"a port, out":            {match: Match{Direction: Out, Ports: []Ports{{5000, 5010}}}, echo: 5010, v4: true, v6: true},
		"the target's port":      {match: Match{Direction: Both, Ports: []Ports{{5000, 5010}}, PortsOf: Target}, echo: 5005},
		"another port":           {match: Match{Direction: Both, Ports: []Ports{{1, 4999}, {5001, 5001}}, PortsOf: Peer}, echo: 5000},
		"another protocol":       {match: Match{Direction: Both, Protocols: []string{"tcp"}}},
		"this protocol":          {match: Match{Direction: Both, Protocols: []string{"udp"}}, v4: true, v6: true},
		"peer, port and protocl": {match: Match{Direction: Both, To: prefixes(netip.MustParseAddr("10.99.0.2")), Ports: []Ports{{5005, 5005}}, Protocols: []string{"udp"}}, echo: 5005, v4: true},
	} {
		t.Run(name, func(t *testing.T) {
			four := p.There.Echo(t, netip.AddrPortFrom(p.There.IP, c.echo))
			six := p.There.Echo(t, netip.AddrPortFrom(p.There.IP6, c.echo))
			// What is expected to come is waited for, on however busy a machine.
			arrives := func(to netip.AddrPort, expected bool) bool {
				wait := 300 * time.Millisecond
				if expected {
					wait = nettest.Patience
				}
				took, _ := p.Here.Ping(t, to, 3, time.Millisecond, wait)
				return len(took) == 3
			}
			if !arrives(four, true) || !arrives(six, true) {
				t.Fatal("the wire does not work without any fault")
			}
			out, look := put(t, p.Here, Spec{Mark: mark(), Match: c.match, Action: Action{Drop: true}}, time.Minute)
			if v4, v6 := !arrives(four, !c.v4), !arrives(six, !c.v6); v4 != c.v4 || v6 != c.v6 {
				t.Errorf("cut off v4 %v, v6 %v; want %v, %v", v4, v6, c.v4, c.v6)
			}
			if hit := look().Packets > 0; hit != (c.v4 || c.v6) {
				t.Errorf("the kernel has counted %d packets", look().Packets)
			}
			out()
			if !arrives(four, true) || !arrives(six, true) {
				t.Error("still cut off after it is out")
			}
		})
	}
}

func TestAShareIsDropped(t *testing.T) {
	t.Parallel()
	p := nettest.NewPair(t)
	echo := p.There.Echo(t, netip.AddrPortFrom(p.There.IP, 0))
	out, look := put(t, p.Here, Spec{Mark: mark(), Match: Match{Direction: Out, Percent: 30, Protocols: []string{"udp"}}, Action: Action{Drop: true}}, time.Minute)
	const n = 2000
	took, _ := p.Here.Ping(t, echo, n, 50*time.Microsecond, 5*time.Second)
	// Five standard deviations of a binomial with n = 2000 and p = 0.3 are 5.1 %.
	if lost := 1 - float64(len(took))/n; lost < 0.248 || lost > 0.352 {
		t.Errorf("%.1f %% of %d packets were lost, want 30", 100*lost, n)
	}
	if got := look().Packets; got != n-uint64(len(took)) {
		t.Errorf("the kernel counted %d dropped packets, %d answers of %d came", got, len(took), n)
	}
	out()
}

func TestReject(t *testing.T) {
	t.Parallel()
	p := nettest.NewPair(t)
	served := p.There.Serve(t, netip.AddrPortFrom(p.There.IP, 0), func(net.Conn) {})
	out, _ := put(t, p.Here, Spec{Mark: mark(), Match: Match{Direction: Out}, Action: Action{Reject: true}}, time.Minute)
	if c, err := p.Here.Dial(served, nettest.Patience); !errors.Is(err, syscall.ECONNREFUSED) {
		if err == nil {
			c.Close()
		}
		t.Errorf("dial: %v, want that it is refused", err)
	}
	out()
	c, err := p.Here.Dial(served, nettest.Patience)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// Nobody renews and nobody removes: the kernel ends it. What is left does nothing.
func TestTheKernelEndsIt(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]Spec{
		"table": {Match: Match{Direction: Both}, Action: Action{Drop: true}},
		"queue": {Match: Match{Direction: Both}, Action: Action{Rate: &Rate{Bytes: 1, Burst: 2000, Limit: 2000}}},
	} {
		t.Run(name, func(t *testing.T) {
			p := nettest.NewPair(t)
			echo := p.There.Echo(t, netip.AddrPortFrom(p.There.IP, 0))
			s.Mark = mark()
			const lease = 5 * time.Second // long enough to be looked at meanwhile
			began := time.Now()
			out, look := put(t, p.Here, s, lease)
			if left := look().Left; left > lease {
				t.Errorf("%s are left of %s", left, lease)
			}
			for look().Armed {
				if time.Since(began) > nettest.Patience {
					t.Fatal("it never ends")
				}
				<-time.After(10 * time.Millisecond)
			}
			if took, _ := p.Here.Ping(t, echo, 100, time.Millisecond, 20*time.Second); len(took) != 100 {
				t.Errorf("%d of 100 packets arrive after it has ended", len(took))
			}
			out()
		})
	}
}

func TestRenewalsKeepIt(t *testing.T) {
	t.Parallel()
	p := nettest.NewPair(t)
	s := Spec{Mark: mark(), Match: Match{Direction: Both}, Action: Action{Drop: true}}
	out, look := put(t, p.Here, s, time.Minute)
	var site *Site
	if err := p.Here.Do(func() (err error) { site, err = Open(false); return err }); err != nil {
		t.Fatal(err)
	}
	defer site.Close()
	for range 8 {
		if err := p.Here.Do(func() error { return site.Renew(s, time.Hour) }); err != nil {
			t.Fatal(err)
		}
	}
	if left := look().Left; left < 50*time.Minute {
		t.Errorf("after a renewal for an hour %s are left", left)
	}
	out()
	if err := p.Here.Do(func() error { return site.Renew(s, time.Hour) }); err == nil {
		t.Error("what is not there was renewed")
	}
}

func TestRate(t *testing.T) {
	for _, way := range []Direction{Out, In} {
		t.Run(string(way), func(t *testing.T) {
			p := nettest.NewPair(t)
			bytes := uint64(1_000_000) // 8 mbit/s
			if vm.Inside() {
				bytes = 100_000 // an emulated computer carries little itself
			}
			from, to := p.Here, p.There
			if way == In {
				from, to = to, from
			}
			at := from.Serve(t, netip.AddrPortFrom(from.IP, 0), nettest.Flood)
			free, err := to.Dial(at, nettest.Patience)
			if err != nil {
				t.Fatal(err)
			}
			var before float64
			for n := 0; n < 20 && before < 5*float64(bytes); n++ {
				before = max(before, nettest.Rate(free, 500*time.Millisecond))
			}
			free.Close()
			if before < 5*float64(bytes) {
				t.Fatalf("without any fault the wire carries %.0f bytes/s: too little to see anything", before)
			}
			s := Spec{Mark: mark(), Match: Match{Direction: way}, Action: Action{Rate: &Rate{Bytes: bytes, Burst: 16 << 10, Limit: 64 << 10}}}
			out, look := put(t, p.Here, s, time.Minute)
			c, err := to.Dial(at, nettest.Patience)
			if err != nil {
				t.Fatal(err)
			}
			nettest.Rate(c, 500*time.Millisecond) // what was under way, and the burst
			// Never is it faster, headers counted too and but for what waited for a reader that
			// came late. A busy machine makes it slower for a while, but not always.
			var best, whole float64
			for n := 1.0; n <= 10 && best < 0.75*float64(bytes); n++ {
				got := nettest.Rate(c, 2*time.Second)
				best = max(best, got)
				if whole += got; whole/n > 1.1*float64(bytes) {
					t.Errorf("the stream has %.0f bytes/s in %.0f s, want at most %d", whole/n, 2*n, bytes)
				}
			}
			if best < 0.75*float64(bytes) {
				t.Errorf("the stream never has more than %.0f bytes/s, want about %d", best, bytes)
			}
			c.Close()
			if look().Packets == 0 {
				t.Error("the kernel has counted no packets")
			}
			out()
		})
	}
}

// What a device had is there while the fault is on, for the packets that are not chosen,
// and exactly as it was afterwards.
func TestTheDevicesOwnQueueComesBack(t *testing.T) {
	t.Parallel()
	p := nettest.NewPair(t)
	var link netlink.Link
	inside := func(f func() error) {
		t.Helper()
		if err := p.Here.Do(f); err != nil {
			t.Fatal(err)
		}
	}
	inside(func() (err error) {
		if link, err = netlink.LinkByName(nettest.Device); err != nil {
			return err
		}
		return netlink.QdiscAdd(&netlink.Tbf{
			QdiscAttrs: netlink.QdiscAttrs{LinkIndex: link.Attrs().Index, Handle: netlink.MakeHandle(0x77, 0), Parent: netlink.HANDLE_ROOT},
			Rate:       10_000_000, Limit: 100_000, Buffer: 100_000,
		})
	})
	root := func() (is *Qdisc) {
		t.Helper()
		inside(func() error {
			return withRoute(func(r *route) (err error) { is, err = r.rootOf(link.Attrs().Index); return err })
		})
		return is
	}
	before := root()
	if before == nil || before.Kind != "tbf" {
		t.Fatalf("before: %v", before)
	}
	s := Spec{Mark: mark(), Match: Match{Direction: Out, To: prefixes(p.There.IP6)}, Action: Action{Rate: &Rate{Bytes: 1000, Burst: 2000, Limit: 2000}}}
	out, _ := put(t, p.Here, s, time.Minute)
	inside(func() error {
		var all []Qdisc
		err := withRoute(func(r *route) (err error) { all, err = r.qdiscs(link.Attrs().Index); return err })
		kept := false
		for _, q := range all {
			kept = kept || q.Kind == "tbf" && q.parent&0xffff == 1 && string(q.Options) == string(before.Options)
		}
		if !kept {
			t.Errorf("other packets do not pass what the device had: %v", all)
		}
		_, again := LookAt(nettest.Device)
		if again == nil || !strings.Contains(again.Error(), "has a fault of faultline already") {
			t.Errorf("a second fault on the device: %v", again)
		}
		return err
	})
	out()
	if after := root(); !same(before, after) {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

// What can be put back according to our list is, in every detail that the kernel shows.
func TestEveryQueueOfTheListComesBack(t *testing.T) {
	nettest.Root(t)
	micro := func(kind int, us uint32) []byte { return attribute(kind, us).Serialize() }
	for _, kind := range restorable {
		variants := [][]byte{nil}
		switch kind {
		case "tbf": // it has no usual values
			variants = [][]byte{Rate{Bytes: 10_000_000, Burst: 50_000, Limit: 100_000}.qdisc(0).Options}
		case "codel", "fq_codel":
			threshold := map[string]int{"codel": 5, "fq_codel": 7}[kind]
			for us := range uint32(3) { // each with another rest in the kernel's own units
				variants = append(variants, slices.Concat(micro(1, 7000+us), micro(3, 200_000+us), micro(threshold, 128+us)))
			}
		case "sfq":
			few := []uint32{1600, 10, 40, 1024, 20} // quantum, period, limit, divisor, flows
			variants = append(variants, attribute(0, few...).Data)
		}
		for n, options := range variants {
			t.Run(fmt.Sprintf("%s %d", kind, n), func(t *testing.T) {
				q := Qdisc{Kind: kind, Handle: netlink.MakeHandle(0x77, 0), Options: options}
				comesBack(t, q)
			})
		}
	}
}

func comesBack(t *testing.T, q Qdisc) {
	p := nettest.NewPair(t)
	err := p.Here.Do(func() error {
		index, err := indexOf(nettest.Device)
		if err != nil {
			return err
		}
		return withRoute(func(r *route) error { return r.put(q, index, netlink.HANDLE_ROOT, addNew) })
	})
	plugintest.Need(t, "queues", func() error {
		if errors.Is(err, ErrNoKind) {
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	before := fingerprint(t, p.Here)
	if !strings.Contains(before, q.Kind+" 77:") {
		t.Fatalf("before it is in:\n%s", before)
	}
	out, _ := put(t, p.Here, Spec{Mark: mark(), Match: Match{Direction: Out}, Action: Action{Rate: &Rate{Bytes: 1000, Burst: 2000, Limit: 2000}}}, time.Minute)
	out()
	if after := fingerprint(t, p.Here); after != before {
		t.Errorf("before it was in:\n%s\nafter it is out:\n%s", before, after)
	}
}

func TestDevicesThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	p := nettest.NewPair(t)
	err := p.Here.Do(func() error {
		link, err := netlink.LinkByName(nettest.Device)
		if err != nil {
			return err
		}
		if _, err := LookAt("nope"); err == nil || !strings.Contains(err.Error(), "no such interface") {
			t.Errorf("a device that does not exist: %v", err)
		}
		htb := netlink.NewHtb(netlink.QdiscAttrs{LinkIndex: link.Attrs().Index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT})
		if err := netlink.QdiscAdd(htb); err != nil {
			return err
		}
		if _, err := LookAt(nettest.Device); err == nil || !strings.Contains(err.Error(), "htb 1:, which could not be put back") {
			t.Errorf("a device with classes: %v", err)
		}
		if err := netlink.LinkSetDown(link); err != nil {
			return err
		}
		if _, err := LookAt(nettest.Device); err == nil || !strings.Contains(err.Error(), "is down") {
			t.Errorf("a device that is down: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
