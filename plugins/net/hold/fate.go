package hold

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/faultline-go/faultline/plugins/net/impair"
)

// fates decides over packets, one after the other, as the kernel's netem would.
type fates struct {
	impair.Netem
	random *rand.Rand
	last   float64 // number of the packet before, for what depends on it
	bad    bool    // state of the chain
}

func newFates(n impair.Netem, random *rand.Rand) *fates {
	return &fates{Netem: n, random: random, last: random.Float64()}
}

// next says what becomes of the next packet.
func (f *fates) next() (lost bool, wait time.Duration) {
	n := f.number()
	switch {
	case f.Gilbert != nil:
		lost = f.step()
	case f.Loss > 0:
		lost = n < f.Loss
	}
	if lost || f.Reorder > 0 && f.random.Float64() < f.Reorder {
		return lost, 0
	}
	if f.Jitter > 0 {
		wait = time.Duration(float64(f.Jitter) * deviation(f.Distribution, n))
	}
	return false, max(f.Delay+wait, 0)
}

// number is uniform between 0 and 1, and depends on the one before it as netem's does: it
// is a mean of that and of a fresh one.
func (f *fates) number() float64 {
	fresh := f.random.Float64()
	if f.Correlation > 0 {
		fresh = f.Correlation*f.last + (1-f.Correlation)*fresh
	}
	f.last = fresh
	return fresh
}

func (f *fates) step() (lost bool) {
	change, share := f.Gilbert.ToBad, f.Gilbert.LossGood
	if f.bad {
		change, share = f.Gilbert.ToGood, f.Gilbert.LossBad
	}
	lost = f.random.Float64() < share
	if f.random.Float64() < change {
		f.bad = !f.bad
	}
	return lost
}

// deviation turns a number between 0 and 1 into units of jitter: up to one with the
// uniform distribution, one standard deviation with the others.
func deviation(distribution string, n float64) float64 {
	n = min(max(n, 1e-9), 1-1e-9)
	switch distribution {
	case "normal":
		return math.Sqrt2 * math.Erfinv(2*n-1)
	case "pareto": // of shape 3, mean 0 and standard deviation 1
		return (math.Pow(1-n, -1.0/3) - 1.5) / (math.Sqrt(3) / 2)
	}
	return 2*n - 1
}
