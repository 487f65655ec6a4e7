package judge

import (
	"math/rand/v2"
	"testing"
	"time"
)

// bruteSteady says the same as Steady by looking at every window from scratch.
func bruteSteady(c Claim, from int64, at []int64, out []Outcome) (since int64, steady bool, firstBad int64, broke bool) {
	c = c.normal()
	const window = int64(SteadyWindow / time.Microsecond)
	for i := range at {
		// The window: everything of the last 5 s, or the last MinSamples and what lies between.
		left, n := i, 0
		for j := i; j >= 0; j-- {
			if at[j] < at[i]-window && n >= c.MinSamples {
				break
			}
			if out[j] != Missing {
				n++
				left = j
			} else if at[j] >= at[i]-window {
				left = j
			}
		}
		n, bad, miss, first := 0, 0, 0, int64(0)
		for j := left; j <= i; j++ {
			switch out[j] {
			case Bad:
				if bad == 0 {
					first = at[j]
				}
				bad++
				n++
			case Good:
				n++
			default:
				miss++
			}
		}
		if c.brokenAt(bad, max(n, c.MinSamples), 1) {
			if !broke {
				broke, firstBad = true, first
			}
			steady = false
			continue
		}
		full := at[i]-from >= window && n >= c.MinSamples
		if !steady && full && float64(bad) <= c.allowed()*float64(n) && float64(miss) <= MaxMissing*float64(n+miss) {
			steady, since = true, at[left]
		}
	}
	return since, steady, firstBad, broke
}

func TestSteadyAgainstBruteForce(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	for run := range 400 {
		c := Claim{Target: []float64{0.5, 0.9, 0.99, 1}[rng.IntN(4)], MinSamples: 1 + rng.IntN(40), Point: rng.IntN(4) == 0}
		from := day.UnixMicro()
		var at []int64
		var out []Outcome
		us := from
		badness := 0.0
		for range rng.IntN(400) {
			us += int64(rng.IntN(200_000))
			if rng.IntN(60) == 0 {
				badness = []float64{0, 0.005, 0.3, 1}[rng.IntN(4)]
			}
			o := Good
			switch {
			case rng.Float64() < badness:
				o = Bad
			case rng.IntN(50) == 0:
				o = Missing
			}
			at, out = append(at, us), append(out, o)
		}
		since, steady, firstBad, broke := bruteSteady(c, from, at, out)

		// In order with a look after each, and in a shuffled order with looks between.
		inOrder, shuffled := NewSteady(c, day), NewSteady(c, day)
		for i := range at {
			inOrder.Add(time.UnixMicro(at[i]), out[i])
			inOrder.Since()
		}
		for _, i := range rng.Perm(len(at)) {
			shuffled.Add(time.UnixMicro(at[i]), out[i])
			if rng.IntN(20) == 0 {
				shuffled.Since()
			}
		}
		for name, s := range map[string]*Steady{"in order": inOrder, "shuffled": shuffled} {
			got, ok := s.Since()
			if ok != steady || ok && got.UnixMicro() != since {
				t.Fatalf("run %d, %s: steady %v since %v, brute force %v since %v", run, name, ok, got, steady, time.UnixMicro(since).UTC())
			}
			if _, to, ok := s.Broke(); ok != broke || ok && to.UnixMicro() != firstBad {
				t.Fatalf("run %d, %s: broke %v at %v, brute force %v at %v", run, name, ok, to, broke, time.UnixMicro(firstBad).UTC())
			}
			if lo, hi, ok := s.SinceInterval(); ok && (lo.After(hi) || hi.UnixMicro() != since) {
				t.Fatalf("run %d, %s: interval %v to %v", run, name, lo, hi)
			}
		}
	}
}

func TestSteadyStory(t *testing.T) {
	s := NewSteady(Claim{Target: 0.99}, day)
	at := func(ms int) time.Time { return day.Add(time.Duration(ms) * time.Millisecond) }
	for ms := 0; ms < 30_000; ms += 20 {
		o := Good
		if ms >= 4_000 && ms < 7_000 {
			o = Bad
		}
		s.Add(at(ms), o)
		since, ok := s.Since()
		if ok != (ms >= 12_000-40) && (ms < 11_900 || ms > 12_000) {
			t.Fatalf("at %d ms: steady %v since %v", ms, ok, since.Sub(day))
		}
	}
	from, to, ok := s.Broke()
	if !ok || !from.Equal(at(3_980)) || !to.Equal(at(4_000)) {
		t.Errorf("broke %v between %v and %v", ok, from.Sub(day), to.Sub(day))
	}
	// Two bad ones of 251 are within 1 %, so the window may begin with them.
	if since, ok := s.Since(); !ok || since.Before(at(6_940)) || since.After(at(7_000)) {
		t.Errorf("steady %v since %v, want about 7 s", ok, since.Sub(day))
	}
	if n, last := s.Seen(); n != 1500 || !last.Equal(at(29_980)) {
		t.Errorf("seen %d until %v", n, last)
	}
}

func TestSteadyNeedsItsWindow(t *testing.T) {
	s := NewSteady(Claim{Target: 0.99, MinSamples: 30}, day)
	for i := range 29 { // one a second: 5 s are full, 30 samples are not there
		s.Add(day.Add(time.Duration(i)*time.Second), Good)
	}
	if _, ok := s.Since(); ok {
		t.Error("steady with 29 of 30 samples")
	}
	s.Add(day.Add(29*time.Second), Good)
	if since, ok := s.Since(); !ok || !since.Equal(day) {
		t.Errorf("steady %v since %v", ok, since)
	}
	s.Add(day.Add(-time.Second), Bad) // before it began
	if _, ok := s.Since(); !ok {
		t.Error("a sample from before counts")
	}
}
