package run

import (
	"fmt"
	"time"

	"github.com/faultline-go/faultline/engine/plan"
	"github.com/faultline-go/faultline/engine/scenario"
	"github.com/faultline-go/faultline/sdk/schema"
)

// guard follows a guard's condition through an experiment.
type guard struct {
	plan.Guard
	badSince time.Time // scheduled time of the first bad sample in a row; zero: good
	lastBad  time.Time
	lastData time.Time // scheduled time of the last sample that was not missing
	tripped  string
}

func newGuards(all []plan.Guard, began time.Time) []*guard {
	var out []*guard
	for _, g := range all {
		out = append(out, &guard{Guard: g, lastData: began})
	}
	return out
}

// take looks at samples. A missing one is neither good nor bad: too many in a row
// are no data.
func (g *guard) take(samples []schema.Sample) {
	for i := range samples {
		s := &samples[i]
		a := g.Predicate.Eval(s)
		if a == scenario.Unknown {
			continue
		}
		if s.Scheduled.After(g.lastData) {
			g.lastData = s.Scheduled
		}
		if a == scenario.Yes {
			if s.Scheduled.After(g.lastBad) {
				g.badSince = time.Time{}
			}
			continue
		}
		if s.Scheduled.After(g.lastBad) {
			g.lastBad = s.Scheduled
		}
		if g.badSince.IsZero() || s.Scheduled.Before(g.badSince) {
			g.badSince = s.Scheduled
		}
		if bad := g.lastBad.Sub(g.badSince); bad >= g.For && g.tripped == "" {
			g.tripped = fmt.Sprintf("%s does not hold", g.Good)
			if g.For > 0 {
				g.tripped += fmt.Sprintf(", for %s", bad.Round(time.Millisecond))
			}
		}
	}
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
