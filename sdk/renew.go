package sdk

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/faultline-go/faultline/sdk/wire"
)

// Lease is what a fault's Inject may know of the lease under which it works.
type Lease struct {
	Run   string
	Fault string
	// TTL is how long the fault may stay after the last renewal: what the kernel or a
	// helper holds is set to end by itself after that, and prolonged by Renew.
	TTL time.Duration
}

type leaseKey struct{}

// LeaseOf returns the lease under which Inject is called; false for any other context.
func LeaseOf(ctx context.Context) (Lease, bool) {
	l, ok := ctx.Value(leaseKey{}).(Lease)
	return l, ok
}

// WithLease returns a context from which LeaseOf takes l, for tests that call an Inject
// themselves.
func WithLease(ctx context.Context, l Lease) context.Context {
	return context.WithValue(ctx, leaseKey{}, l)
}

func leaseOf(q wire.Inject) Lease {
	return Lease{Run: q.Lease.Run, Fault: q.Lease.Fault, TTL: q.TTL}
}

// prolong carries the renewals of a lease on to what the kernel or a helper holds, one
// at a time, until the lease ends. The engine's answer never waits for it.
func (ls *leases) prolong(l *lease) {
	// The lease's end waits for this to stop, so that nothing is prolonged that is
	// being put back.
	defer close(l.still)
	select {
	case <-l.returned:
	case <-l.stop.Done():
		return
	}
	ls.mu.Lock()
	l.told, l.prolonged = true, ls.now()
	ls.mu.Unlock()
	for {
		select {
		case <-l.stop.Done():
			return
		case <-l.wake:
		}
		at := ls.now()
		err := ls.fault.prolong(l.stop, l.q)
		if l.stop.Err() != nil {
			return
		}
		if err != nil {
			ls.warn(fmt.Errorf("fault %s: its lease was renewed, but not what holds it: %w", l.q.Lease.Fault, err))
			continue
		}
		ls.mu.Lock()
		l.prolonged = at
		ls.mu.Unlock()
	}
}

// prolong renews every target of a fault.
func (s *server) prolong(ctx context.Context, q wire.Inject) error {
	f, err := lookup(s.faults, "fault", q.Type)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, q.TTL)
	defer cancel()
	var failed []error
	_ = fanOut(q.Targets, f.desc.Concurrency, func(u wire.Undo) error {
		if err := f.renew(logging(ctx, q.Type, u.Target), u.Undo, q.TTL); err != nil && !gone(err) {
			return fmt.Errorf("%s: %w", u.Target, err)
		}
		return nil
	}, func(err error) error {
		failed = append(failed, err)
		return nil
	})
	return errors.Join(failed...)
}

// prolongs says whether a fault has to be told of renewals.
func (s *server) prolongs(q wire.Inject) bool {
	f, err := lookup(s.faults, "fault", q.Type)
	return err == nil && f.renews()
}
