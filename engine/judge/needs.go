package judge

import (
	"math"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
)

// SeenBurn and SeenPower say which damage plan promises to see: five times the
// allowed bad share, nine times in ten.
const (
	SeenBurn  = 5
	SeenPower = 0.9
)

// Needs is what an objective needs in a phase to conclude, beside what it is
// expected to get: what plan prints, so that nobody runs a game day that cannot
// conclude.
type Needs struct {
	Objective string        `json:"objective"`
	Phase     journal.Phase `json:"phase"`
	Target    float64       `json:"target"`
	Expected  int           `json:"expected"`  // samples: rate × length of the phase
	ForHeld   int           `json:"for_held"`  // samples to claim held without a bad one
	WithOne   int           `json:"with_one"`  // the same with one bad; 0: no number does
	ForBurn   int           `json:"for_burn"`  // samples to see SeenBurn with SeenPower; 0: not defined
	Concludes bool          `json:"concludes"` // Expected ≥ ForHeld
	Lasts     time.Duration `json:"lasts_ns"`  // how long the phase must last for ForHeld; 0 without a rate
}

// NeedsOf says what an objective needs in a phase of the given length.
func NeedsOf(o journal.ObjectiveSpec, p journal.Phase, faults bool, length time.Duration) Needs {
	c := ClaimOf(o, p, faults)
	n := Needs{
		Objective: o.Name, Phase: p, Target: c.Target,
		Expected: Expected(o.Rate, length),
		ForHeld:  c.Needed(),
		WithOne:  c.neededWith(1, 1),
		ForBurn:  NeededPower(c.allowed(), SeenBurn, SeenPower),
	}
	n.Concludes = n.Expected >= n.ForHeld
	n.Lasts = timeFor(n.ForHeld, o.Rate)
	return n
}

// timeFor is how many whole seconds it takes to get n samples; 0 without a rate.
func timeFor(n int, rate float64) time.Duration {
	if !(rate > 0) {
		return 0
	}
	seconds := math.Ceil(float64(n) / rate)
	return time.Duration(min(seconds, math.MaxInt64/2/float64(time.Second))) * time.Second
}

// NeedsOfExperiment is what every objective of an experiment needs in every phase
// that is judged.
func NeedsOfExperiment(e journal.ExperimentSpec) []Needs {
	var all []Needs
	faults := len(e.Faults) > 0
	for _, o := range e.Objectives {
		if !faults {
			all = append(all, NeedsOf(o, journal.During, false, e.Observe))
			continue
		}
		if e.Expect != journal.Recover {
			all = append(all, NeedsOf(o, journal.During, true, e.Planned))
		}
		if e.Observe > 0 {
			all = append(all, NeedsOf(o, journal.After, true, e.Observe))
		}
	}
	return all
}

// Expected is how many samples a rate per second gives over a time.
func Expected(rate float64, length time.Duration) int {
	n := rate * length.Seconds()
	if !(n > 0) {
		return 0
	}
	return int(math.Round(min(n, maxSamples)))
}
