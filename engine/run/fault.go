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
	// cancelGrace is how long an injection that was told to stop may still be at it.
	cancelGrace = 5 * time.Second
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
	called    time.Time // when the injection was asked for
	in        time.Time // when every target had it
	until     time.Time // planned end: duration after that
	deadline  time.Time // of the injection
	late      time.Time // until then an injection without a clear answer may take effect
	reverting time.Time // when its revert began
	bites     map[string]bool
	ended     map[string]bool   // the target came back by itself, or was gone before
	trouble   map[string]string // why a target could not be measured, as recorded
	observing bool
	looked    bool // an observation has come back
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
	plugin, err := r.crew.alive(s.plan.Plugin)
	if err != nil {
		r.injectFailed(x, s, err.Error())
		return
	}
	r.start(func() {
		ctx, cancel := context.WithTimeout(x.calls, prepareTimeout+r.slack(s.plan.Plugin))
		defer cancel()
		if r.Guarded != nil {
			news, err := r.Guarded(ctx)
			if news != "" {
				r.send(func() { r.record(&journal.Warning{Experiment: x.plan.Spec.Name, Text: news}) })
			}
			if err != nil {
				r.send(func() { r.unguarded(x, s, err) })
				return
			}
		}
		results, err := plugin.Prepare(ctx, s.plan.PrepareRequest())
		r.send(func() { r.prepared(x, s, plugin, results, err) })
	})
}

// unguarded ends a fault that nobody would put back if this process died.
func (r *run) unguarded(x *experiment, s *step, err error) {
	if r.stopping(x) != "" {
		s.leaveOut()
		return
	}
	r.injectFailed(x, s, err.Error())
}

// injectFailed ends a fault that was not injected: nothing was touched.
func (r *run) injectFailed(x *experiment, s *step, why string) {
	x.fails("fault %s was not injected: %s", s.plan.Name, why)
	s.leaveOut()
}

// prepared takes the undo records and makes the intent. A target that has died by
// itself is left out: a fact, no error.
func (r *run) prepared(x *experiment, s *step, plugin Plugin, results []wire.Prepared, err error) {
	r.noticeDeath(s.plan.Plugin, plugin)
	if r.stopping(x) != "" {
		s.leaveOut() // nothing was touched, and a call that was told to stop is no failure
		return
	}
	if err != nil {
		r.injectFailed(x, s, "prepare: "+err.Error())
		return
	}
	r.faultID++
	f := &fault{
		id:    fmt.Sprintf("f%03d", r.faultID),
		bites: map[string]bool{}, ended: map[string]bool{}, trouble: map[string]string{},
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
		s.leaveOut() // every target is gone: not exercised
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
	if err := r.Journal.Reserve(r.reserveFor(x, f)); err != nil {
		abandon(err)
		return
	}
	r.flushAll(x)
	e, err := r.Journal.Append(f.intent)
	if err != nil {
		abandon(err) // and it is not shown: what is not on record is not begun
		return
	}
	r.show(e)
	s.fault = f
	r.announced = append(r.announced, s)
	r.beginDuring(x, e.Time)
	r.start(func() {
		err := r.Journal.Sync()
		r.send(func() {
			switch {
			case err != nil:
				r.notInjected(x, s, "error")
				r.journalFailed(err)
				x.fails("fault %s was not injected: its undo record could not be written: %v", s.plan.Name, err)
			case r.stopping(x) != "":
				r.notInjected(x, s, r.stopping(x))
			default:
				r.callInject(x, s, plugin)
			}
		})
	})
}

// reserveFor is the journal space that must stay free: for the intent that is about
// to be written, and for the end of every fault that is on.
func (r *run) reserveFor(x *experiment, f *fault) int64 {
	size := int64(reserveFixed)
	for _, s := range x.steps {
		if s.fault != nil && s.state != done {
			size += int64(len(s.fault.undo)) * reservePerTarget
		}
	}
	for _, u := range f.undo {
		size += reservePerTarget + 2*int64(len(u.Undo))
	}
	return size
}

// notInjected ends a fault whose intent is in the journal and whose injection was
// never asked for.
func (r *run) notInjected(x *experiment, s *step, cause string) {
	e := &journal.FaultReverted{ID: s.fault.id, Cause: cause}
	for _, u := range s.fault.undo {
		e.Targets = append(e.Targets, journal.TargetOutcome{
			ID: u.Target, Outcome: journal.AlreadyGone, By: "engine", Proof: "it was never injected", At: time.Now().UTC(),
		})
	}
	r.ended(x, s, e)
}

func (r *run) callInject(x *experiment, s *step, plugin Plugin) {
	f := s.fault
	s.state = injecting
	// Where the plugin would end the lease there is nothing more to wait for.
	slack := r.slack(s.plan.Plugin)
	timeout := min(injectTimeout+s.plan.RevertBudget, f.intent.HardEnd-s.plan.Lease/3) + slack
	f.called = time.Now()
	f.deadline = f.called.Add(timeout)
	q := wire.Inject{
		Lease: f.lease(r.Epoch, r.Run), Type: s.plan.Type, Config: s.plan.Full, Targets: f.undo,
		TTL: s.plan.Lease + slack, HardEnd: f.intent.HardEnd + slack,
	}
	ctx, cancel := context.WithTimeout(x.calls, timeout)
	r.start(func() {
		defer cancel()
		results, err := plugin.Inject(ctx, q)
		r.send(func() { r.injected(x, s, plugin, results, err) })
	})
}

// injected takes an injection's answer. No answer means that it may be in, and a
// failed one that it may still take effect.
func (r *run) injected(x *experiment, s *step, plugin Plugin, results []wire.Injected, err error) {
	r.noticeDeath(s.plan.Plugin, plugin)
	f := s.fault
	states, failed := f.states(results)
	now := time.Now()
	if err == nil && failed == "" {
		r.record(&journal.FaultActive{ID: f.id, Targets: states})
		s.state, f.in, f.nextLook = active, now, now
		f.until = f.in.Add(s.plan.Duration)
		// An injection that took long must not carry the fault beyond its lease's hard
		// end, where the plugin would end it.
		if last := f.called.Add(f.intent.HardEnd - s.plan.Lease/3 + r.slack(s.plan.Plugin)); f.until.After(last) {
			f.until = last
		}
		return
	}
	switch why := r.stopping(x); {
	case errors.Is(err, wire.ErrGone):
		// The plugin goes on with nothing; what it asked of others may.
		f.late = now.Add(s.plan.Settle)
		r.ambiguous(x, s, err)
	case why != "" && x.calls.Err() != nil:
		// We told it to stop: neither an answer nor a failure.
		f.late = earlier(f.deadline, now.Add(cancelGrace)).Add(s.plan.Settle)
		r.revert(x, s, why)
		return
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled):
		// A call that has ended does not stand at a breakpoint.
		f.late = later(f.deadline.Add(-r.slack(s.plan.Plugin)), now).Add(s.plan.Settle)
		r.ambiguous(x, s, err)
	default:
		if err != nil {
			failed = err.Error()
		}
		f.late = now.Add(s.plan.Settle)
		r.record(&journal.FaultFailed{ID: f.id, Error: failed, Targets: states})
		x.fails("fault %s failed: %s", s.plan.Name, failed)
	}
	r.revert(x, s, "error")
}

func (r *run) ambiguous(x *experiment, s *step, err error) {
	r.record(&journal.FaultAmbiguous{ID: s.fault.id, Error: err.Error()})
	x.fails("fault %s: no answer to its injection: %v", s.plan.Name, err)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
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
