package live

import (
	"fmt"
	"sync"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/engine/plan"
	"github.com/faultline-go/faultline/engine/run"
	"github.com/faultline-go/faultline/sdk/schema"
)

// state is what there is to show. The run adds to it; the screen reads it.
type state struct {
	mu      sync.Mutex
	plan    *plan.Plan
	folder  *judge.Folder
	names   map[string]string                   // of targets, by identity
	counts  map[string]*judge.ObjectiveProgress // of the phase, ahead of the journal
	courses map[string]*course                  // of objectives
	latency map[string]*course                  // of probes
	guards  map[string]run.GuardState
	phases  map[journal.Phase]time.Time // when those of the experiment began
	began   time.Time                   // of the experiment
	faults  []*faultView                // of the experiment
	renewed map[string]time.Time        // by plugin: it held its leases then
	asking  string                      // the question of a prompt that waits
	lines   []string                    // that are not written yet
}

// faultView is a fault of the experiment that goes on.
type faultView struct {
	id, name, plugin string
	targets          []string
	lease, planned   time.Duration
	from, to         time.Time // to is zero as long as it is on
}

func newState(p *plan.Plan) *state {
	return &state{
		plan: p, folder: judge.NewFolder(), names: map[string]string{}, courses: map[string]*course{}, latency: map[string]*course{},
		guards: map[string]run.GuardState{}, renewed: map[string]time.Time{},
	}
}

// say adds a line.
func (s *state) say(format string, args ...any) {
	s.lines = append(s.lines, printable(fmt.Sprintf(format, args...)))
}

// event takes in what happened.
func (s *state) event(e journal.Event) {
	s.folder.Add(e)
	switch d := e.Data.(type) {
	case *journal.ExperimentStarted:
		s.began, s.faults, s.phases = e.Time, nil, map[journal.Phase]time.Time{}
	case *journal.PhaseStarted:
		s.phases[d.Phase] = e.Time
		s.counts = map[string]*judge.ObjectiveProgress{}
		for _, o := range s.folder.Progress().Objectives {
			s.counts[o.Objective] = &o
		}
	case *journal.FaultIntent:
		for _, t := range d.Targets {
			s.names[t.ID] = t.Name
		}
		s.faults = append(s.faults, &faultView{
			id: d.ID, name: d.Fault, plugin: d.Plugin, targets: targetNames(d), lease: d.Lease, planned: d.HardEnd - d.Lease, from: e.Time,
		})
	case *journal.FaultReverted:
		for _, f := range s.faults {
			if f.id == d.ID && f.to.IsZero() {
				f.to = e.Time
			}
		}
	case *journal.PromptAsked:
		s.asking = d.Question
	case *journal.PromptAnswered:
		s.asking = ""
	}
	if text := words(e, s.names); text != "" {
		s.say("%s  %s", e.Time.Local().Format("15:04:05.000"), text)
	}
}

// progress takes in samples as they come, ahead of the journal.
func (s *state) progress(p run.Progress) {
	since := s.folder.Progress().Since
	for name, letters := range p.Good {
		c, line := s.counts[name], courseOf(s.courses, name)
		for i := range len(letters) {
			at := p.Samples[i].Scheduled
			b := line.at(at)
			counts := c != nil && !at.Before(since)
			switch letters[i] {
			case journal.GoodMissing:
				if counts {
					c.Missing++
				}
				continue
			case journal.GoodNo:
				if counts {
					c.Bad++
				}
				if b != nil {
					b.bad++
				}
			default:
				if b != nil {
					b.good++
				}
			}
			if counts {
				c.N++
			}
		}
	}
	line := courseOf(s.latency, p.Probe)
	for _, x := range p.Samples {
		if b := line.at(x.Scheduled); b != nil && x.Status == schema.OK && len(b.latencies) < mostLatencies && x.Latency >= 0 {
			b.latencies = append(b.latencies, x.Latency)
		}
	}
	for _, g := range p.Guards {
		s.guards[g.Guard] = g
	}
}

func courseOf(all map[string]*course, name string) *course {
	c := all[name]
	if c == nil {
		c = new(course)
		all[name] = c
	}
	return c
}
