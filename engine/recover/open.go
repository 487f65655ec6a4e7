// Package recover undoes what an unfinished run left behind, from its journal
// alone. It needs neither the engine that wrote the journal nor the plugin processes
// that injected: the undo records were on disk before anything was broken.
package recover

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/sdk/wire"
)

// Fault is a fault of a journal with targets that are not known to be put back.
type Fault struct {
	Intent *journal.FaultIntent
	Open   []journal.TargetIntent // of the intent's targets
	// Again: a scan has found a target after it was put back, so that the outcome on
	// record is not the last word.
	Again bool
	// Unanswered: its injection gave no clear answer, and may take effect late.
	Unanswered bool
}

// Open lists the faults of a journal with open targets, in the order in which they
// were injected: those without a revert, those whose revert left residue, and those
// that a later scan has found still there.
func Open(events []journal.Event) []Fault {
	return slices.DeleteFunc(begun(events), func(f Fault) bool { return len(f.Open) == 0 })
}

// begun lists every fault of a journal that has an intent, open or not.
func begun(events []journal.Event) []Fault {
	var all []Fault
	for _, e := range events {
		switch d := e.Data.(type) {
		case *journal.FaultIntent:
			all = append(all, Fault{Intent: d, Open: slices.Clone(d.Targets), Unanswered: true})
		case *journal.FaultActive:
			for i := range all {
				if all[i].Intent.ID == d.ID {
					all[i].Unanswered = false
				}
			}
		case *journal.FaultReverted:
			for i := range all {
				if all[i].Intent.ID == d.ID {
					all[i].settle(d.Targets)
				}
			}
		case *journal.Residue:
			if d.When != "before" {
				reopen(all, d.Findings)
			}
		}
	}
	return all
}

// settle closes the targets that are put back.
func (f *Fault) settle(outcomes []journal.TargetOutcome) {
	f.Open = slices.DeleteFunc(f.Open, func(t journal.TargetIntent) bool {
		return slices.ContainsFunc(outcomes, func(o journal.TargetOutcome) bool {
			return o.ID == t.ID && !o.Residue && o.Outcome != journal.RevertFailed
		})
	})
	if len(f.Open) == 0 {
		f.Again = false
	}
}

// reopen opens the targets again that a scan has found. A finding that names neither
// a fault nor a target of this run is nothing that its undo records could put back.
func reopen(all []Fault, findings []journal.Finding) {
	for _, found := range findings {
		for i := range all {
			f := &all[i]
			if found.Fault != f.Intent.ID && found.Fault != f.Intent.Fault && found.Fault != f.Intent.Type {
				continue
			}
			for _, t := range f.Intent.Targets {
				isOpen := slices.ContainsFunc(f.Open, func(o journal.TargetIntent) bool { return o.ID == t.ID })
				if !isOpen && (found.Target == t.ID || found.Target == t.Name) {
					f.Open, f.Again = append(f.Open, t), true
				}
			}
		}
	}
}

// Undos are the undo records of the open targets.
func (f Fault) Undos() []wire.Undo { return undosOf(f.Open) }

func undosOf(targets []journal.TargetIntent) []wire.Undo {
	var out []wire.Undo
	for _, t := range targets {
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

// settleTime is how long an injection of the fault that gave no answer may still take
// effect, as the run's plan says; 0 when it does not say.
func (f Fault) settleTime(begin *journal.RunStarted) time.Duration {
	if begin == nil {
		return 0
	}
	var plan struct {
		Experiments []struct {
			Spec  struct{ Name string }
			Steps []struct {
				Name   string
				Settle time.Duration `json:"settle_ns"`
			}
		}
	}
	if json.Unmarshal(begin.Plan, &plan) != nil {
		return 0 // the plan is not needed to put anything back
	}
	for _, e := range plan.Experiments {
		for _, s := range e.Steps {
			if e.Spec.Name == f.Intent.Experiment && s.Name == f.Intent.Fault {
				return s.Settle
			}
		}
	}
	return 0
}
