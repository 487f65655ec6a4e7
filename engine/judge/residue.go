package judge

import (
	"github.com/faultline-go/faultline/engine/journal"
)

// scanLog collects what scans found after the faults, until something newer says
// that it is gone.
type scanLog struct {
	found  []found
	before []journal.Finding
	errors []string
}

type found struct {
	journal.Finding
	seq int
}

func (s *scanLog) add(seq int, e *journal.Residue) {
	if e.Error != "" {
		s.errors = append(s.errors, e.Error)
	}
	switch e.When {
	case "before":
		s.before = append(s.before, e.Findings...)
		return
	case "recover":
		// A complete later scan speaks for the whole; one with an error may have
		// overlooked what an earlier one saw.
		if e.Error == "" {
			s.found = nil
		}
	}
	for _, f := range e.Findings {
		s.found = append(s.found, found{f, seq})
	}
}

// residueOf is everything that may still be there: targets without a clean end,
// and findings of the last scans that no later revert has cleared.
func (s *scanLog) residueOf(run string, faults []*faultLog) []LeftBehind {
	retry := "faultline recover " + run
	if run == "" {
		retry = "faultline recover"
	}
	var out []LeftBehind
	for _, f := range faults {
		for _, t := range f.targets {
			if why := t.residue(); why != "" {
				l := LeftBehind{Experiment: f.experiment, FaultID: f.id, Fault: f.name, Target: t.name, Why: why, Retry: retry}
				if f.intent != nil {
					l.Plugin = f.intent.Plugin
				}
				out = append(out, l)
			}
		}
	}
	listed := func(f found) bool {
		for _, l := range out {
			if l.Target == f.Target && (f.Fault == "" || l.Fault == f.Fault || l.FaultID == f.Fault) {
				return true
			}
		}
		return false
	}
	for _, f := range s.found {
		log, t := match(faults, f)
		if t != nil {
			f.Target = t.name
		}
		if listed(f) || t != nil && t.outcome != nil && t.outcomeSeq > f.seq && t.residue() == "" {
			continue
		}
		l := LeftBehind{Fault: f.Fault, Plugin: f.Plugin, Target: f.Target, Why: f.Detail, Retry: retry}
		if log != nil {
			l.Experiment, l.FaultID, l.Fault = log.experiment, log.id, log.name
		}
		out = append(out, l)
	}
	return out
}

// match finds the target that a finding is about.
func match(faults []*faultLog, f found) (*faultLog, *targetLog) {
	for _, log := range faults {
		if f.Fault != log.id && f.Fault != log.name && (log.intent == nil || f.Fault != log.intent.Type) {
			continue
		}
		for _, t := range log.targets {
			if t.id == f.Target || t.name == f.Target {
				return log, t
			}
		}
	}
	return nil, nil
}
