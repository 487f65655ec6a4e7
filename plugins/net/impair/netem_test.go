//go:build linux

package impair

import (
	"net/netip"
	"testing"
	"time"

	"github.com/faultline-go/faultline/plugins/net/nettest"
)

const ms = time.Millisecond

// usual is what the fastest of some packets may take without any fault: times are measured
// against what an emulated computer on a busy machine does by itself, which only ever adds.
const usual = 200 * ms

// chosenPort is what the netem of these tests is about; the other is what it must leave
// alone.
const (
	chosenPort = 5005
	otherPort  = 5006
)

// everyWay runs a test with a netem in each direction. times says how often a packet or
// its answer passes it.
func everyWay(t *testing.T, test func(t *testing.T, way Direction, times int)) {
	needNetem(t)
	for way, times := range map[Direction]int{Out: 1, In: 1, Both: 2} {
		t.Run(string(way), func(t *testing.T) { test(t, way, times) })
	}
}

// netem puts a netem in for one port of one peer, and measures n packets that are led into
// it, while those to other ports and peers go by untouched; then it takes it out, and
// wants everything as it was.
func netem(t *testing.T, way Direction, e Netem, n int) (took []time.Duration, answers int, seen State) {
	t.Helper()
	p := nettest.NewPair(t)
	p.Settle6(t)
	chosen := p.There.Echo(t, netip.AddrPortFrom(p.There.IP, chosenPort))
	others := []netip.AddrPort{
		p.There.Echo(t, netip.AddrPortFrom(p.There.IP, otherPort)),
		p.There.Echo(t, netip.AddrPortFrom(p.There.IP6, chosenPort)),
	}
	untouched := func(when string, all ...netip.AddrPort) {
		t.Helper()
		for _, to := range all {
			best(t, usual, func() []time.Duration {
				took, answers := p.Here.Ping(t, to, 20, 5*ms, 20*time.Second)
				if len(took) != 20 || answers != 20 {
					t.Fatalf("%s: %d of 20 packets to %s come back, with %d answers", when, len(took), to, answers)
				}
				return took
			})
		}
	}
	before := fingerprint(t, p.Here)
	out, look := put(t, p.Here, Spec{
		Mark:   mark(),
		Match:  Match{Direction: way, To: prefixes(p.There.IP), Ports: []Ports{{chosenPort, chosenPort}}, PortsOf: Peer},
		Action: Action{Netem: &e},
	}, time.Minute)
	untouched("packets that are not chosen", others...)
	if is := look(); is.Packets != 0 {
		t.Errorf("%d packets were chosen before there were any", is.Packets)
	}
	ping := p.Here.Ping
	if e.Duplicate > 0 {
		ping = p.Here.Copies
	}
	took, answers = ping(t, chosen, n, 5*ms, 4*time.Second+e.Delay)
	seen = look()
	if sent := uint64(n); way != In && seen.Packets < sent || seen.Packets == 0 {
		t.Errorf("%d packets were sent, and %d chosen", n, seen.Packets)
	}
	out()
	untouched("after it is out", append(others, chosen)...)
	if after := fingerprint(t, p.Here); after != before {
		t.Errorf("before it was in:\n%s\nafter it is out:\n%s", before, after)
	}
	return took, answers, seen
}

func TestNetemDelays(t *testing.T) {
	everyWay(t, func(t *testing.T, way Direction, times int) {
		const n, delay = 40, 400 * ms
		want := time.Duration(times) * delay
		best(t, want+usual, func() []time.Duration {
			took, answers, _ := netem(t, way, Netem{Delay: delay}, n)
			if len(took) != n || answers != n || took[0] < want {
				t.Fatalf("%d of %d packets came back, with %d answers, after %v; want %s", len(took), n, answers, took, want)
			}
			return took
		})
	})
}

// best measures until the fastest packet takes no longer than that: a machine is busy for a
// while, a delay that is too long stays so.
func best(t *testing.T, most time.Duration, measure func() []time.Duration) {
	t.Helper()
	var took []time.Duration
	for range 5 {
		if took = measure(); took[0] <= most {
			return
		}
	}
	t.Errorf("packets came back after %v, want the first after %s at most", took, most)
}

func TestNetemJitter(t *testing.T) {
	needNetem(t)
	for _, distribution := range []string{"uniform", "normal", "pareto"} {
		t.Run(distribution, func(t *testing.T) {
			// Some are earlier than the mean, by a good part of the jitter, and some later. Only
			// the uniform distribution has a least delay.
			least := 0 * ms
			if distribution == "uniform" {
				least = 500 * ms
			}
			best(t, 800*ms, func() []time.Duration {
				took, _, _ := netem(t, Out, Netem{Delay: 900 * ms, Jitter: 400 * ms, Distribution: distribution}, 60)
				if len(took) != 60 || took[0] < least || took[59] < 1000*ms {
					t.Fatalf("%d of 60 packets came back, after %v", len(took), took)
				}
				return took
			})
		})
	}
}

func TestNetemLoses(t *testing.T) {
	for name, e := range map[string]Netem{
		"random":          {Loss: 0.3},
		"gilbert-elliott": {Gilbert: &Gilbert{ToBad: 0.15, ToGood: 0.35, LossBad: 1}}, // bad for 0.15 of 0.5 of the time
	} {
		t.Run(name, func(t *testing.T) {
			everyWay(t, func(t *testing.T, way Direction, times int) {
				const n = 400
				took, _, seen := netem(t, way, e, n)
				want := 0.3
				if times == 2 {
					want = 1 - 0.7*0.7
				}
				// Five standard deviations are 12.5 % for independent losses, and more for bursts.
				if lost := 1 - float64(len(took))/n; lost < want-0.16 || lost > want+0.16 {
					t.Errorf("%.1f %% were lost, want %.0f", 100*lost, 100*want)
				}
				if seen.Dropped != uint64(n-len(took)) {
					t.Errorf("the kernel has counted %d lost packets, want %d", seen.Dropped, n-len(took))
				}
			})
		})
	}
}

func TestNetemDuplicates(t *testing.T) {
	everyWay(t, func(t *testing.T, way Direction, times int) {
		want := 200 * times // each copy of a question is answered, and each answer copied
		if took, answers, _ := netem(t, way, Netem{Duplicate: 1}, 100); len(took) != 100 || answers < want*19/20 || answers > want {
			t.Errorf("%d packets and %d copies of 100 came back, want %d", len(took), answers-len(took), want-100)
		}
	})
}

func TestNetemCorrupts(t *testing.T) {
	everyWay(t, func(t *testing.T, way Direction, _ int) {
		// Nearly every bit of these packets is under a checksum, or in the address of the
		// receiver's interface. The sender's has 6 of 46 bytes, and nobody looks at it: 13
		// packets in a hundred, and 34 within six standard deviations. Of what comes in all 14
		// bytes of the Ethernet header were read before: 30, and 58.
		most := 34
		if way == In {
			most = 58
		}
		if took, _, _ := netem(t, way, Netem{Corrupt: 1}, 100); len(took) > most {
			t.Errorf("%d of 100 packets came back unharmed, want at most %d", len(took), most)
		}
	})
}

func TestNetemReorders(t *testing.T) {
	needNetem(t)
	// A packet that overtakes in one of both directions is of neither sort that is told
	// apart here.
	for _, way := range []Direction{Out, In} {
		t.Run(string(way), func(t *testing.T) {
			const delay = 1500 * ms
			took, _, _ := netem(t, way, Netem{Delay: delay, Reorder: 0.5, Gap: 1}, 60)
			var prompt int
			for _, d := range took {
				if d < delay {
					prompt++
				}
			}
			// Half of 60, within five standard deviations.
			if len(took) != 60 || prompt < 11 || prompt > 49 {
				t.Errorf("%d of %d packets overtook the others, want about half of 60", prompt, len(took))
			}
		})
	}
}
