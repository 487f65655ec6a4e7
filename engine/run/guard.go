package run

import (
	"fmt"
	"slices"
	"time"

	"github.com/faultline-go/faultline/engine/plan"
	"github.com/faultline-go/faultline/engine/scenario"
	"github.com/faultline-go/faultline/sdk/schema"
)

// guard follows a guard's condition through an experiment.
type guard struct {
	plan.Guard
	lastGood time.Time   // scheduled time of the latest good sample
	bad      []time.Time // scheduled times of the bad samples after it, sorted
	lastData time.Time   // scheduled time of the latest sample that was not missing
	tripped  string
}

func newGuards(all []plan.Guard, began time.Time) []*guard {
	var out []*guard
	for _, g := range all {
		out = append(out, &guard{Guard: g, lastData: began})
	}
	return out
}

// take looks at samples, which may come in any order. A missing one is neither good
// nor bad: too many in a row are no data.
func (g *guard) take(samples []schema.Sample) {
	for i := range samples {
		at := samples[i].Scheduled
		a := g.Predicate.Eval(&samples[i])
		if a == scenario.Unknown {
			continue
		}
		g.lastData = later(g.lastData, at)
		if a == scenario.Yes {
			g.lastGood = later(g.lastGood, at)
			g.bad = slices.DeleteFunc(g.bad, func(t time.Time) bool { return !t.After(g.lastGood) })
			continue
		}
		if g.tripped != "" || g.For > 0 && !at.After(g.lastGood) {
			continue
		}
		n, _ := slices.BinarySearchFunc(g.bad, at, time.Time.Compare)
		g.bad = slices.Insert(g.bad, n, at)
		if bad := g.bad[len(g.bad)-1].Sub(g.bad[0]); bad >= g.For {
			g.tripped = fmt.Sprintf("%s does not hold", g.Good)
			if g.For > 0 {
				g.tripped += fmt.Sprintf(", for %s", bad.Round(time.Millisecond))
			}
		}
	}
}

// GuardState is how far a guard is from stopping the run.
type GuardState struct {
	Guard    string
	Bad      time.Duration // its condition has not held for so long; 0 with Failing: one sample
	Failing  bool          // the latest sample was bad
	LastData time.Time     // scheduled time of the latest sample that was not missing
}

// guardStates are those of the guards on a probe.
func (x *experiment) guardStates(probe string) []GuardState {
	var all []GuardState
	for _, g := range x.guards {
		if g.Probe == probe {
			s := GuardState{Guard: g.Name, Failing: len(g.bad) > 0, LastData: g.lastData}
			if s.Failing {
				s.Bad = g.bad[len(g.bad)-1].Sub(g.bad[0])
			}
			all = append(all, s)
		}
	}
	return all
}

// check says why the guard trips, if it does, and when to look again for missing
// data.
func (g *guard) check(now time.Time) (why string, again time.Time) {
	if g.tripped != "" {
		return g.tripped, time.Time{}
	}
	if g.NoDataAfter <= 0 {
		return "", time.Time{}
	}
	end := g.lastData.Add(g.NoDataAfter)
	if now.After(end) {
		return fmt.Sprintf("no data for %s", g.NoDataAfter), time.Time{}
	}
	return "", end.Add(time.Millisecond)
}
