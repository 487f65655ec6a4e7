package sdk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/faultline-go/faultline/sdk/wire"
)

// leases are the faults that this process holds. A lease lives from before its
// injection until its targets are put back; it ends by a Revert, or by itself when
// nobody renews it, when the session breaks, and at its hard end. An ended lease is
// never renewed.
type leases struct {
	revert func(context.Context, wire.Revert) ([]wire.Reverted, error)
	warn   func(error)

	mu      sync.Mutex
	held    map[string]*lease // by fault
	empty   chan struct{}     // closed while nothing is held
	watched bool
}

type lease struct {
	q        wire.Inject
	began    time.Time
	renewed  time.Time
	ended    bool
	cancel   context.CancelCauseFunc // of the injection
	finished chan struct{}           // closed when the injection has returned
}

const (
	watchEvery  = 100 * time.Millisecond
	firstRetry  = 250 * time.Millisecond
	longestWait = 15 * time.Second
	revertTry   = time.Minute // for one attempt of a revert by ourselves
)

var errLeaseEnded = errors.New("the lease has ended")

func newLeases(revert func(context.Context, wire.Revert) ([]wire.Reverted, error)) *leases {
	empty := make(chan struct{})
	close(empty)
	return &leases{
		revert: revert,
		warn:   func(err error) { slog.Warn(err.Error()) },
		held:   map[string]*lease{},
		empty:  empty,
	}
}

// begin registers a lease. The injection runs under the returned context, which
// ends with the lease.
func (ls *leases) begin(ctx context.Context, q wire.Inject) (context.Context, *lease, error) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if _, ok := ls.held[q.Lease.Fault]; ok {
		return nil, nil, fmt.Errorf("fault %s has a lease already", q.Lease.Fault)
	}
	if q.TTL <= 0 || q.HardEnd <= 0 {
		return nil, nil, fmt.Errorf("fault %s: a lease needs a duration and a hard end", q.Lease.Fault)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	at := time.Now()
	l := &lease{q: q, began: at, renewed: at, cancel: cancel, finished: make(chan struct{})}
	if len(ls.held) == 0 {
		ls.empty = make(chan struct{})
	}
	ls.held[q.Lease.Fault] = l
	if !ls.watched {
		ls.watched = true
		go ls.watch()
	}
	return ctx, l, nil
}

// injected says that the injection has returned.
func (l *lease) injected() {
	close(l.finished)
}

// end ends a lease and waits until its injection has returned, so that what comes
// next finds nothing changing under its hands. A fault that this process does not
// hold is no error: another process may have held it.
func (ls *leases) end(ctx context.Context, fault string) error {
	ls.mu.Lock()
	l := ls.held[fault]
	if l != nil {
		l.ended = true
		l.cancel(errLeaseEnded)
	}
	ls.mu.Unlock()
	if l == nil {
		return nil
	}
	select {
	case <-l.finished:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("fault %s: its injection is still under way: %w", fault, ctx.Err())
	}
}

// settled forgets a lease whose targets are put back.
func (ls *leases) settled(fault string) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if _, ok := ls.held[fault]; !ok {
		return
	}
	delete(ls.held, fault)
	if len(ls.held) == 0 {
		close(ls.empty)
	}
}

// renew prolongs leases and returns the faults whose lease has ended.
func (ls *leases) renew(all []wire.Lease) (lost []string) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	at := time.Now()
	for _, r := range all {
		l := ls.held[r.Fault]
		if l == nil || l.ended || l.q.Lease != r || l.expired(at) {
			lost = append(lost, r.Fault)
			continue
		}
		l.renewed = at
	}
	return lost
}

// expired looks at the monotonic and at the wall clock: the first stands still
// while the machine is suspended.
func (l *lease) expired(at time.Time) bool {
	since := func(t time.Time) time.Duration {
		return max(at.Sub(t), at.Round(0).Sub(t.Round(0)))
	}
	return since(l.renewed) > l.q.TTL || since(l.began) > l.q.HardEnd
}

// watch ends leases that have run out. It lives as long as the process.
func (ls *leases) watch() {
	for at := range time.Tick(watchEvery) {
		ls.mu.Lock()
		var out []*lease
		for _, l := range ls.held {
			if !l.ended && l.expired(at) {
				l.ended = true
				out = append(out, l)
			}
		}
		ls.mu.Unlock()
		for _, l := range out {
			go ls.putBack(l)
		}
	}
}

// loseAll ends every lease, because nobody is left who could renew it.
func (ls *leases) loseAll() {
	ls.mu.Lock()
	var out []*lease
	for _, l := range ls.held {
		if !l.ended {
			l.ended = true
			out = append(out, l)
		}
	}
	ls.mu.Unlock()
	for _, l := range out {
		go ls.putBack(l)
	}
}

// putBack reverts a lost lease, again and again until it is done.
func (ls *leases) putBack(l *lease) {
	q := wire.Revert{Lease: l.q.Lease, Type: l.q.Type, By: "plugin", Targets: l.q.Targets}
	for wait := firstRetry; ; wait = min(2*wait, longestWait) {
		ctx, cancel := context.WithTimeout(context.Background(), revertTry)
		err := ls.end(ctx, q.Lease.Fault)
		if err == nil {
			_, err = ls.revert(ctx, q)
		}
		cancel()
		if err == nil {
			ls.settled(q.Lease.Fault)
			return
		}
		ls.warn(fmt.Errorf("fault %s: revert failed, trying again in %s: %w", q.Lease.Fault, wait, err))
		time.Sleep(wait)
	}
}

// session answers renewals until the stream breaks, which ends every lease.
func (ls *leases) session(ctx context.Context, recv func() (wire.Renewal, error), send func(wire.LeaseEvent) error) error {
	defer ls.loseAll()
	for {
		r, err := recv()
		if err != nil {
			return nil // the engine closed the stream, or is gone: both end the leases
		}
		if err := send(wire.LeaseEvent{Sequence: r.Sequence, Lost: ls.renew(r.Leases)}); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// idle returns a channel that is closed while nothing is held.
func (ls *leases) idle() <-chan struct{} {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return ls.empty
}
