// Package recover undoes what an unfinished run left behind, from its journal
// alone. It needs neither the engine that wrote the journal nor the plugin processes
// that injected: the undo records were on disk before anything was broken.
package recover

import (
	"slices"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/sdk/wire"
)

// Fault is a fault of a journal with targets that are not known to be put back.
type Fault struct {
	Intent *journal.FaultIntent
	Open   []journal.TargetIntent // of the intent's targets
}

// Open lists the faults of a journal with open targets, in the order in which they
// were injected: those without a revert, and those whose revert left residue.
func Open(events []journal.Event) []Fault {
	var out []Fault
	for _, e := range events {
		switch d := e.Data.(type) {
		case *journal.FaultIntent:
			out = append(out, Fault{Intent: d, Open: slices.Clone(d.Targets)})
		case *journal.FaultReverted:
			for i := range out {
				if out[i].Intent.ID == d.ID {
					out[i].Open = stillOpen(out[i].Open, d.Targets)
				}
			}
		}
	}
	return slices.DeleteFunc(out, func(f Fault) bool { return len(f.Open) == 0 })
}

func stillOpen(open []journal.TargetIntent, settled []journal.TargetOutcome) []journal.TargetIntent {
	return slices.DeleteFunc(open, func(t journal.TargetIntent) bool {
		return slices.ContainsFunc(settled, func(o journal.TargetOutcome) bool {
			return o.ID == t.ID && !o.Residue && o.Outcome != journal.RevertFailed
		})
	})
}

// Undos are the undo records of the open targets.
func (f Fault) Undos() []wire.Undo {
	var out []wire.Undo
	for _, t := range f.Open {
		out = append(out, wire.Undo{Target: t.ID, Undo: t.Undo})
	}
	return out
}

// started is the first event of a journal, if it is one.
func started(events []journal.Event) *journal.RunStarted {
	if len(events) == 0 {
		return nil
	}
	s, _ := events[0].Data.(*journal.RunStarted)
	return s
}
