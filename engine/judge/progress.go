package judge

import (
	"time"

	"github.com/faultline-go/faultline/engine/journal"
)

// Progress is where a run is now, cheap enough to ask for at every tick.
type Progress struct {
	Experiment string
	Phase      journal.Phase // "" between experiments
	Since      time.Time     // when the phase began
	Planned    time.Duration // how long the phase is to last; 0: not known
	Objectives []ObjectiveProgress
	Faults     []ActiveFault // injected or about to be, and not verified gone
	Done       int           // experiments that have ended
	Of         int
}

// ObjectiveProgress is an objective's count in the phase so far.
type ObjectiveProgress struct {
	Objective string
	Target    float64
	N         int
	Bad       int
	Missing   int
}

// ActiveFault is a fault that is on.
type ActiveFault struct {
	Name    string
	Targets []string
	Since   time.Time
}

// live counts the samples of the phase that is going on.
type live struct {
	x       *experimentLog
	phase   journal.Phase
	since   time.Time
	tallies []ObjectiveProgress
}

func (l *live) enter(x *experimentLog, p journal.Phase, at time.Time) {
	*l = live{x: x, phase: p, since: at}
	for _, o := range x.spec.Objectives {
		c := ClaimOf(o, p, len(x.spec.Faults) > 0)
		l.tallies = append(l.tallies, ObjectiveProgress{Objective: o.Name, Target: c.Target})
	}
}

func (l *live) leave(x *experimentLog) {
	if l.x == x {
		*l = live{}
	}
}

func (l *live) add(s *journal.Samples) {
	if l.x == nil {
		return
	}
	for i, o := range l.x.spec.Objectives {
		if i >= len(l.tallies) || o.Probe != s.Probe {
			continue
		}
		t := &l.tallies[i]
		letters, begun := s.Good[o.Name], l.since.Sub(s.Start)
		for i, off := range s.Offset {
			switch outcome := outcomeAt(letters, i); {
			case time.Duration(off)*time.Microsecond < begun:
			case outcome == Missing:
				t.Missing++
			default:
				t.N++
				if outcome == Bad {
					t.Bad++
				}
			}
		}
	}
}

// Progress is where the run is.
func (f *Folder) Progress() Progress {
	p := Progress{Of: len(f.experiments), Phase: f.live.phase, Since: f.live.since}
	for _, x := range f.experiments {
		if x.end != nil {
			p.Done++
		}
	}
	if x := f.live.x; x != nil {
		p.Experiment = x.spec.Name
		p.Planned = planned(x.spec, p.Phase, len(x.spec.Faults) == 0)
		p.Objectives = append(p.Objectives, f.live.tallies...)
	} else if x := f.current(); x != nil {
		p.Experiment = x.spec.Name
	}
	for _, l := range f.faults {
		if l.intent == nil {
			continue
		}
		if _, gone := l.gone(); gone || l.reverted {
			continue
		}
		a := ActiveFault{Name: l.name, Since: l.intentAt}
		for _, t := range l.targets {
			a.Targets = append(a.Targets, t.name)
		}
		p.Faults = append(p.Faults, a)
	}
	return p
}
