package judge

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

var day = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)

// The mean of the e-process over all possible samples of a system at exactly the
// allowed share is 1: summed over the binomial distribution, not simulated.
func TestEProcessIsFairAtTheTarget(t *testing.T) {
	for _, n := range []int{1, 5, 50, 100} {
		for _, b := range []float64{0.001, 0.01, 0.1, 0.4} {
			for _, share := range []float64{b, b / 2} {
				var mean float64
				for x := range n + 1 {
					// As one exponential, because E is huge where the probability is tiny.
					mean += math.Exp(logBinomial(n, x, share) + math.Log(EValue(n-x, x, b, 1)))
				}
				if mean > 1+1e-6 {
					t.Errorf("n %d, allowed %g, true %g: mean of E is %g, want at most 1", n, b, share, mean)
				}
				if share == b && mean < 1-1e-3 {
					t.Errorf("n %d at exactly %g: mean of E is %g, want 1", n, b, mean)
				}
			}
		}
	}
}

// falseStops is the share of simulated phases in which the e-process reaches its
// limit at one of 120 looks, a second apart with 100 samples each, of a system
// whose bad samples come in bursts of the given mean length.
func falseStops(runs int, b, burst, d float64) float64 {
	rng := rand.New(rand.NewPCG(42, uint64(burst)))
	end := 1 / burst           // chance that a burst ends at a sample
	begin := b / (1 - b) * end // gives the bad share b in the long run
	if burst == 1 {            // independent
		begin, end = b, 1-b
	}
	stops := 0
	for range runs {
		isBad := rng.Float64() < b
		good, bad := 0, 0
		for range 120 {
			for range 100 {
				if isBad {
					bad++
					isBad = rng.Float64() >= end
				} else {
					good++
					isBad = rng.Float64() < begin
				}
			}
			if EValue(good, bad, b, d) >= 1/Alpha {
				stops++
				break
			}
		}
	}
	return float64(stops) / float64(runs)
}

func TestFalseStopsAreRare(t *testing.T) {
	// The design effect of geometric bursts of mean 10 over long bins is 2·10−1.
	independent := falseStops(4000, 0.01, 1, 1)
	without := falseStops(2000, 0.01, 10, 1)
	with := falseStops(4000, 0.01, 10, 19)
	t.Logf("false stops: independent %.2f %%, bursts without D %.0f %%, with D %.2f %%", 100*independent, 100*without, 100*with)
	if independent > Alpha {
		t.Errorf("independent errors: %.3f of phases stopped, want at most %g", independent, Alpha)
	}
	if without < 0.25 {
		t.Errorf("bursts without D: %.3f of phases stopped; expected many, else the simulation is no test", without)
	}
	if with > 0.008 {
		t.Errorf("bursts with D: %.4f of phases stopped, want at most 0.008", with)
	}
}

// A phase that is watched by the whole rule, with D measured on the way.
func TestWatchDoesNotStopASystemOnTarget(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	const runs, seconds, rate = 300, 60, 50
	stops := 0
	for range runs {
		w := NewWatch(Claim{Target: 0.99}, nil, seconds*rate)
		isBad := false
		for i := range seconds * rate {
			if isBad {
				isBad = rng.Float64() >= 0.1
			} else {
				isBad = rng.Float64() < 0.01/0.99*0.1
			}
			o := Good
			if isBad {
				o = Bad
			}
			w.Add(day.Add(time.Duration(i)*time.Second/rate), o)
			if _, stop := w.Stop(); stop {
				stops++
				break
			}
		}
	}
	if share := float64(stops) / runs; share > 0.01 {
		t.Errorf("%.3f of phases with bursts stopped, want at most 0.01", share)
	}
}

func TestWatchStopsAnOutage(t *testing.T) {
	w := NewWatch(Claim{Target: 0.99}, nil, 2000)
	for i := range 2000 {
		o := Good
		if i%3 == 0 {
			o = Bad
		}
		w.Add(day.Add(time.Duration(i)*10*time.Millisecond), o)
		stop, ok := w.Stop()
		if !ok {
			continue
		}
		// 31 bad of 2,000 are broken at 1 %: no early stop before.
		if c := Critical(2000, 0.01); stop.Bad != c || stop.Critical != c || stop.E < 100 || stop.Rule == "" {
			t.Errorf("stopped at %+v, want at the critical count %d", stop, c)
		}
		for range 5000 { // later good samples do not take it back
			w.Add(day, Good)
		}
		if again, ok := w.Stop(); !ok || again != stop {
			t.Errorf("the stop was taken back: %+v", again)
		}
		return
	}
	t.Fatal("a system with a third of bad samples was not stopped")
}

func TestWatchOfSpecialClaims(t *testing.T) {
	feed := func(w *Watch, good, bad int) bool {
		for range good {
			w.Add(day, Good)
		}
		for range bad {
			w.Add(day, Bad)
		}
		w.Add(day, Missing)
		_, stop := w.Stop()
		return stop
	}
	if !feed(NewWatch(Claim{Target: 1}, nil, 100), 50, 1) {
		t.Error("target 1 is not stopped by its first bad sample")
	}
	if feed(NewWatch(Claim{Target: 0.9, Point: true}, nil, 1000), 50, 100) {
		t.Error("a ratio that the rest of the phase can still mend was stopped")
	}
	if !feed(NewWatch(Claim{Target: 0.9, Point: true}, nil, 1000), 50, 101) {
		t.Error("a ratio that the rest of the phase cannot mend was not stopped")
	}
	if feed(NewWatch(Claim{Target: 0}, nil, 0), 0, 1000) {
		t.Error("target 0 was stopped")
	}
	// A baseline with the same trouble is the null hypothesis.
	var base Tally
	for i := range 1000 {
		o := Good
		if i%10 == 0 {
			o = Bad
		}
		base.Add(day.Add(time.Duration(i)*time.Second), o)
	}
	if feed(NewWatch(Claim{Target: 0.99}, &base, 0), 450, 50) {
		t.Error("what the baseline had already was called a break")
	}
	if !feed(NewWatch(Claim{Target: 0.99}, nil, 0), 450, 50) {
		t.Error("ten times the allowed share was not stopped")
	}
}

func TestEValueStaysFinite(t *testing.T) {
	for _, b := range []float64{0, 1e-9, 0.01, 0.95, 1} {
		for _, n := range []int{0, 1, 1 << 30} {
			for _, m := range []int{0, 1, 1 << 30} {
				if e := EValue(n, m, b, 1); math.IsNaN(e) || math.IsInf(e, 0) || e < 0 {
					t.Errorf("EValue(%d, %d, %g) = %g", n, m, b, e)
				}
			}
		}
	}
}

func TestWatchStopsALateOutageWithinSeconds(t *testing.T) {
	w := NewWatch(Claim{Target: 0.99}, nil, 2000)
	for i := range 2000 {
		o := Good
		if i >= 500 {
			o = Bad
		}
		at := time.Duration(i) * 10 * time.Millisecond
		w.Add(day.Add(at), o)
		if _, stop := w.Stop(); stop {
			if at > 8*time.Second {
				t.Errorf("stopped %v after the outage began, want within 3 s", at-5*time.Second)
			}
			return
		}
	}
	t.Fatal("an outage was not stopped")
}
