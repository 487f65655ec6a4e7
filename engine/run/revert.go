package run

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/sdk/wire"
)

const (
	firstRetry  = 200 * time.Millisecond
	longestWait = 5 * time.Second
)

// revert puts a fault back, again and again until it is done or the patience ends.
func (r *run) revert(x *experiment, s *step, cause string) {
	f := s.fault
	s.state, f.reverting = busy, time.Now()
	by := "engine"
	if cause == "target" {
		by = "target"
	}
	q := wire.Revert{Lease: f.lease(r.Epoch, r.Run), Type: s.plan.Type, By: by, Targets: f.undo}
	late := f.late
	r.start(func() {
		results, err := r.revertUntil(s, q)
		if err == nil && !late.IsZero() {
			results, err = r.revertLate(s, q, results, late)
		}
		r.send(func() { r.reverted(x, s, cause, results, err) })
	})
}

// revertUntil tries until every target is settled. What one attempt has put back the
// next one does not touch. It runs outside the owner.
func (r *run) revertUntil(s *step, q wire.Revert) (settled []wire.Reverted, err error) {
	giveUp := time.Now().Add(s.plan.RevertBudget + r.Patience + r.slack(s.plan.Plugin))
	open := q.Targets
	failures := map[string]wire.Reverted{}
	for wait := firstRetry; ; wait = min(2*wait, longestWait) {
		q.Targets = open
		var results []wire.Reverted
		results, err = r.revertOnce(s, q, giveUp)
		for _, o := range results {
			if o.Outcome == wire.OutcomeFailed {
				failures[o.Target] = o
				continue
			}
			settled = append(settled, o)
			delete(failures, o.Target)
		}
		open = slices.DeleteFunc(slices.Clone(open), func(u wire.Undo) bool { return answered(results, u.Target) })
		if len(open) == 0 {
			return settled, nil
		}
		if err == nil {
			err = fmt.Errorf("the plugin gave no answer for %s", open[0].Target)
			if f, ok := failures[open[0].Target]; ok {
				err = fmt.Errorf("%s: %s", f.Target, f.Err)
			}
		}
		if time.Now().Add(wait).After(giveUp) {
			return slices.AppendSeq(settled, maps.Values(failures)), err
		}
		pause(r.life, wait)
	}
}

// revertOnce is one attempt, by a plugin that is started anew if it must be.
func (r *run) revertOnce(s *step, q wire.Revert, giveUp time.Time) ([]wire.Reverted, error) {
	ctx, cancel := context.WithTimeout(r.life, min(s.plan.RevertBudget+r.Patience/2+r.slack(s.plan.Plugin), time.Until(giveUp)))
	defer cancel()
	plugin, err := r.crew.living(ctx, s.plan.Plugin)
	if err != nil {
		return nil, err
	}
	stop := r.crew.attend(ctx, s.plan.Plugin, plugin)
	defer stop()
	return plugin.Revert(ctx, q)
}

// revertLate deals with an injection that gave no clear answer: it may take effect
// after its revert, so that it is looked at until it no longer can, and reverted
// again if it bites. When nobody could look at the end, it is reverted again as well.
// It runs outside the owner.
func (r *run) revertLate(s *step, q wire.Revert, results []wire.Reverted, last time.Time) ([]wire.Reverted, error) {
	q.Again = true
	for {
		final := !time.Now().Before(last)
		bites, err := r.stillBites(s)
		if bites || err != nil && final {
			again, err := r.revertUntil(s, q)
			results = again
			if err != nil {
				return results, err
			}
		}
		if final {
			return results, nil
		}
		pause(r.life, min(lookEvery, time.Until(last)))
	}
}

// stillBites looks at the targets once. It runs outside the owner.
func (r *run) stillBites(s *step) (bool, error) {
	ctx, cancel := context.WithTimeout(r.life, observeTimeout+r.slack(s.plan.Plugin))
	defer cancel()
	plugin, err := r.crew.living(ctx, s.plan.Plugin)
	if err != nil {
		return false, err
	}
	seen, err := plugin.Observe(ctx, wire.Observe{Type: s.plan.Type, Config: s.plan.Full, Targets: s.fault.undo})
	for _, o := range seen {
		if o.Err == "" && o.Bites && !o.Ended {
			return true, nil
		}
		if o.Err != "" && err == nil {
			err = errors.New(o.Err)
		}
	}
	return false, err
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// answered says whether a target has an answer that is none of failure.
func answered(results []wire.Reverted, target string) bool {
	return slices.ContainsFunc(results, func(x wire.Reverted) bool {
		return x.Target == target && x.Outcome != wire.OutcomeFailed
	})
}

// reverted records how the revert ended, and ends the step. A target without a good
// answer is residue; the other faults go on being reverted whatever this one did.
func (r *run) reverted(x *experiment, s *step, cause string, results []wire.Reverted, err error) {
	f := s.fault
	e := &journal.FaultReverted{ID: f.id, Cause: cause}
	for _, u := range f.undo {
		i := slices.IndexFunc(results, func(o wire.Reverted) bool { return o.Target == u.Target })
		if i < 0 {
			why := "it gave no answer"
			if err != nil {
				why = err.Error()
			}
			e.Targets = append(e.Targets, journal.TargetOutcome{ID: u.Target, Outcome: journal.RevertFailed, By: "engine", Residue: true, Error: why, At: time.Now().UTC()})
			continue
		}
		o := results[i]
		e.Targets = append(e.Targets, journal.TargetOutcome{
			ID: o.Target, Outcome: journal.Outcome(o.Outcome), By: o.By, Proof: o.Proof,
			Residue: o.Residue || o.Outcome == wire.OutcomeFailed, Error: o.Err, At: o.At,
		})
	}
	r.ended(x, s, e)
	if slices.ContainsFunc(e.Targets, func(o journal.TargetOutcome) bool { return o.Residue }) {
		x.fails("fault %s could not be put back everywhere", s.plan.Name)
	}
	// Whatever we asked for, we were too late: suspended in the middle of it, say.
	bySelf := func(o journal.TargetOutcome) bool { return o.By == "plugin" }
	if r.stopped == nil && slices.ContainsFunc(e.Targets, bySelf) {
		x.fails("the lease of %s had ended before it was put back: the plugin did so by itself", s.plan.Name)
	}
}

// ended ends a step that had an intent.
func (r *run) ended(x *experiment, s *step, e *journal.FaultReverted) {
	r.flushAll(x)
	event := r.record(e)
	s.state, s.ended = done, event.Time
	s.fault.unlock()
	if !slices.ContainsFunc(x.steps, func(o *step) bool { return o.fault != nil && o.state != done }) {
		x.revertedAt = event.Time
	}
	r.start(func() {
		if err := r.Journal.Sync(); err != nil {
			r.send(func() { r.journalFailed(err) })
		}
	})
}
