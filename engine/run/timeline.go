package run

import (
	"context"
	"slices"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/plan"
	"github.com/faultline-go/faultline/engine/scenario"
)

// stepState says where a step is.
type stepState int

const (
	waiting   stepState = iota // for its time
	busy                       // a call is under way; its answer moves the step on
	injecting                  // the same, and the plugin holds a lease already
	active                     // a fault that is in
	done                       // it is over: verified gone, done, or left behind as residue
)

// step is a fault, an action or a prompt on the time line.
type step struct {
	plan    *plan.Step
	state   stepState
	ended   time.Time // when it became done
	skipped bool      // it never began
	fault   *fault    // of a fault that has begun
	asked   time.Time // of a prompt
	hush    func()    // takes a prompt's question back
}

// leaveOut ends a step that has not begun.
func (s *step) leaveOut() { s.state, s.skipped, s.ended = done, true, time.Now() }

// timeline performs the steps of an experiment, and returns when all of them are
// over. When the run stops, or the hypothesis is proven broken, what is in is
// reverted at once and what has not begun is left out.
func (r *run) timeline(x *experiment) {
	begin := time.Now()
	r.until(func() (bool, time.Time) {
		over := true
		var again time.Time
		at := func(t time.Time) {
			if again.IsZero() || t.Before(again) {
				again = t
			}
		}
		r.watchGuards(x)
		r.watchLeases(x, at)
		r.proven(x)
		if why := r.stopping(x); why != "" && why != "early_stop" {
			x.stopCalls()
		}
		for _, s := range x.steps {
			r.advance(x, s, begin, at)
			over = over && s.state == done
		}
		r.afterLastFault(x)
		for _, g := range x.guards {
			if _, t := g.check(time.Now()); !t.IsZero() {
				at(t)
			}
		}
		return over, again
	})
	r.flushAll(x)
}

// stopping says why what is in is to be reverted now, if it is.
func (r *run) stopping(x *experiment) string {
	switch {
	case r.stopped != nil && r.stopped.lease:
		return "lease"
	case r.stopped != nil && !r.stopped.errored:
		return "abort"
	case r.stopped != nil || x.problem != "":
		return "error"
	case x.early != nil:
		return "early_stop"
	default:
		return ""
	}
}

// advance moves a step on if it is time to; otherwise it says when it will be.
func (r *run) advance(x *experiment, s *step, begin time.Time, at func(time.Time)) {
	now := time.Now()
	switch s.state {
	case waiting:
		if r.stopping(x) != "" {
			s.leaveOut()
			return
		}
		from, ready := begin, true
		for _, other := range x.steps {
			for _, name := range s.plan.After {
				if other.plan.Name != name {
					continue
				}
				ready = ready && other.state == done
				if other.ended.After(from) {
					from = other.ended
				}
			}
		}
		if !ready {
			return // the answer of the step before wakes us
		}
		if s.plan.Kind == scenario.FaultStep && r.doubtful(s) {
			return // nothing is injected that nobody would hold; the end of the doubt wakes us
		}
		due := from.Add(s.plan.Offset)
		if now.Before(due) {
			at(due)
			return
		}
		s.state = busy
		switch s.plan.Kind {
		case scenario.ActionStep:
			r.act(x, s)
		case scenario.PromptStep:
			r.ask(x, s)
		default:
			r.inject(x, s)
		}
	case busy:
		if s.plan.Kind == scenario.PromptStep && r.stopping(x) != "" {
			r.hushed(x, s)
		}
	case active:
		if why := r.stopping(x); why != "" {
			r.revert(x, s, why)
			return
		}
		f := s.fault
		if r.doubtful(s) {
			return
		}
		switch {
		case f.allEnded():
			r.revert(x, s, "target")
		case x.toEnd(s) && f.looked: // what nobody has seen bite is no test
			r.revert(x, s, "step")
		case !now.Before(f.until):
			r.revert(x, s, "duration")
		default:
			at(f.until)
			if !f.observing {
				if !now.Before(f.nextLook) {
					r.observe(s)
				} else {
					at(f.nextLook)
				}
			}
		}
	}
}

// toEnd says whether the steps are over that a fault ends after.
func (x *experiment) toEnd(s *step) bool {
	if len(s.plan.EndsAfter) == 0 {
		return false
	}
	for _, other := range x.steps {
		if slices.Contains(s.plan.EndsAfter, other.plan.Name) && other.state != done {
			return false
		}
	}
	return true
}

// act performs an action. One that fails makes the experiment something else than
// was planned, so that it ends.
func (r *run) act(x *experiment, s *step) {
	plugin, err := r.crew.alive(s.plan.Plugin)
	if err != nil {
		r.acted(x, s, 0, "", err)
		return
	}
	began := time.Now()
	r.start(func() {
		ctx, cancel := context.WithTimeout(x.calls, s.plan.Timeout)
		defer cancel()
		detail, err := plugin.Act(ctx, s.plan.Type, s.plan.Full)
		r.send(func() { r.acted(x, s, time.Since(began), detail, err) })
	})
}

func (r *run) acted(x *experiment, s *step, took time.Duration, detail string, err error) {
	e := &journal.ActionDone{Experiment: x.plan.Spec.Name, Action: s.plan.Name, Took: took, Detail: detail}
	if err != nil {
		e.Error = err.Error()
		if r.stopped == nil { // else it was told to stop
			x.fails("action %s failed: %v", s.plan.Name, err)
		}
	}
	r.record(e)
	s.state, s.ended = done, time.Now()
}
