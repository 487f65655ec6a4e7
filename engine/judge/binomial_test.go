package judge

import (
	"math"
	"testing"
)

// exactTail sums binomial probabilities term by term: slow, and independent of the
// incomplete beta function.
func exactTail(n, x int, b float64) float64 {
	var sum float64
	for k := x; k <= n; k++ {
		sum += math.Exp(logBinomial(n, k, b))
	}
	return sum
}

// logBinomial is the logarithm of P(Bin(n, b) = k).
func logBinomial(n, k int, b float64) float64 {
	lg := func(k int) float64 { v, _ := math.Lgamma(float64(k) + 1); return v }
	return lg(n) - lg(k) - lg(n-k) + float64(k)*math.Log(b) + float64(n-k)*math.Log1p(-b)
}

func TestTailIsTheBinomialSumAtIntegers(t *testing.T) {
	for _, n := range []int{1, 2, 10, 77, 500} {
		for _, b := range []float64{0.0001, 0.01, 0.3, 0.9} {
			for x := 0; x <= n; x += 1 + n/9 {
				got, want := Tail(float64(n), float64(x), b), exactTail(n, x, b)
				if math.Abs(got-want) > 1e-9 {
					t.Errorf("Tail(%d, %d, %g) = %g, the sum is %g", n, x, b, got, want)
				}
			}
		}
	}
}

func TestTailAtTheEdges(t *testing.T) {
	for _, tc := range []struct{ n, x, b, want float64 }{
		{0, 0, 0.01, 1}, {10, 0, 0.01, 1}, {10, 11, 0.01, 0}, {10, 1, 0, 0}, {10, 5, 1, 1}, {1, 1, 0.25, 0.25},
	} {
		if got := Tail(tc.n, tc.x, tc.b); math.Abs(got-tc.want) > 1e-12 {
			t.Errorf("Tail(%g, %g, %g) = %g, want %g", tc.n, tc.x, tc.b, got, tc.want)
		}
	}
}

// The values for x of n with two-sided 95 % (so 97.5 % a side) are in many
// textbooks: 0 of 10 ends at 0.3085, 1 of 10 is 0.0025 to 0.4450, 8 of 10 is
// 0.4439 to 0.9748, 5 of 20 is 0.0866 to 0.4910, 10 of 100 is 0.0490 to 0.1762.
func TestClopperPearsonTextbookValues(t *testing.T) {
	for _, tc := range []struct{ n, x, low, high float64 }{
		{10, 0, 0, 0.3085}, {10, 1, 0.0025, 0.4450}, {10, 8, 0.4439, 0.9748},
		{20, 5, 0.0866, 0.4910}, {100, 10, 0.0490, 0.1762}, {10, 10, 0.6915, 1},
	} {
		low, high := LowerBound(tc.n, tc.x, 0.975), UpperBound(tc.n, tc.x, 0.975)
		if math.Abs(low-tc.low) > 5e-5 || math.Abs(high-tc.high) > 5e-5 {
			t.Errorf("%g of %g: %.4f to %.4f, want %.4f to %.4f", tc.x, tc.n, low, high, tc.low, tc.high)
		}
	}
	// Without a bad one the bound has a closed form.
	for _, n := range []float64{1, 30, 299, 2995, 1e6} {
		want := -math.Expm1(math.Log(0.05) / n)
		if got := UpperBound(n, 0, 0.95); math.Abs(got-want) > 1e-8*want+1e-15 {
			t.Errorf("UpperBound(%g, 0) = %g, want %g", n, got, want)
		}
	}
}

func TestSamplesNeededForHeld(t *testing.T) {
	for _, tc := range []struct {
		b    float64
		bad  int
		want int
	}{
		{0.01, 0, 299}, {0.01, 1, 473}, {0.01, 5, 1049},
		{0.001, 0, 2995}, {0.001, 1, 4742}, {0.001, 5, 10511},
		{0.05, 0, 59}, {0.5, 0, 5}, {1, 0, 1}, {0, 0, 0}, {-1, 0, 0},
	} {
		got := Needed(tc.b, tc.bad)
		if got != tc.want {
			t.Errorf("Needed(%g, %d) = %d, want %d", tc.b, tc.bad, got, tc.want)
		}
		if tc.b <= 0 || tc.b >= 1 {
			continue
		}
		if u := UpperBound(float64(got), float64(tc.bad), Confidence); u > tc.b {
			t.Errorf("%d bad of %d: bound %g is above %g", tc.bad, got, u, tc.b)
		}
		if u := UpperBound(float64(got-1), float64(tc.bad), Confidence); u <= tc.b {
			t.Errorf("%d bad of %d: bound %g is within %g already", tc.bad, got-1, u, tc.b)
		}
	}
}

// The design's sizes for seeing a five-fold burn with power 0.9 are 209, 2,105 and
// 21,081. The last one is sufficient; the smallest sufficient one is 21,062.
func TestSamplesNeededForPower(t *testing.T) {
	for _, tc := range []struct {
		b          float64
		want, also int
	}{
		{0.01, 209, 209}, {0.001, 2105, 2105}, {0.0001, 21062, 21081},
	} {
		got := NeededPower(tc.b, 5, 0.9)
		if got != tc.want {
			t.Errorf("NeededPower(%g) = %d, want %d", tc.b, got, tc.want)
		}
		for _, n := range []int{tc.want, tc.also} {
			if p := Power(float64(n), tc.b, 5); p < 0.9 {
				t.Errorf("Power(%d, %g) = %g, want at least 0.9", n, tc.b, p)
			}
		}
		for n := got - 1; n > got-200 && n > 0; n-- {
			if p := Power(float64(n), tc.b, 5); p >= 0.9 {
				t.Fatalf("Power(%d, %g) = %g: NeededPower should have found it", n, tc.b, p)
			}
		}
	}
	for _, b := range []float64{0, 1, -1} {
		if n := NeededPower(b, 5, 0.9); n != 0 {
			t.Errorf("NeededPower(%g) = %d, want 0", b, n)
		}
	}
}

func TestNeededPowerIsTheSmallest(t *testing.T) {
	for _, b := range []float64{0.5, 0.2, 0.1, 0.03, 0.011} {
		for _, m := range []float64{1.5, 2, 5, 30} {
			want := 0
			for n := 1; want == 0; n++ {
				if Power(float64(n), b, m) >= 0.8 {
					want = n
				}
			}
			if got := NeededPower(b, m, 0.8); got != want {
				t.Errorf("NeededPower(%g, %g, 0.8) = %d, counting up gives %d", b, m, got, want)
			}
		}
	}
}

func TestCriticalIsTheFirstBrokenCount(t *testing.T) {
	for _, n := range []float64{1, 30, 299, 1000, 12345.6} {
		for _, b := range []float64{0.0005, 0.01, 0.2} {
			c := Critical(n, b)
			if c > 0 && Tail(n, float64(c-1), b) <= Alpha {
				t.Errorf("Critical(%g, %g) = %d, but %d is broken too", n, b, c, c-1)
			}
			if float64(c) <= n && Tail(n, float64(c), b) > Alpha {
				t.Errorf("Critical(%g, %g) = %d is not broken", n, b, c)
			}
		}
	}
	if c := Critical(0, 0.01); c != 1 {
		t.Errorf("Critical(0, 0.01) = %d, want 1: above n", c)
	}
}
