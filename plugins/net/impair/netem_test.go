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

// netem puts a netem on what leaves the near end, and measures n packets.
func netem(t *testing.T, e Netem, n int) (took []time.Duration, answers int, look func() State) {
	t.Helper()
	p := nettest.NewPair(t)
	echo := p.There.Echo(t, netip.AddrPortFrom(p.There.IP, 0))
	s := Spec{Mark: mark(), Match: Match{Direction: Out, To: prefixes(p.There.IP)}, Action: Action{Netem: &e}}
	out, look := put(t, p.Here, s, time.Minute)
	took, answers = p.Here.Ping(t, echo, n, 2*time.Millisecond, time.Second)
	if look().Packets < uint64(n) {
		t.Errorf("the kernel has counted %d packets of %d", look().Packets, n)
	}
	is := look()
	out()
	after, _ := p.Here.Ping(t, echo, 20, time.Millisecond, time.Second)
	if len(after) != 20 || after[0] > 50*time.Millisecond {
		t.Errorf("after it is out %d packets of 20 come back, the first after %v", len(after), after)
	}
	return took, answers, func() State { return is }
}

const ms = time.Millisecond

func TestNetemDelays(t *testing.T) {
	needNetem(t)
	took, _, _ := netem(t, Netem{Delay: 100 * ms}, 100)
	if len(took) != 100 || took[0] < 100*ms || took[50] > 150*ms {
		t.Errorf("%d of 100 packets came back, the first after %s, half of them within %s", len(took), took[0], nettest.Median(took))
	}
}

func TestNetemJitter(t *testing.T) {
	needNetem(t)
	for _, distribution := range []string{"uniform", "normal", "pareto"} {
		took, _, _ := netem(t, Netem{Delay: 100 * ms, Jitter: 30 * ms, Distribution: distribution}, 200)
		if len(took) != 200 {
			t.Fatalf("%s: %d of 200 packets came back", distribution, len(took))
		}
		// A tenth is earlier, and a tenth later, than the mean by much of the jitter; a
		// noisy machine can only add.
		early, median := took[20], nettest.Median(took)
		if early > 95*ms || early < 20*ms || median < 80*ms || median > 160*ms || took[180]-early < 30*ms {
			t.Errorf("%s: a tenth within %s, half within %s, nine tenths within %s", distribution, early, median, took[180])
		}
	}
}

func TestNetemLoses(t *testing.T) {
	needNetem(t)
	for name, e := range map[string]Netem{
		"random":          {Loss: 0.3},
		"gilbert-elliott": {Gilbert: &Gilbert{ToBad: 0.15, ToGood: 0.35, LossBad: 1}}, // bad for 0.15 of 0.5 of the time
	} {
		const n = 1000
		took, _, look := netem(t, e, n)
		// Five standard deviations are 7 % for independent losses; bursts have twice that.
		if lost := 1 - float64(len(took))/n; lost < 0.16 || lost > 0.44 {
			t.Errorf("%s: %.1f %% were lost, want 30", name, 100*lost)
		}
		if look().Dropped == 0 {
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
	// Whatever bit is turned over, nearly always a checksum finds it.
	if took, _, _ := netem(t, Netem{Corrupt: 1}, 100); len(took) > 20 {
		t.Errorf("%d of 100 packets came back unharmed", len(took))
	}
}

func TestNetemReorders(t *testing.T) {
	needNetem(t)
	took, _, _ := netem(t, Netem{Delay: 100 * ms, Reorder: 0.5, Gap: 1}, 200)
	var prompt int
	for _, d := range took {
		if d < 90*ms {
			prompt++
		}
	}
	if len(took) != 200 || prompt < 60 || prompt > 140 {
		t.Errorf("%d of %d packets overtook the others, want about half", prompt, len(took))
	}
}

// Nobody renews: no packet is led into the netem any more, though it is still there.
func TestNetemEndsByItself(t *testing.T) {
	needNetem(t)
	p := nettest.NewPair(t)
	echo := p.There.Echo(t, netip.AddrPortFrom(p.There.IP, 0))
	out, look := put(t, p.Here, Spec{Mark: mark(), Match: Match{Direction: Out}, Action: Action{Netem: &Netem{Delay: 200 * ms}}}, 2*time.Second)
	if took, _ := p.Here.Ping(t, echo, 3, ms, time.Second); len(took) != 3 || took[0] < 200*ms {
		t.Fatalf("before its end: %v", took)
	}
	for end := time.Now().Add(30 * time.Second); look().Armed; {
		if time.Now().After(end) {
			t.Fatal("it never ends")
		}
	}
	if took, _ := p.Here.Ping(t, echo, 20, ms, time.Second); len(took) != 20 || took[0] > 100*ms {
		t.Errorf("after its end: %v", took)
	}
	out()
}
