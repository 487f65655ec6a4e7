package judge

import (
	"math"
	"math/rand/v2"
	"sort"
	"testing"
	"time"
)

func TestQuantileNeeds(t *testing.T) {
	for q, want := range map[float64]int{0.5: 6, 0.95: 72, 0.99: 368} {
		if got := QuantileNeeds(q); got != want {
			t.Errorf("p%g needs %d, want %d", q*100, got, want)
		}
		if _, _, ok := QuantileRanks(q, want-1); ok {
			t.Errorf("p%g is defined by %d samples", q*100, want-1)
		}
		if _, _, ok := QuantileRanks(q, want); !ok {
			t.Errorf("p%g is not defined by %d samples", q*100, want)
		}
	}
	for _, q := range []float64{0, 1, -1, math.NaN()} {
		if _, _, ok := QuantileRanks(q, 1000); ok {
			t.Errorf("quantile %g is defined", q)
		}
	}
}

// The interval of a median is in textbooks of non-parametric statistics: for
// n = 10 it is from the 2nd to the 9th value, for 20 the 6th to the 15th.
func TestMedianRanks(t *testing.T) {
	for n, want := range map[int][2]int{10: {2, 9}, 20: {6, 15}, 25: {8, 18}} {
		l, u, ok := QuantileRanks(0.5, n)
		if !ok || l != want[0] || u != want[1] {
			t.Errorf("n = %d: %d to %d (%v), want %v", n, l, u, ok, want)
		}
	}
}

func TestQuantileRanksCover(t *testing.T) {
	for _, q := range Quantiles {
		for n := QuantileNeeds(q); n < 3000; n += 17 {
			l, u, ok := QuantileRanks(q, n)
			if !ok || l < 1 || u > n || l >= u {
				t.Fatalf("p%g of %d: %d to %d, %v", q*100, n, l, u, ok)
			}
			if c := Tail(float64(n), float64(l), q) - Tail(float64(n), float64(u), q); c < 0.95 {
				t.Fatalf("p%g of %d: %d to %d covers only %g", q*100, n, l, u, c)
			}
		}
	}
}

func TestQuantileIntervalsCoverInSimulation(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	const runs, n = 400, 500
	covered := map[float64]int{}
	for range runs {
		l := NewLatencies()
		for range n {
			l.Record(time.Duration(rng.ExpFloat64() * float64(100*time.Millisecond)))
		}
		for _, q := range Quantiles {
			truth := -math.Log(1-q) * 0.1
			got := l.Quantile(q)
			// The histogram keeps three digits: allow for its rounding.
			if got.Low*0.999 <= truth && truth <= got.High*1.001 {
				covered[q]++
			}
		}
	}
	for _, q := range Quantiles {
		// 95 % of 400 is 380; less than 366 has a chance of under 0.1 %.
		if covered[q] < 366 {
			t.Errorf("p%g: %d of %d intervals cover the truth", q*100, covered[q], runs)
		}
	}
}

func TestHistogramsMergeAndKeepThreeDigits(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	a, b, both := NewLatencies(), NewLatencies(), NewLatencies()
	var all []float64
	for i := range 5000 {
		d := time.Duration(1000+rng.IntN(900_000)) * time.Microsecond
		all = append(all, d.Seconds())
		both.Record(d)
		if i%3 == 0 {
			a.Record(d)
		} else {
			b.Record(d)
		}
	}
	a.Merge(b)
	sort.Float64s(all)
	for _, q := range Quantiles {
		m, w := a.Quantile(q), both.Quantile(q)
		if m != w {
			t.Errorf("p%g: merged %+v, whole %+v", q*100, m, w)
		}
		if exact := all[int(math.Ceil(q*5000))-1]; math.Abs(w.Value-exact) > 0.002*exact {
			t.Errorf("p%g = %g, exactly it is %g", q*100, w.Value, exact)
		}
	}
}

func TestLatenciesOutOfRangeAreKept(t *testing.T) {
	l := NewLatencies()
	l.Record(-time.Second)
	l.Record(100 * time.Hour)
	if l.N() != 2 {
		t.Errorf("%d recorded, want 2", l.N())
	}
}
