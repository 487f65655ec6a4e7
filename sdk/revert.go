package sdk

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/faultline-go/faultline/sdk/arbiter"
	"github.com/faultline-go/faultline/sdk/wire"
)

// Revert ends the lease, if this process holds it, and puts back. No epoch is too
// old for it: putting back is always right.
func (s *server) Revert(ctx context.Context, q wire.Revert, send func(wire.Reverted) error) error {
	if _, err := lookup(s.faults, "fault", q.Type); err != nil {
		return err
	}
	results, err := s.leases.revert(ctx, q)
	for _, r := range results {
		if err := send(r); err != nil {
			return err
		}
	}
	return err
}

// revert puts targets back by the arbiter's rule: under the fault's lock, after a
// look at the outcomes on record. Without a run folder there is nobody to settle it
// with; and a folder that cannot be written or read never keeps a fault in place.
func (s *server) revert(ctx context.Context, q wire.Revert, in injection) ([]wire.Reverted, error) {
	f, err := lookup(s.faults, "fault", q.Type)
	if err != nil {
		return nil, err
	}
	lock, err := s.lock(ctx, q.Lease.Fault)
	if err != nil {
		return nil, err
	}
	known, record := arbiter.New(q.Lease.Fault), lock != nil && !in.running
	if lock != nil {
		defer lock.Unlock()
		switch o, err := lock.Outcome(); {
		case err == nil:
			known = o
		default:
			s.leases.warn(fmt.Errorf("reverting without the outcomes on record: %w", err))
			record = record && !errors.Is(err, arbiter.ErrTooNew) // a newer program's file is not ours to replace
		}
	}
	var results []wire.Reverted
	var open []wire.Undo
	for _, t := range q.Targets {
		if r, ok := known.Of(t.Target); ok && !q.Again && in.settles(r.At) {
			results = append(results, r)
		} else {
			open = append(open, t)
		}
	}
	var failed []error
	_ = fanOut(open, f.desc.Concurrency, func(u wire.Undo) wire.Reverted {
		return revertOne(ctx, f, u, q.By)
	}, func(r wire.Reverted) error {
		results = append(results, r)
		known.Set(r)
		if r.Outcome == wire.OutcomeFailed {
			failed = append(failed, fmt.Errorf("%s: %s", r.Target, r.Err))
		}
		return nil
	})
	if record && len(open) > 0 {
		if err := lock.Record(known); err != nil {
			// What was put back stays put back; the next one looks again.
			s.leases.warn(err)
		}
	}
	return results, errors.Join(failed...)
}

// lock takes the fault's lock; nil where there is none to take. It fails only when
// somebody else holds it until ctx ends.
func (s *server) lock(ctx context.Context, fault string) (*arbiter.Lock, error) {
	dir := s.runDir()
	if dir == "" {
		return nil, nil
	}
	lock, err := dir.Lock(ctx, fault)
	if err != nil && ctx.Err() == nil {
		s.leases.warn(fmt.Errorf("reverting without the lock: %w", err))
		return nil, nil
	}
	return lock, err
}

func revertOne(ctx context.Context, f fault, u wire.Undo, by string) wire.Reverted {
	r, err := f.revert(logging(ctx, f.desc.Type, u.Target), u.Undo)
	if err == nil {
		switch r.Outcome {
		case PutBack, AlreadyGone, ForeignChange:
		default:
			err = fmt.Errorf("revert returned the outcome %q, which there is not", r.Outcome)
		}
	}
	if err != nil {
		return wire.Reverted{Target: u.Target, Outcome: wire.OutcomeFailed, By: by, Residue: true, Err: err.Error(), At: now()}
	}
	return wire.Reverted{Target: u.Target, Outcome: string(r.Outcome), By: by, Proof: r.Proof, Residue: r.Residue, At: now()}
}

func (s *server) bites(ctx context.Context, q wire.Inject) (bool, error) {
	f, err := lookup(s.faults, "fault", q.Type)
	if err != nil {
		return false, err
	}
	type seen struct {
		bites bool
		err   error
	}
	var any bool
	var failed []error
	_ = fanOut(q.Targets, f.desc.Concurrency, func(u wire.Undo) seen {
		e, err := f.observe(logging(ctx, q.Type, u.Target), q.Config, u.Undo)
		return seen{e.Bites && !e.Ended, err}
	}, func(x seen) error {
		any = any || x.bites
		if x.err != nil && !gone(x.err) {
			failed = append(failed, x.err)
		}
		return nil
	})
	return any, errors.Join(failed...)
}

// leastBudget is added to what a fault declares: for the lock, and a busy machine.
const leastBudget = 30 * time.Second

func (s *server) budget(q wire.Inject) time.Duration {
	f, err := lookup(s.faults, "fault", q.Type)
	if err != nil {
		return leastBudget
	}
	rounds := (len(q.Targets) + f.desc.Concurrency - 1) / f.desc.Concurrency
	return leastBudget + time.Duration(rounds)*time.Duration(f.desc.RevertMS)*time.Millisecond
}

func (s *server) settle(q wire.Inject) time.Duration {
	f, err := lookup(s.faults, "fault", q.Type)
	if err != nil {
		return 0
	}
	return time.Duration(f.desc.SettleMS) * time.Millisecond
}
