package judge

import (
	"math"
	"sort"

	"gonum.org/v1/gonum/mathext"
)

const (
	// Alpha is how often, at most, an objective that just keeps its target is
	// called broken.
	Alpha = 0.01
	// Confidence is that of the one-sided bound behind a verdict of held.
	Confidence = 0.95
)

// maxSamples ends searches for a sample size: no game day sends more.
const maxSamples = 1 << 40

// Tail is P(Bin(n, b) ≥ x), for real-valued n and x too: the regularised
// incomplete beta function I_b(x, n−x+1), which equals the sum of the binomial
// probabilities at integers and joins them smoothly between.
func Tail(n, x, b float64) float64 {
	switch {
	case x <= 0:
		return 1
	case x > n || b <= 0:
		return 0
	case b >= 1:
		return 1
	}
	return mathext.RegIncBeta(x, n-x+1, b)
}

// UpperBound is the one-sided Clopper–Pearson upper bound, at the given
// confidence, of a share of which x of n were seen. It is 1 when n is 0.
func UpperBound(n, x, confidence float64) float64 {
	if n <= 0 || x >= n {
		return 1
	}
	return mathext.InvRegIncBeta(max(x, 0)+1, n-max(x, 0), confidence)
}

// LowerBound is the one-sided Clopper–Pearson lower bound, at the given
// confidence, of a share of which x of n were seen. It is 0 when n is 0.
func LowerBound(n, x, confidence float64) float64 {
	if n <= 0 || x <= 0 {
		return 0
	}
	x = min(x, n)
	return mathext.InvRegIncBeta(x, n-x+1, 1-confidence)
}

// Critical is the smallest bad count that makes n samples broken for an allowed
// bad share b. It is above n when no count does.
func Critical(n, b float64) int { return criticalCount(n, b, 1) }

// criticalCount is Critical for samples with the design effect d.
func criticalCount(n, b, d float64) int {
	last := int(math.Ceil(min(max(n, 0), maxSamples))) + 1
	return sort.Search(last, func(x int) bool { return Tail(n/d, float64(x)/d, b) <= Alpha })
}

// Needed is the smallest number of samples that proves a bad share of at most b
// although bad of them were bad; 0 when no number does (b = 0).
func Needed(b float64, bad int) int {
	if b <= 0 || bad < 0 {
		return 0
	}
	if b >= 1 {
		return 1
	}
	// The upper bound is within b exactly when that few bad samples are unlikely
	// in a system with the bad share b: P(Bin(n, b) ≤ bad) ≤ 5 %.
	enough := func(n int) bool { return 1-Tail(float64(n), float64(bad)+1, b) <= 1-Confidence }
	hi := bad + 1
	for !enough(hi) {
		if hi >= maxSamples {
			return 0
		}
		hi *= 2
	}
	return sort.Search(hi, func(n int) bool { return n > bad && enough(n) })
}

// Power is the chance that n samples of a system with m times the allowed bad
// share b are called broken.
func Power(n, b, m float64) float64 {
	c := Critical(n, b)
	if float64(c) > n {
		return 0
	}
	return Tail(n, float64(c), min(m*b, 1))
}

// NeededPower is the smallest number of samples with which a system with m times
// the allowed bad share b is called broken with at least the given chance; 0 when
// no number does. Power dips again at each larger n whose critical count is one
// higher, so a somewhat larger sample can have a little less.
func NeededPower(b, m, power float64) int {
	if b <= 0 || b >= 1 || m <= 1 || power <= 0 || power >= 1 {
		return 0
	}
	from := 1
	for c := 1; ; c++ {
		// The critical count is c for from ≤ n < to, and there power grows with n.
		to := max(from, c)
		for step := 1; ; step *= 2 {
			if Tail(float64(to), float64(c), b) > Alpha {
				break
			}
			if to > maxSamples {
				return 0
			}
			to += step
		}
		to = from + sort.Search(to-from, func(i int) bool {
			return Tail(float64(from+i), float64(c), b) > Alpha
		})
		if to > from && Tail(float64(to-1), float64(c), min(m*b, 1)) >= power {
			return from + sort.Search(to-1-from, func(i int) bool {
				return Tail(float64(from+i), float64(c), min(m*b, 1)) >= power
			})
		}
		from = to
	}
}
