package judge

import (
	"slices"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
)

// phaseOrder is the order in which an experiment goes through its phases.
var phaseOrder = []journal.Phase{journal.Baseline, journal.During, journal.After}

// phases are the phases of one experiment as its events tell them.
type phases struct {
	starts      map[journal.Phase]time.Time
	firstIntent time.Time
	ended       time.Time // experiment.ended, or the last event of a run that did not get there
}

// spans are the phases that began, in order, each until the next one began. A
// journal that was cut off between an intent and the phase's own event still has
// its during: baseline ends at the first fault.intent.
func (p *phases) spans() []PhaseSpan {
	starts := make(map[journal.Phase]time.Time, len(p.starts)+1)
	for _, ph := range phaseOrder {
		if at, ok := p.starts[ph]; ok {
			starts[ph] = at
		}
	}
	if _, ok := starts[journal.During]; !ok && !p.firstIntent.IsZero() {
		starts[journal.During] = p.firstIntent
	}
	var out []PhaseSpan
	for _, ph := range phaseOrder {
		if at, ok := starts[ph]; ok {
			out = append(out, PhaseSpan{Phase: ph, From: at.UTC()})
		}
	}
	for i := range out {
		to := p.ended
		if i+1 < len(out) {
			to = out[i+1].From
		}
		if to.Before(out[i].From) {
			to = out[i].From
		}
		out[i].To = to.UTC()
	}
	return out
}

// cutFrom marks the phases whose length a decision in the middle of them has
// shortened: those that end at that moment or later. Their samples are stopped
// samples, and tests made for a fixed n do not hold for them.
func cutFrom(spans []PhaseSpan, at time.Time) {
	for i := range spans {
		if !spans[i].To.Before(at) {
			spans[i].Cut = true
		}
	}
}

func spanOf(spans []PhaseSpan, p journal.Phase) (PhaseSpan, bool) {
	i := slices.IndexFunc(spans, func(s PhaseSpan) bool { return s.Phase == p })
	if i < 0 {
		return PhaseSpan{}, false
	}
	return spans[i], true
}

// judgedIn says whether an objective's result in a phase counts for the verdict of
// the experiment. The baseline never does: it is a gate.
func judgedIn(e journal.ExperimentSpec, p journal.Phase, check bool) bool {
	switch p {
	case journal.During:
		return check || e.Expect != journal.Recover
	case journal.After:
		return !check
	}
	return false
}

// planned is how long a phase was to last.
func planned(e journal.ExperimentSpec, p journal.Phase, check bool) time.Duration {
	switch {
	case p == journal.Baseline:
		return e.Baseline
	case p == journal.After || check:
		return e.Observe
	}
	return e.Planned
}
