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
	firstRetry  = 200 * time.Millisecond
	longestWait = 5 * time.Second
)

// revert puts a fault back, again and again until it is done or the patience ends.
func (r *run) revert(x *experiment, s *step, cause string) {
	s.state = busy
	f := s.fault
	by := "engine"
	if cause == "target" {
		by = "target"
	}
	q := wire.Revert{Lease: f.lease(r.Epoch, r.Run), Type: s.plan.Type, By: by, Targets: f.undo}
	giveUp := time.Now().Add(s.plan.RevertBudget + r.Patience)
	r.start(func() {
		results, err := r.revertUntil(s, q, giveUp)
		if err == nil && f.ambiguous {
			results, err = r.revertLate(s, q, results, giveUp)
		}
		r.send(func() { r.reverted(x, s, cause, results, err) })
	})
}

// revertUntil tries until every target is settled. It runs outside the owner.
func (r *run) revertUntil(s *step, q wire.Revert, giveUp time.Time) (results []wire.Reverted, err error) {
	timeout := s.plan.RevertBudget + r.Patience/2
	for wait := firstRetry; ; wait = min(2*wait, longestWait) {
		var plugin Plugin
		if plugin, err = r.livingFor(s.plan.Plugin); err == nil {
			ctx, cancel := context.WithTimeout(r.life, timeout)
			results, err = plugin.Revert(ctx, q)
			cancel()
			if err == nil {
				if missing := unanswered(q.Targets, results); missing != "" {
					err = fmt.Errorf("the plugin gave no answer for %s", missing)
				}
			}
		}
		if err == nil || time.Now().Add(wait).After(giveUp) {
			return results, err
		}
		pause(r.life, wait)
	}
}

// livingFor asks the owner for a plugin that runs.
func (r *run) livingFor(name string) (Plugin, error) {
	type answer struct {
		p   Plugin
		err error
	}
	got := make(chan answer, 1)
	if !r.send(func() {
		p, err := r.living(r.life, name)
		got <- answer{p, err}
	}) {
		return nil, errors.New("the run is over")
	}
	a := <-got
	return a.p, a.err
}

// revertLate deals with an injection that gave no answer: it may take effect after
// its revert, so that it is looked at until it no longer can, and reverted again if
// it bites.
func (r *run) revertLate(s *step, q wire.Revert, results []wire.Reverted, giveUp time.Time) ([]wire.Reverted, error) {
	last := s.fault.deadline.Add(s.plan.Settle)
	for time.Now().Before(last) {
		plugin, err := r.livingFor(s.plan.Plugin)
		if err != nil {
			return results, err
		}
		ctx, cancel := context.WithTimeout(r.life, observeTimeout)
		seen, err := plugin.Observe(ctx, wire.Observe{Type: s.plan.Type, Config: s.plan.Full, Targets: q.Targets})
		cancel()
		if err == nil && slices.ContainsFunc(seen, func(o wire.Observed) bool { return o.Err == "" && o.Bites && !o.Ended }) {
			q.Again = true
			if results, err = r.revertUntil(s, q, giveUp.Add(time.Until(last))); err != nil {
				return results, err
			}
		}
		pause(r.life, min(lookEvery, time.Until(last)))
	}
	return results, nil
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

func unanswered(asked []wire.Undo, results []wire.Reverted) string {
	for _, u := range asked {
		if !slices.ContainsFunc(results, func(x wire.Reverted) bool { return x.Target == u.Target }) {
			return u.Target
		}
	}
	return ""
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
	r.flushAll(x)
	event := r.record(e)
	s.state, s.ended = done, event.Time
	f.unlock()
	if !slices.ContainsFunc(x.steps, func(o *step) bool { return o.fault != nil && o.state != done }) {
		x.revertedAt = event.Time
	}
	if slices.ContainsFunc(e.Targets, func(o journal.TargetOutcome) bool { return o.Residue }) {
		x.problem = fmt.Sprintf("fault %s could not be put back everywhere", s.plan.Name)
	}
	r.start(func() {
		if err := r.Journal.Sync(); err != nil {
			r.send(func() { r.journalFailed(err) })
		}
	})
}
