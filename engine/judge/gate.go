package judge

import (
	"fmt"

	"github.com/faultline-go/faultline/engine/journal"
)

// GateFailure says why the baseline of an objective forbids to inject anything.
type GateFailure struct {
	Objective string
	Verdict   Verdict // Broken, or Inconclusive for missing data
	Reason    string
}

// GateBaseline decides after the baseline whether an experiment may go on: not
// when an objective is broken already, and not when too much is missing to tell.
// It need not be proven held, which would take far longer. tallies are the
// baseline's by objective name. No failures: go on. An experiment whose baseline
// has no length has nothing to show and passes.
func GateBaseline(e journal.ExperimentSpec, tallies map[string]*Tally) []GateFailure {
	if e.Baseline <= 0 {
		return nil
	}
	var failures []GateFailure
	for _, o := range e.Objectives {
		t := tallies[o.Name]
		if t == nil {
			t = new(Tally)
		}
		j := ClaimOf(o, journal.Baseline, len(e.Faults) > 0).JudgeTally(t)
		switch {
		case j.Verdict == Broken:
			failures = append(failures, GateFailure{o.Name, Broken, fmt.Sprintf(
				"%s is broken before any fault: %s of %s samples bad, allowed %s",
				o.Name, count(t.Bad), count(t.N), share(1-o.Target))})
		case t.TooMuchMissing():
			failures = append(failures, GateFailure{o.Name, Inconclusive, fmt.Sprintf("%s has too little data before any fault: %s", o.Name, j.Note)})
		}
	}
	return failures
}
