package judge

import "math"

// z95 is the normal quantile of a two-sided 95 % interval.
const z95 = 1.959963984540054

// Effective is a sample in which errors are independent: x bad of n, real numbers.
type Effective struct{ N, X float64 }

// effective divides a sample by its design effect.
func (s Sample) effective() Effective {
	d := max(s.D, 1)
	return Effective{float64(s.N) / d, float64(s.Bad) / d}
}

// ShareDifference is the difference of two bad shares, after − before, with a 95 %
// interval: Newcombe's hybrid of two Wilson score intervals without continuity
// correction (R. G. Newcombe, Interval estimation for the difference between
// independent proportions, Statistics in Medicine 17, 1998, 873–890, method 10). It
// keeps its level with few or no bad samples, where the usual normal interval does not.
// Both n must be above 0.
func ShareDifference(before, after Effective) (d, low, high float64) {
	p1, l1, u1 := wilson(after)
	p2, l2, u2 := wilson(before)
	d = p1 - p2
	return d, max(d-math.Hypot(p1-l1, u2-p2), -1), min(d+math.Hypot(u1-p1, p2-l2), 1)
}

// wilson is a share with its 95 % score interval (E. B. Wilson, Probable inference, the
// law of succession, and statistical inference, JASA 22, 1927, 209–212).
func wilson(e Effective) (p, low, high float64) {
	p = e.X / e.N
	z2 := z95 * z95
	middle := 2*e.X + z2
	width := z95 * math.Sqrt(z2+4*e.X*(1-p))
	low, high = (middle-width)/(2*(e.N+z2)), (middle+width)/(2*(e.N+z2))
	return p, min(max(low, 0), p), max(min(high, 1), p)
}
