//go:build linux

package impair

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/faultline-go/faultline/plugins/internal/uml"
	"github.com/faultline-go/faultline/plugins/net/nettest"
	"github.com/faultline-go/faultline/sdk/plugintest"
)

// The kernel's netem is measured where there is one: in user-mode Linux, if need be.
func TestInUserModeLinux(t *testing.T) {
	if uml.Inside() {
		t.Skip("this is user-mode Linux")
	}
	t.Parallel()
	uml.Test(t, ".", "^TestNetem", 2*time.Minute, "root", "netem")
}

func needNetem(t *testing.T) {
	t.Helper()
	nettest.Root(t)
	plugintest.Need(t, "netem", func() error {
		can, err := Able()
		if err == nil && !can.Netem {
			err = errors.New("this kernel lacks sch_netem; TestInUserModeLinux runs this test in one that has it")
		}
		return err
	})
}

// usual is what the fastest of some packets may take without any fault.
const usual = 400 * time.Millisecond

// netem plants a netem at the near end, and measures n packets that are led into it. User-
// mode Linux has netem and no nftables for IP: what the table does to packets that it
// chooses, which is to give them the number of the class as their priority, the test's
// socket does itself. That the table does so is tested where there are nftables, with a
// token bucket in the place of the netem.
func netem(t *testing.T, e Netem, n int) (took []time.Duration, answers int, seen queueStats) {
	t.Helper()
	p := nettest.NewPair(t)
	echo := p.There.Echo(t, netip.AddrPortFrom(p.There.IP, 0))
	s := Spec{Mark: mark(), Match: Match{Direction: Out}, Action: Action{Netem: &e}}
	inside := func(f func(Device) error) {
		t.Helper()
		if err := p.Here.Do(func() error {
			if len(s.Devices) > 0 {
				return f(s.Devices[0])
			}
			d, err := LookAt(nettest.Device)
			if err != nil {
				return err
			}
			s.Devices = []Device{d}
			return f(d)
		}); err != nil {
			t.Fatal(err)
		}
	}
	inside(s.plant)
	if others, _ := p.Here.Ping(t, echo, 20, 5*time.Millisecond, 5*time.Second); len(others) != 20 || others[0] > usual {
		t.Errorf("packets that are not chosen: %d of 20 come back, after %v", len(others), others)
	}
	chosen := p.Here
	chosen.Priority = s.class()
	took, answers = chosen.Ping(t, echo, n, 5*time.Millisecond, 5*time.Second)
	inside(func(d Device) error {
		is, q, err := s.standing(d)
		if !is || q.Packets+q.Dropped < uint64(n)/2 {
			t.Errorf("the queue that %d packets have passed: there %v, %+v", n, is, q)
		}
		seen = q
		return err
	})
	inside(func(d Device) error {
		changed, err := s.fell(d)
		if !changed {
			t.Error("taking it away has changed nothing")
		}
		return err
	})
	if after, _ := chosen.Ping(t, echo, 20, 5*time.Millisecond, 5*time.Second); len(after) != 20 || after[0] > usual {
		t.Errorf("after it is out %d packets of 20 come back, after %v", len(after), after)
	}
	return took, answers, seen
}

const ms = time.Millisecond

// Times are measured against what an emulated machine on a busy one does by itself, which
// only ever adds: the delays are long, and what counts is the fastest packet.

func TestNetemDelays(t *testing.T) {
	needNetem(t)
	took, _, _ := netem(t, Netem{Delay: 800 * ms}, 40)
	if len(took) != 40 || took[0] < 800*ms || took[0] > 800*ms+usual {
		t.Errorf("%d of 40 packets came back, after %v", len(took), took)
	}
}

func TestNetemJitter(t *testing.T) {
	needNetem(t)
	for _, distribution := range []string{"uniform", "normal", "pareto"} {
		took, _, _ := netem(t, Netem{Delay: 900 * ms, Jitter: 400 * ms, Distribution: distribution}, 60)
		// Some are earlier than the mean, by a good part of the jitter, and some later. Only
		// the uniform distribution has a least delay.
		least := 0 * ms
		if distribution == "uniform" {
			least = 500 * ms
		}
		if len(took) != 60 || took[0] < least || took[0] > 800*ms || took[59] < 1000*ms {
			t.Errorf("%s: %d of 60 packets came back, after %v", distribution, len(took), took)
		}
	}
}

func TestNetemLoses(t *testing.T) {
	needNetem(t)
	for name, e := range map[string]Netem{
		"random":          {Loss: 0.3},
		"gilbert-elliott": {Gilbert: &Gilbert{ToBad: 0.15, ToGood: 0.35, LossBad: 1}}, // bad for 0.15 of 0.5 of the time
	} {
		const n = 400
		took, _, seen := netem(t, e, n)
		// Five standard deviations are 11.5 % for independent losses, and more for bursts.
		if lost := 1 - float64(len(took))/n; lost < 0.14 || lost > 0.46 {
			t.Errorf("%s: %.1f %% were lost, want 30", name, 100*lost)
		}
		if seen.Dropped == 0 {
			t.Errorf("%s: the kernel has counted no lost packet", name)
		}
	}
}

func TestNetemDuplicates(t *testing.T) {
	needNetem(t)
	if took, answers, _ := netem(t, Netem{Duplicate: 1}, 100); len(took) != 100 || answers < 190 {
		t.Errorf("%d packets and %d copies of 100 came back", len(took), answers-len(took))
	}
}

func TestNetemCorrupts(t *testing.T) {
	needNetem(t)
	// Nearly every bit of these packets is under a checksum, or in the address of the
	// receiver's interface. The sender's has 6 of 46 bytes, and nobody looks at it: 13
	// packets in a hundred, and 34 within six standard deviations.
	if took, _, _ := netem(t, Netem{Corrupt: 1}, 100); len(took) > 34 {
		t.Errorf("%d of 100 packets came back unharmed", len(took))
	}
}

func TestNetemReorders(t *testing.T) {
	needNetem(t)
	took, _, _ := netem(t, Netem{Delay: 2 * time.Second, Reorder: 0.5, Gap: 1}, 60)
	var prompt int
	for _, d := range took {
		if d < 2*time.Second {
			prompt++
		}
	}
	if len(took) != 60 || prompt < 12 || prompt > 48 {
		t.Errorf("%d of %d packets overtook the others, want about half", prompt, len(took))
	}
}
