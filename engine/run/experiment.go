package run

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/engine/plan"
	"github.com/faultline-go/faultline/engine/scenario"
)

// experiment is the state of the experiment that runs.
type experiment struct {
	plan   *plan.Experiment
	began  time.Time // scheduled time of the first samples
	guards []*guard

	calls     context.Context // of what can be told to stop: Prepare, Inject, actions
	stopCalls context.CancelFunc

	measuring     context.Context
	stopMeasuring context.CancelFunc
	streams       map[string]*stream
	over          bool // samples that still come belong to nothing

	phase      journal.Phase
	injectedAt time.Time // first intent: the baseline ends
	revertedAt time.Time // last verified revert so far; zero while a fault is on

	claims   map[string]journal.ObjectiveSpec
	baseline map[string]*judge.Tally
	watches  map[string]*judge.Watch  // while a fault is on
	steady   map[string]*judge.Steady // after it; nil before
	late     map[string][]sampleMark  // since the last revert so far, while more may come

	steps    []*step
	early    *journal.EarlyStop // a hypothesis was proven broken: end the faults
	problem  string             // the tool or a plugin failed in this experiment
	gateFail string
	notDue   string // another run has had the turn of what happens by chance
}

// sampleMark is a sample as one objective sees it.
type sampleMark struct {
	at time.Time
	o  judge.Outcome
}

// experiment runs one experiment, or says why it does not run.
func (r *run) experiment(p *plan.Experiment) {
	name := p.Spec.Name
	if why, ending := r.notRun(p); why != "" {
		r.record(&journal.ExperimentEnded{Experiment: name, Ending: ending, Reason: why})
		return
	}
	x := newExperiment(p)
	x.calls, x.stopCalls = context.WithCancel(r.life)
	r.now = x
	defer func() { x.stopCalls(); r.now = nil }()
	r.record(&journal.ExperimentStarted{Experiment: name})
	if p.Skip != "" {
		r.record(&journal.ExperimentEnded{Experiment: name, Ending: journal.NoTargets, Reason: p.Skip})
		return
	}
	r.startProbes(x)
	x.guards = newGuards(r.Plan.Guards, x.began)
	var ending journal.Ending
	if len(p.Spec.Faults) == 0 {
		ending = r.check(x)
	} else {
		ending = r.exercise(x)
	}
	r.stopProbes(x)
	r.record(&journal.ExperimentEnded{Experiment: name, Ending: ending, Reason: r.reason(x, ending)})
	if x.problem != "" {
		r.fail(x.problem)
	}
}

func newExperiment(p *plan.Experiment) *experiment {
	x := &experiment{
		plan:     p,
		claims:   map[string]journal.ObjectiveSpec{},
		baseline: map[string]*judge.Tally{},
		watches:  map[string]*judge.Watch{},
		late:     map[string][]sampleMark{},
	}
	for _, o := range p.Spec.Objectives {
		x.claims[o.Name] = o
		x.baseline[o.Name] = new(judge.Tally)
	}
	for i := range p.Steps {
		x.steps = append(x.steps, &step{plan: &p.Steps[i]})
	}
	return x
}

// fails notes what went wrong in the tool or a plugin; the first one is the reason.
func (x *experiment) fails(format string, args ...any) {
	if x.problem == "" {
		x.problem = fmt.Sprintf(format, args...)
	}
}

// notRun says why an experiment is left out, and how it ends so: the run stops, it is
// not due, or an experiment that it depends on did not hold.
func (r *run) notRun(p *plan.Experiment) (string, journal.Ending) {
	if r.stopped != nil {
		return "the run had stopped: " + r.stopped.reason, journal.NotRun
	}
	result := r.folder.Result()
	if len(result.Residue) > 0 {
		return "an earlier experiment left something broken: " + result.Residue[0].Target, journal.NotRun
	}
	if p.NotDue != "" {
		return p.NotDue, journal.NotDue
	}
	for _, name := range p.DependsOn {
		for _, e := range result.Experiments {
			switch {
			case e.Name != name || e.Verdict == judge.Held:
			case e.Verdict == judge.NotDue:
				return fmt.Sprintf("not due: it depends on %s, which was not due", name), journal.NotDue
			default:
				return fmt.Sprintf("it depends on %s, which was %s", name, e.Verdict), journal.NotRun
			}
		}
	}
	return "", ""
}

func (r *run) reason(x *experiment, e journal.Ending) string {
	switch e {
	case journal.BaselineFailed:
		return x.gateFail
	case journal.NotDue:
		return x.notDue
	case journal.StoppedEarly:
		return x.early.Rule
	case journal.EndedErrored:
		if x.problem != "" {
			return x.problem
		}
		return r.stopped.reason
	case journal.EndedAborted:
		return r.stopped.reason
	default:
		return ""
	}
}

// check runs an experiment without faults: its time line of actions, judged while
// it observes.
func (r *run) check(x *experiment) journal.Ending {
	if !r.takeTurn(x) {
		return r.ending(x)
	}
	r.enter(x, journal.During)
	x.injectedAt = x.began
	end := x.began.Add(x.plan.Spec.Observe)
	r.timeline(x)
	r.until(func() (bool, time.Time) {
		r.watchGuards(x)
		if r.stopped != nil || x.problem != "" {
			return true, time.Time{}
		}
		return r.soonest(x, end)
	})
	return r.ending(x)
}

// exercise runs an experiment with faults: baseline, time line, after.
func (r *run) exercise(x *experiment) journal.Ending {
	if !r.passBaseline(x) || !r.takeTurn(x) {
		return r.ending(x)
	}
	r.timeline(x)
	if r.stopped == nil && x.problem == "" && !x.injectedAt.IsZero() {
		r.after(x)
	}
	return r.ending(x)
}

func (r *run) ending(x *experiment) journal.Ending {
	switch {
	case x.problem != "" || r.stopped != nil && r.stopped.errored:
		return journal.EndedErrored
	case r.stopped != nil:
		return journal.EndedAborted
	case x.gateFail != "":
		return journal.BaselineFailed
	case x.notDue != "":
		return journal.NotDue
	case x.early != nil:
		return journal.StoppedEarly
	default:
		return journal.Completed
	}
}

func (r *run) enter(x *experiment, p journal.Phase) {
	r.flushAll(x)
	x.phase = p
	r.record(&journal.PhaseStarted{Experiment: x.plan.Spec.Name, Phase: p})
}

// passBaseline measures before anything is broken, and decides whether to go on.
func (r *run) passBaseline(x *experiment) bool {
	r.enter(x, journal.Baseline)
	end := x.began.Add(x.plan.Spec.Baseline)
	r.until(func() (bool, time.Time) {
		if r.stopped != nil {
			return true, time.Time{}
		}
		if why, _ := x.trippedGuard(); why != "" {
			return true, time.Time{}
		}
		return r.soonest(x, end)
	})
	r.flushAll(x)
	if r.stopped != nil {
		return false
	}
	if why, g := x.trippedGuard(); why != "" {
		r.record(&journal.GuardTripped{Guard: g.Name, Experiment: x.plan.Spec.Name, Reason: why})
		x.gateFail = fmt.Sprintf("guard %s tripped before any fault: %s", g.Name, why)
		return false
	}
	var fails []string
	for _, f := range judge.GateBaseline(x.plan.Spec, x.baseline) {
		fails = append(fails, f.Reason)
	}
	x.gateFail = strings.Join(fails, "; ")
	return x.gateFail == ""
}

// soonest waits for a time and for the samples scheduled before it.
func (r *run) soonest(x *experiment, end time.Time) (bool, time.Time) {
	ok, again := r.measured(x, end)
	for _, g := range x.guards {
		if _, at := g.check(time.Now()); !at.IsZero() && at.Before(again) {
			again = at
		}
	}
	return ok, again
}

func (x *experiment) trippedGuard() (string, *guard) {
	now := time.Now()
	for _, g := range x.guards {
		if why, _ := g.check(now); why != "" {
			return why, g
		}
	}
	return "", nil
}

// watchGuards aborts the run when a guard trips.
func (r *run) watchGuards(x *experiment) {
	if r.stopped != nil {
		return
	}
	if why, g := x.trippedGuard(); why != "" {
		r.record(&journal.GuardTripped{Guard: g.Name, Experiment: x.plan.Spec.Name, Reason: why})
		r.abort(&stop{cause: "guard", reason: fmt.Sprintf("guard %s: %s", g.Name, why)})
	}
}

// feed hands one sample to whatever decides with it, by its scheduled time.
func (x *experiment) feed(objective string, at time.Time, letter byte) {
	o := judge.Outcome(letter)
	if x.injectedAt.IsZero() || at.Before(x.injectedAt) {
		x.baseline[objective].Add(at, o)
		return
	}
	free := !x.revertedAt.IsZero() && !at.Before(x.revertedAt)
	switch {
	case x.steady != nil && free:
		x.steady[objective].Add(at, o)
	case x.steady == nil:
		if w := x.watches[objective]; w != nil {
			w.Add(at, o)
		}
		if free {
			x.late[objective] = append(x.late[objective], sampleMark{at, o})
		}
	}
}

// beginDuring marks an intent: the first one ends the baseline, and what came since
// an earlier fault's revert was a gap of during.
func (r *run) beginDuring(x *experiment, at time.Time) {
	x.revertedAt = time.Time{}
	clear(x.late)
	if !x.injectedAt.IsZero() {
		return
	}
	x.injectedAt = at
	x.phase = journal.During
	r.record(&journal.PhaseStarted{Experiment: x.plan.Spec.Name, Phase: journal.During})
	if x.plan.Spec.Expect == journal.Recover {
		return
	}
	for name, o := range x.claims {
		planned := judge.Expected(o.Rate, x.plan.Spec.Planned)
		x.watches[name] = judge.NewWatch(judge.ClaimOf(o, journal.During, true), x.baseline[name], planned)
	}
}

// proven asks whether an objective is proven broken while the fault is on.
func (r *run) proven(x *experiment) {
	faults := func(s *step) bool { return s.plan.Kind == scenario.FaultStep && s.state != done }
	if x.early != nil || r.stopping(x) != "" || !slices.ContainsFunc(x.steps, faults) {
		return
	}
	for _, o := range x.plan.Spec.Objectives {
		w := x.watches[o.Name]
		if w == nil {
			continue
		}
		if s, ok := w.Stop(); ok {
			s.Experiment, s.Objective = x.plan.Spec.Name, o.Name
			x.early = &s
			r.flushAll(x)
			r.record(&s)
			return
		}
	}
}

// afterLastFault begins the phase after the faults as soon as the last of them is
// verified gone, whatever actions still go on.
func (r *run) afterLastFault(x *experiment) {
	why := r.stopping(x)
	if x.steady != nil || x.injectedAt.IsZero() || len(x.plan.Spec.Faults) == 0 || why != "" && why != "early_stop" {
		return
	}
	for _, s := range x.steps {
		if s.plan.Kind == scenario.FaultStep && s.state != done {
			return
		}
	}
	x.steady = map[string]*judge.Steady{}
	for name, o := range x.claims {
		s := judge.NewSteady(judge.ClaimOf(o, journal.After, true), x.revertedAt)
		for _, m := range x.late[name] {
			s.Add(m.at, m.o)
		}
		x.steady[name] = s
	}
	r.enter(x, journal.After)
}

// after measures whether and when the system is steady again.
func (r *run) after(x *experiment) {
	spec := x.plan.Spec
	r.until(func() (bool, time.Time) {
		r.watchGuards(x)
		if r.stopped != nil {
			return true, time.Time{}
		}
		// Until it is steady: as long as it may take, and the window that would show it.
		end := x.revertedAt.Add(max(spec.Observe, spec.RecoverWithin+judge.SteadyWindow))
		if since, ok := x.steadySince(); ok {
			from := x.revertedAt
			if spec.Expect == journal.Recover {
				from = since
			}
			end = from.Add(spec.Observe)
		}
		return r.soonest(x, end)
	})
}

// steadySince is when every objective was steady again.
func (x *experiment) steadySince() (time.Time, bool) {
	var since time.Time
	for _, s := range x.steady {
		at, ok := s.Since()
		if !ok {
			return time.Time{}, false
		}
		if at.After(since) {
			since = at
		}
	}
	return since, true
}
