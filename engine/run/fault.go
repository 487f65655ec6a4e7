package run

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/sdk/wire"
)

const (
	prepareTimeout = 30 * time.Second
	injectTimeout  = 30 * time.Second // on top of the revert budget, which grows with the targets
	observeTimeout = 10 * time.Second
	lookEvery      = 500 * time.Millisecond // between observations of a fault that is in
	lookShare      = 5                      // and so many times what the last one took
	// reservePerTarget is journal space kept for what must be written after an
	// injection even when the disk is full.
	reservePerTarget = 4 << 10
	reserveFixed     = 64 << 10
)

// fault is a fault from its intent on.
type fault struct {
	id        string
	intent    *journal.FaultIntent
	undo      []wire.Undo
	unlock    func()
	in        time.Time // when every target had it
	until     time.Time // planned end: duration after that
	deadline  time.Time // of the injection
	ambiguous bool      // the injection gave no answer
	bites     map[string]bool
	ended     map[string]bool // the target came back by itself, or was gone before
	observing bool
	nextLook  time.Time
}

func (f *fault) allEnded() bool { return len(f.undo) > 0 && len(f.ended) == len(f.undo) }

func (f *fault) lease(epoch int, run string) wire.Lease {
	return wire.Lease{Run: run, Fault: f.id, Epoch: epoch}
}

// inject begins a fault: Prepare, then the intent on disk, then Inject.
func (r *run) inject(x *experiment, s *step) {
	if over := r.overLimit(x, s); over != "" {
		r.injectFailed(x, s, over)
		return
	}
	plugin, err := r.living(r.life, s.plan.Plugin)
	if err != nil {
		r.injectFailed(x, s, err.Error())
		return
	}
	r.start(func() {
		ctx, cancel := context.WithTimeout(r.life, prepareTimeout)
		defer cancel()
		results, err := plugin.Prepare(ctx, s.plan.PrepareRequest())
		r.send(func() { r.prepared(x, s, plugin, results, err) })
	})
}

// overLimit holds the injection against the limits once more: what was planned may
// take longer than planned, and then be on together with something else.
func (r *run) overLimit(x *experiment, s *step) string {
	limit := r.Plan.Limits.MaxTargets
	if limit == 0 {
		return ""
	}
	touched := map[string]bool{}
	for _, o := range x.steps {
		if o == s || o.fault != nil && o.state != done {
			for _, t := range o.plan.Targets {
				touched[t.Kind+" "+t.ID] = true
			}
		}
	}
	if len(touched) > limit {
		return fmt.Sprintf("%d targets would be touched at once, the limit is max_targets = %d", len(touched), limit)
	}
	return ""
}

// injectFailed ends a fault that was not injected: nothing was touched.
func (r *run) injectFailed(x *experiment, s *step, why string) {
	x.problem = fmt.Sprintf("fault %s was not injected: %s", s.plan.Name, why)
	s.state, s.ended, s.skipped = done, time.Now(), true
}

// prepared takes the undo records and makes the intent. A target that has died by
// itself is left out: a fact, no error.
func (r *run) prepared(x *experiment, s *step, plugin Plugin, results []wire.Prepared, err error) {
	if err != nil {
		r.injectFailed(x, s, "prepare: "+err.Error())
		return
	}
	if r.stopping(x) != "" {
		s.state, s.ended, s.skipped = done, time.Now(), true
		return
	}
	r.faultID++
	f := &fault{
		id:    fmt.Sprintf("f%03d", r.faultID),
		bites: map[string]bool{}, ended: map[string]bool{},
	}
	f.intent = &journal.FaultIntent{
		ID: f.id, Experiment: x.plan.Spec.Name, Fault: s.plan.Name, Type: s.plan.Type, Plugin: s.plan.Plugin,
		Hold: string(s.plan.Hold), Lease: s.plan.Lease, HardEnd: s.plan.Duration + s.plan.Lease, Config: s.plan.Config,
	}
	var resources []string
	for _, t := range s.plan.Targets {
		i := slices.IndexFunc(results, func(p wire.Prepared) bool { return p.Target == t.ID })
		if i < 0 {
			r.injectFailed(x, s, "prepare: the plugin gave no answer for "+t.Name)
			return
		}
		p := results[i]
		if p.Gone {
			r.record(&journal.Warning{Experiment: x.plan.Spec.Name, Text: fmt.Sprintf("%s had gone by itself before fault %s: %s", t.Name, s.plan.Name, p.Err)})
			continue
		}
		if p.Err != "" {
			r.injectFailed(x, s, fmt.Sprintf("prepare %s: %s", t.Name, p.Err))
			return
		}
		f.intent.Targets = append(f.intent.Targets, journal.TargetIntent{
			ID: t.ID, Name: t.Name, Kind: t.Kind, Incarnation: p.Incarnation, Resources: p.Resources, Undo: p.Undo,
		})
		f.undo = append(f.undo, wire.Undo{Target: t.ID, Undo: p.Undo})
		resources = append(resources, p.Resources...)
	}
	if len(f.undo) == 0 {
		s.state, s.ended, s.skipped = done, time.Now(), true // every target is gone: not exercised
		return
	}
	f.unlock = func() {}
	if r.Lock != nil {
		if f.unlock, err = r.Lock(resources); err != nil {
			r.injectFailed(x, s, err.Error())
			return
		}
	}
	r.intend(x, s, f, plugin)
}

// intend puts the intent on disk; only then is anything broken.
func (r *run) intend(x *experiment, s *step, f *fault, plugin Plugin) {
	abandon := func(err error) {
		f.unlock()
		r.journalFailed(err)
		r.injectFailed(x, s, "its undo record could not be written: "+err.Error())
	}
	if err := r.Journal.Reserve(reserveFixed + int64(len(f.undo))*reservePerTarget); err != nil {
		abandon(err)
		return
	}
	r.flushAll(x)
	e := r.record(f.intent)
	if r.journal != nil {
		abandon(r.journal)
		return
	}
	s.fault = f
	r.beginDuring(x, e.Time)
	r.start(func() {
		err := r.Journal.Sync()
		r.send(func() {
			switch {
			case err != nil:
				s.fault = nil
				abandon(err)
			case r.stopping(x) != "":
				r.revert(x, s, r.stopping(x)) // nothing was injected; the record says so
			default:
				r.callInject(x, s, plugin)
			}
		})
	})
}

func (r *run) callInject(x *experiment, s *step, plugin Plugin) {
	f := s.fault
	s.state = injecting
	timeout := injectTimeout + s.plan.RevertBudget
	f.deadline = time.Now().Add(timeout)
	q := wire.Inject{
		Lease: f.lease(r.Epoch, r.Run), Type: s.plan.Type, Config: s.plan.Full, Targets: f.undo,
		TTL: s.plan.Lease, HardEnd: f.intent.HardEnd,
	}
	r.start(func() {
		ctx, cancel := context.WithTimeout(r.life, timeout)
		defer cancel()
		results, err := plugin.Inject(ctx, q)
		r.send(func() { r.injected(x, s, results, err) })
	})
}

// injected takes an injection's answer. No answer means that it may be in.
func (r *run) injected(x *experiment, s *step, results []wire.Injected, err error) {
	f := s.fault
	states, failed := f.states(results)
	switch {
	case err != nil && (errors.Is(err, wire.ErrGone) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)):
		f.ambiguous = true
		if errors.Is(err, wire.ErrGone) {
			f.deadline = time.Now() // the plugin goes on with nothing; what it asked of others may
		}
		r.record(&journal.FaultAmbiguous{ID: f.id, Error: err.Error()})
		x.problem = fmt.Sprintf("fault %s: no answer to its injection: %v", s.plan.Name, err)
		r.revert(x, s, "error")
	case err != nil || failed != "":
		if err != nil {
			failed = err.Error()
		}
		r.record(&journal.FaultFailed{ID: f.id, Error: failed, Targets: states})
		x.problem = fmt.Sprintf("fault %s failed: %s", s.plan.Name, failed)
		r.revert(x, s, "error")
	default:
		r.record(&journal.FaultActive{ID: f.id, Targets: states})
		s.state = active
		f.in = time.Now()
		f.until = f.in.Add(s.plan.Duration)
		f.nextLook = f.in
	}
}

// states converts an injection's results, and says what failed of it.
func (f *fault) states(results []wire.Injected) (states []journal.TargetState, failed string) {
	for _, u := range f.undo {
		i := slices.IndexFunc(results, func(x wire.Injected) bool { return x.Target == u.Target })
		if i < 0 {
			failed = "the plugin gave no answer for " + u.Target
			continue
		}
		x := results[i]
		states = append(states, journal.TargetState{ID: x.Target, OK: x.Err == "", Gone: x.Gone, Error: x.Err, At: x.At})
		switch {
		case x.Gone:
			f.ended[x.Target] = true
		case x.Err != "":
			failed = fmt.Sprintf("%s: %s", x.Target, x.Err)
		}
	}
	return states, failed
}

// observe measures what the fault does.
func (r *run) observe(s *step) {
	f := s.fault
	plugin := r.plugins[s.plan.Plugin]
	f.observing = true
	began := time.Now()
	q := wire.Observe{Type: s.plan.Type, Config: s.plan.Full, Targets: f.undo}
	r.start(func() {
		ctx, cancel := context.WithTimeout(r.life, observeTimeout)
		defer cancel()
		results, err := plugin.Observe(ctx, q)
		r.send(func() {
			f.observing = false
			f.nextLook = time.Now().Add(max(lookEvery, lookShare*time.Since(began)))
			r.observed(f, results, err)
		})
	})
}

// observed records what is new: a target that bites, or that has come back.
func (r *run) observed(f *fault, results []wire.Observed, err error) {
	if err != nil {
		return // it is looked at again; a plugin that died is noticed elsewhere
	}
	var news []journal.Effect
	for _, o := range results {
		if o.Err != "" || f.ended[o.Target] || o.Bites == f.bites[o.Target] && !o.Ended {
			continue
		}
		f.bites[o.Target] = o.Bites
		if o.Ended {
			f.ended[o.Target] = true
		}
		news = append(news, effectOf(o))
	}
	if len(news) > 0 {
		r.record(&journal.FaultObserved{ID: f.id, Effects: news})
	}
}

func effectOf(o wire.Observed) journal.Effect {
	return journal.Effect{Target: o.Target, Bites: o.Bites, Ended: o.Ended, Detail: o.Detail, Measures: o.Measures, At: o.At, Error: o.Err}
}

// openUndos lists the faults of this run, of one plugin, whose targets are not all
// put back: what a scan should look for.
func (r *run) openUndos(plugin string) []wire.Known {
	var known []wire.Known
	if r.now == nil {
		return known
	}
	for _, s := range r.now.steps {
		if s.fault != nil && s.plan.Plugin == plugin && s.state != done {
			known = append(known, wire.Known{Type: s.plan.Type, Fault: s.fault.id, Targets: s.fault.undo})
		}
	}
	return known
}
