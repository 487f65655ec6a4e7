package judge

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
)

func TestVerdictOfAnObjective(t *testing.T) {
	for _, tc := range []struct {
		name   string
		claim  Claim
		bad, n int
		d      float64
		want   Verdict
		note   string
	}{
		{"enough good ones", Claim{Target: 0.99}, 0, 299, 1, Held, ""},
		{"one short", Claim{Target: 0.99}, 0, 298, 1, Inconclusive, "needs 299 good samples, had 298"},
		{"one bad", Claim{Target: 0.99}, 1, 473, 1, Held, ""},
		{"one bad, one short", Claim{Target: 0.99}, 1, 472, 1, Inconclusive, "with 1 bad it needs 473 samples, had 472"},
		{"many nines", Claim{Target: 0.999}, 0, 2995, 1, Held, ""},
		{"broken", Claim{Target: 0.99}, 33, 100, 1, Broken, ""},
		{"above but unproven", Claim{Target: 0.99}, 2, 100, 1, Inconclusive, "too few to prove"},
		{"burst counts once", Claim{Target: 0.99}, 20, 1000, 20, Inconclusive, "too few to prove"},
		{"the same without bursts", Claim{Target: 0.99}, 20, 1000, 1, Broken, ""},
		{"bursts make held dearer", Claim{Target: 0.9}, 10, 300, 10, Inconclusive, "with 10 bad it needs 460 samples"},
		{"nothing", Claim{Target: 0.99}, 0, 0, 1, Inconclusive, "no samples"},
		{"perfect held", Claim{Target: 1}, 0, 30, 1, Held, ""},
		{"perfect short", Claim{Target: 1}, 0, 29, 1, Inconclusive, "needs 30 good samples, had 29"},
		{"perfect own minimum", Claim{Target: 1, MinSamples: 5}, 0, 5, 1, Held, ""},
		{"perfect broken", Claim{Target: 1}, 1, 5, 1, Broken, ""},
		{"perfect broken in bursts", Claim{Target: 1}, 1, 5000, 50, Broken, ""},
		{"anything goes", Claim{Target: 0}, 5, 5, 1, Held, ""},
		{"point held", Claim{Target: 0.9, Point: true}, 3, 30, 1, Held, "plain ratio"},
		{"point broken", Claim{Target: 0.9, Point: true}, 4, 30, 1, Broken, "plain ratio"},
		{"point short", Claim{Target: 0.9, Point: true}, 9, 29, 1, Inconclusive, "plain ratio"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			j := tc.claim.Judge(tc.bad, tc.n, tc.d)
			if j.Verdict != tc.want || !strings.Contains(j.Note, tc.note) {
				t.Errorf("%d bad of %d: %s (%s), want %s (%s); %+v", tc.bad, tc.n, j.Verdict, j.Note, tc.want, tc.note, j)
			}
		})
	}
}

func TestMissingSamplesClaimNothing(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	make := func(good, bad, missing int) *Tally {
		var t Tally
		for i := range good + bad + missing {
			o := Good
			if i >= good {
				o = Bad
			}
			if i >= good+bad {
				o = Missing
			}
			t.Add(start.Add(time.Duration(i)*10*time.Millisecond), o)
		}
		return &t
	}
	c := Claim{Target: 0.99}
	for _, tc := range []struct {
		name               string
		good, bad, missing int
		want               Verdict
		note               string
	}{
		{"few missing", 1000, 0, 50, Held, ""},
		{"too many missing", 1000, 0, 60, Inconclusive, "60 of 1,060 samples are missing"},
		{"only missing", 0, 0, 60, Inconclusive, "no samples"},
		{"broken whatever the missing were", 50, 50, 900, Broken, "even if all of these were good"},
		{"perhaps broken", 98, 4, 300, Inconclusive, "missing"},
	} {
		j := c.JudgeTally(make(tc.good, tc.bad, tc.missing))
		if j.Verdict != tc.want || !strings.Contains(j.Note, tc.note) {
			t.Errorf("%s: %s (%s), want %s (%s)", tc.name, j.Verdict, j.Note, tc.want, tc.note)
		}
	}
}

// rank orders verdicts from good to bad for the monotonicity properties.
var rank = map[Verdict]int{Held: 0, Inconclusive: 1, Broken: 2}

func TestVerdictsAreMonotoneAndExclusive(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		c := Claim{Target: []float64{0.5, 0.9, 0.95, 0.99, 0.999, 1}[rng.IntN(6)], Point: rng.IntN(5) == 0}
		n := 1 + rng.IntN(5000)
		bad := rng.IntN(1 + min(n, n/20+3))
		d := 1.0
		if rng.IntN(2) == 0 {
			d = 1 + 20*rng.Float64()
		}
		j := c.Judge(bad, n, d)
		if j.P <= Alpha && j.BadHigh <= c.normal().allowed() && c.Target < 1 {
			t.Fatalf("%d of %d at %g, D %g is both broken and held", bad, n, c.Target, d)
		}
		if bad < n {
			if more := c.Judge(bad+1, n, d); rank[more.Verdict] < rank[j.Verdict] {
				t.Fatalf("%+v: %d of %d is %s, one more bad is %s", c, bad, n, j.Verdict, more.Verdict)
			}
		}
		// A good sample more never makes things worse.
		if more := c.Judge(bad, n+1, d); rank[more.Verdict] > rank[j.Verdict] && j.Verdict != Inconclusive {
			t.Fatalf("%+v: %d of %d is %s, one more good is %s", c, bad, n, j.Verdict, more.Verdict)
		}
		if j.BadLow > float64(bad)/float64(n)+1e-12 || j.BadHigh < float64(bad)/float64(n)-1e-12 {
			t.Fatalf("%d of %d: bounds %g to %g leave the share out", bad, n, j.BadLow, j.BadHigh)
		}
	}
}

func TestDesignEffect(t *testing.T) {
	start := time.Unix(1_800_000_000, 250_000_000)
	t.Run("bursts", func(t *testing.T) {
		var b Bins
		for s := range 40 {
			for i := range 50 {
				b.Add(start.Add(time.Duration(s)*time.Second+time.Duration(i)*20*time.Millisecond), s%4 == 0 && i < 10)
			}
		}
		// Counts are 10, 0, 0, 0: mean 2.5, variance 18.75 · 40/39.
		d, measured := b.Effect()
		if want := 18.75 * 40 / 39 / 2.5; !measured || d < want-1e-9 || d > want+1e-9 {
			t.Errorf("D = %g (measured %v), want %g", d, measured, want)
		}
	})
	t.Run("even errors count as independent", func(t *testing.T) {
		var b Bins
		for s := range 40 {
			for i := range 50 {
				b.Add(start.Add(time.Duration(s)*time.Second+time.Duration(i)*20*time.Millisecond), i == 0)
			}
		}
		if d, measured := b.Effect(); d != 1 || !measured {
			t.Errorf("D = %g (measured %v), want 1, measured", d, measured)
		}
	})
	t.Run("too little", func(t *testing.T) {
		var few, good Bins
		for s := range 19 {
			few.Add(start.Add(time.Duration(s)*time.Second), true)
		}
		for s := range 100 {
			good.Add(start.Add(time.Duration(s)*time.Second), s < 9)
		}
		for _, b := range []*Bins{&few, &good, {}} {
			if d, measured := b.Effect(); d != 1 || measured {
				t.Errorf("D = %g (measured %v), want 1, assumed", d, measured)
			}
		}
	})
	t.Run("order does not matter within the bins", func(t *testing.T) {
		var b Bins
		b.Add(start, false)
		b.Add(start.Add(-time.Millisecond), true)
		if len(b.seen) != 2 {
			t.Errorf("%d bins, want 2", len(b.seen))
		}
	})
}

func TestNeedsOfAPhase(t *testing.T) {
	o := journal.ObjectiveSpec{Name: "checkout.available", Target: 0.99, DuringTarget: 0.95, Rate: 100, MinSamples: 30}
	during := NeedsOf(o, journal.During, true, 20*time.Second)
	if during.Expected != 2000 || during.ForHeld != 59 || !during.Concludes || during.Lasts != time.Second {
		t.Errorf("during: %+v", during)
	}
	after := NeedsOf(o, journal.After, true, 2*time.Second)
	if after.Expected != 200 || after.ForHeld != 299 || after.WithOne != 473 || after.ForBurn != 209 || after.Concludes || after.Lasts != 3*time.Second {
		t.Errorf("after: %+v", after)
	}
	// A check has no fault, so that the target for during does not count.
	if check := NeedsOf(o, journal.During, false, time.Second); check.ForHeld != 299 {
		t.Errorf("check: %+v", check)
	}
	e := journal.ExperimentSpec{Objectives: []journal.ObjectiveSpec{o}, Observe: time.Second, Planned: time.Second, Faults: []journal.FaultSpec{{}}}
	for expect, want := range map[journal.Expect]int{journal.Tolerate: 2, journal.Recover: 1} {
		e.Expect = expect
		if got := NeedsOfExperiment(e); len(got) != want {
			t.Errorf("%s: needs in %d phases, want %d", expect, len(got), want)
		}
	}
}

func TestBaselineGate(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	e := journal.ExperimentSpec{Baseline: 10 * time.Second, Objectives: []journal.ObjectiveSpec{
		{Name: "a.x", Target: 0.99, DuringTarget: 0.5}, {Name: "a.y", Target: 0.99, DuringTarget: 0.99},
	}, Faults: []journal.FaultSpec{{}}}
	fill := func(good, bad, missing int) *Tally {
		var t Tally
		for range good {
			t.Add(start, Good)
		}
		for range bad {
			t.Add(start, Bad)
		}
		for range missing {
			t.Add(start, Missing)
		}
		return &t
	}
	for _, tc := range []struct {
		name string
		x, y *Tally
		want []Verdict
	}{
		{"good enough without proof", fill(50, 0, 0), fill(50, 1, 0), nil},
		{"broken", fill(50, 10, 0), fill(50, 0, 0), []Verdict{Broken}},
		{"no data", nil, fill(50, 0, 0), []Verdict{Inconclusive}},
		{"missing", fill(50, 0, 5), fill(50, 10, 1), []Verdict{Inconclusive, Broken}},
	} {
		got := GateBaseline(e, map[string]*Tally{"a.x": tc.x, "a.y": tc.y})
		if len(got) != len(tc.want) {
			t.Fatalf("%s: %+v, want %v", tc.name, got, tc.want)
		}
		for i := range got {
			if got[i].Verdict != tc.want[i] || got[i].Reason == "" {
				t.Errorf("%s: %+v, want %v", tc.name, got[i], tc.want[i])
			}
		}
	}
	e.Baseline = 0
	if got := GateBaseline(e, nil); got != nil {
		t.Errorf("without a baseline: %+v", got)
	}
}
