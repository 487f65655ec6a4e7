//go:build linux

package hold

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/faultline-go/faultline/plugins/net/impair"
	"github.com/faultline-go/faultline/plugins/net/nettest"
)

func TestMain(m *testing.M) {
	ServeIfChild()
	os.Exit(m.Run())
}

const mark = "0123456789ab"

// begin has a child put a fault into a host.
func begin(t *testing.T, h nettest.Host, o Order) *Link {
	t.Helper()
	link, err := Start(h.Namespace, mark)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { link.Close() })
	o.Do, o.Spec.Mark, o.TTL = "in", mark, time.Minute
	if o.Spec.Match.Direction == "" {
		o.Spec.Match.Direction = impair.Out
	}
	ask(t, link, o)
	return link
}

func ask(t *testing.T, l *Link, o Order) Answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), nettest.Patience)
	defer cancel()
	a, err := l.Ask(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestPacketsAreHeldBack(t *testing.T) {
	p := nettest.NewPair(t)
	echo := p.There.Echo(t, netip.AddrPortFrom(p.There.IP, 0))
	before, _ := p.Here.Ping(t, echo, 20, 5*time.Millisecond, 20*time.Second)
	o := Order{Spec: impair.Spec{Action: impair.Action{Queue: &impair.Queue{}}}, Late: &impair.Netem{Delay: 100 * time.Millisecond}}
	link := begin(t, p.Here, o)
	// The fastest packet shows the delay; a busy machine keeps all of them waiting for a while.
	for try := 1; ; try++ {
		took, _ := p.Here.Ping(t, echo, 20, 5*time.Millisecond, 20*time.Second)
		if len(took) != 20 || took[0] < 100*time.Millisecond {
			t.Errorf("%d packets of 20 came back, the first after %v", len(took), took)
			break
		}
		if took[0]-before[0] <= 130*time.Millisecond {
			break
		}
		if try == 20 {
			t.Errorf("packets that are held back for 100 ms come back after %v; without delay after %v", took, before[0])
			break
		}
	}
	o.Spec.Mark = mark
	if is := ask(t, link, Order{Do: "look", Spec: o.Spec, Late: o.Late}).State; is.Packets < 20 || !is.Armed || !is.Whole {
		t.Errorf("it says %+v", is)
	}
	if err := link.Close(); err != nil {
		t.Fatal(err)
	}
	for try := 1; ; try++ {
		after, _ := p.Here.Ping(t, echo, 20, 5*time.Millisecond, 20*time.Second)
		if len(after) == 20 && after[0] < 100*time.Millisecond {
			break
		}
		if len(after) != 20 || try == 20 {
			t.Fatalf("after its end packets take %v", after)
		}
	}
}

func TestPacketsAreLostInUserSpace(t *testing.T) {
	p := nettest.NewPair(t)
	echo := p.There.Echo(t, netip.AddrPortFrom(p.There.IP, 0))
	begin(t, p.Here, Order{
		Spec: impair.Spec{Action: impair.Action{Queue: &impair.Queue{}}, Match: impair.Match{Direction: impair.Both, Protocols: []string{"udp"}}},
		Late: &impair.Netem{Gilbert: &impair.Gilbert{ToBad: 1, ToGood: 0.0001, LossBad: 0.5}},
	})
	const n = 400
	took, _ := p.Here.Ping(t, echo, n, 200*time.Microsecond, 5*time.Second)
	// Lost on their way there or back: a quarter arrives, within five standard deviations.
	if part := float64(len(took)) / n; part < 0.14 || part > 0.36 {
		t.Errorf("%.0f %% of the packets came back, want 25", 100*part)
	}
}

// Nobody is there any more, in the hardest way: the kernel ends the fault.
func TestAKilledChildLeavesNothing(t *testing.T) {
	p := nettest.NewPair(t)
	echo := p.There.Echo(t, netip.AddrPortFrom(p.There.IP, 0))
	begin(t, p.Here, Order{Spec: impair.Spec{Action: impair.Action{Drop: true}}})
	if took, _ := p.Here.Ping(t, echo, 3, time.Millisecond, 100*time.Millisecond); len(took) != 0 {
		t.Fatal("the fault does nothing")
	}
	if ended, err := End(t.Context(), mark); err != nil || !ended {
		t.Fatalf("ended %v, %v", ended, err)
	}
	if took, _ := p.Here.Ping(t, echo, 3, time.Millisecond, nettest.Patience); len(took) != 3 {
		t.Error("the fault is there without the process to which it belongs")
	}
	if ended, err := End(t.Context(), mark); err != nil || ended {
		t.Errorf("once more: ended %v, %v", ended, err)
	}
}

// A driver that is frozen renews nothing, and its end of the pipe stays open.
func TestAChildEndsWithTheLease(t *testing.T) {
	p := nettest.NewPair(t)
	link, err := Start(p.Here.Namespace, mark)
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	o := Order{Do: "in", Spec: impair.Spec{Mark: mark, Match: impair.Match{Direction: impair.Out}, Action: impair.Action{Drop: true}}, TTL: 8 * time.Second}
	ask(t, link, o)
	var renewed time.Time
	for range 4 { // for longer than one lease
		<-time.After(o.TTL / 4)
		o.Do, renewed = "renew", time.Now()
		ask(t, link, o)
	}
	if _, err := link.out.ReadByte(); err == nil {
		t.Error("it says something that nobody has asked")
	}
	if took := time.Since(renewed); took < o.TTL || took > nettest.Patience {
		t.Errorf("it ended %s after it was renewed for %s", took, o.TTL)
	}
}

func TestNames(t *testing.T) {
	p := nettest.NewPair(t)
	p.There.NameServer(t, p.Here)
	server := netip.AddrPortFrom(p.There.IP, 53)
	for answer, check := range map[string]func([]netip.Addr, *net.DNSError) bool{
		"nxdomain": func(_ []netip.Addr, err *net.DNSError) bool { return err != nil && err.IsNotFound },
		"servfail": func(_ []netip.Addr, err *net.DNSError) bool { return err != nil && !err.IsNotFound && !err.IsTimeout },
		"timeout":  func(_ []netip.Addr, err *net.DNSError) bool { return err != nil && err.IsTimeout },
		"wrong": func(all []netip.Addr, _ *net.DNSError) bool {
			return len(all) == 1 && all[0].Unmap() == netip.MustParseAddr("10.1.2.3")
		},
	} {
		t.Run(answer, func(t *testing.T) {
			link := begin(t, p.Here, Order{
				Spec: impair.Spec{
					Match:  impair.Match{Ports: []impair.Ports{{First: 53, Last: 53}}, PortsOf: impair.Peer},
					Action: impair.Action{Redirect: 53},
				},
				Lie: &Lie{
					Names: []string{"*.example.com"}, Answer: answer, Percent: 100, Truth: []netip.AddrPort{server},
					Addresses: []netip.Addr{netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("fd00::1")},
				},
			})
			for _, network := range []string{"udp", "tcp"} {
				within := nettest.Patience
				if answer == "timeout" {
					within = 500 * time.Millisecond
				}
				found, err := p.Here.Resolve(p.There.IP, network, "DB.example.com", within)
				var failed *net.DNSError
				errors.As(err, &failed)
				if !check(found, failed) {
					t.Errorf("%s: a name to lie about: %v, %v", network, found, err)
				}
			}
			found, err := p.Here.Resolve(p.There.IP, "udp", "example.org", nettest.Patience)
			if err != nil || len(found) != 1 || found[0].Unmap() != p.There.IP {
				t.Errorf("another name: %v, %v, want the truth", found, err)
			}
			link.Close()
			if found, err := p.Here.Resolve(p.There.IP, "udp", "db.example.com", nettest.Patience); err != nil || len(found) != 1 {
				t.Errorf("after its end: %v, %v", found, err)
			}
		})
	}
}

func TestFates(t *testing.T) {
	const n = 20_000
	run := func(of impair.Netem) (lost float64, mean, least, most time.Duration) {
		f := newFates(of, rand.New(rand.NewPCG(1, 2)))
		least = time.Hour
		var sum time.Duration
		for range n {
			gone, wait := f.next()
			if gone {
				lost++
				continue
			}
			sum += wait
			least, most = min(least, wait), max(most, wait)
		}
		return lost / n, sum / n, least, most
	}
	near := func(a, b, by float64) bool { return a > b-by && a < b+by }
	const ms = time.Millisecond
	if lost, mean, least, most := run(impair.Netem{Delay: 50 * ms}); lost != 0 || mean != 50*ms || least != mean || most != mean {
		t.Errorf("a constant delay: lost %f, mean %s, from %s to %s", lost, mean, least, most)
	}
	if _, mean, least, most := run(impair.Netem{Delay: 50 * ms, Jitter: 10 * ms}); !near(mean.Seconds(), 0.05, 0.0005) || least < 40*ms || most > 60*ms || most-least < 19*ms {
		t.Errorf("uniform jitter: mean %s, from %s to %s", mean, least, most)
	}
	if _, mean, least, most := run(impair.Netem{Delay: 50 * ms, Jitter: 10 * ms, Distribution: "normal"}); !near(mean.Seconds(), 0.05, 0.0005) || least < 0 || least > 25*ms || most < 75*ms {
		t.Errorf("normal jitter: mean %s, from %s to %s", mean, least, most)
	}
	if _, mean, least, most := run(impair.Netem{Delay: 50 * ms, Jitter: 10 * ms, Distribution: "pareto"}); !near(mean.Seconds(), 0.05, 0.0015) || least < 44*ms || most < 100*ms {
		t.Errorf("pareto jitter: mean %s, from %s to %s", mean, least, most)
	}
	if lost, _, _, _ := run(impair.Netem{Loss: 0.1}); !near(lost, 0.1, 0.01) {
		t.Errorf("lost %f, want 0.1", lost)
	}
	// A third of the time bad (0.1 of 0.1 + 0.2), where half is lost.
	if lost, _, _, _ := run(impair.Netem{Gilbert: &impair.Gilbert{ToBad: 0.1, ToGood: 0.2, LossBad: 0.5}}); !near(lost, 1.0/6, 0.02) {
		t.Errorf("lost %f in bursts, want a sixth", lost)
	}
	if _, mean, least, _ := run(impair.Netem{Delay: 50 * ms, Reorder: 0.5}); !near(mean.Seconds(), 0.025, 0.001) || least != 0 {
		t.Errorf("half is not delayed: mean %s, least %s", mean, least)
	}
}
