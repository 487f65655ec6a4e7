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
// injection until its targets are put back. It ends by a Revert, or by itself: when
// nobody renews it, when the session breaks, and at its hard end. An ended lease is
// never renewed, and its fault never injected again.
//
// Each lease has one goroutine that keeps it: it waits for the lease to run out, and
// from then on puts back until that is done. A Revert of the engine only comes first;
// if it fails, or the engine dies over it, the lease runs out all the same.
type leases struct {
	fault injector
	warn  func(error)
	now   func() moment

	shared bool // with one engine after the other: one may come while another is there

	mu       sync.Mutex
	sessions int
	held     map[string]*lease   // by fault
	over     map[string]struct{} // faults whose lease has ended, or was reverted before it began
	empty    chan struct{}       // closed while nothing is held
	closing  chan struct{}       // closed when the process is about to end
	keepers  sync.WaitGroup
}

// injector is what leases need of the faults themselves.
type injector interface {
	// revert returns an error when a target could not be put back.
	revert(context.Context, wire.Revert, injection) ([]wire.Reverted, error)
	// bites says whether the fault can still be seen to act on a target.
	bites(context.Context, wire.Inject) (bool, error)
	// budget is how long one attempt of a revert may take, and settle how long an
	// injection that was given up may still take effect.
	budget(wire.Inject) time.Duration
	settle(wire.Inject) time.Duration
	// prolongs says whether the fault has a Renew, and prolong calls it.
	prolongs(wire.Inject) bool
	prolong(context.Context, wire.Inject) error
	// overtaken says whether the run belongs to another engine by now.
	overtaken(wire.Lease) bool
}

// injection says how far this process's own injection of a fault has come. The zero
// value stands for a fault that another process injected, or nobody.
type injection struct {
	running  bool      // it has not returned, even though its lease has ended
	returned time.Time // when it did
}

// settles says whether an outcome of that time can be believed: whatever was put
// back before the injection returned may have been broken again by it.
func (in injection) settles(at time.Time) bool {
	return !in.running && !at.Before(in.returned)
}

type lease struct {
	q      wire.Inject
	began  moment
	cancel context.CancelCauseFunc // of the injection, and of what prolongs it

	injectDone context.CancelCauseFunc // of the injection only

	// Guarded by leases.mu.
	renewed   moment
	prolonged moment // when what holds the fault was last told of a renewal, if told
	told      bool   // it has been injected, and is told of renewals from now on
	ended     bool
	open      map[string]struct{} // targets not put back yet
	isLost    bool                // lost is closed

	lost     chan struct{} // closed when this process has to put back by itself
	returned chan struct{} // closed when the injection has returned
	settled  chan struct{} // closed when every target is put back
	turn     chan struct{} // holds one token: one revert at a time

	// Of a fault that is told of its renewals; otherwise still is closed from the start.
	prolongs bool
	stop     context.Context // ends with the lease
	wake     chan struct{}   // holds a token: there was a renewal
	still    chan struct{}   // closed when nothing is prolonged any more

	// Valid once returned is closed.
	returnedAt time.Time
	unclear    bool // it failed or was given up: it may still take effect
}

const (
	watchEvery  = 100 * time.Millisecond
	firstRetry  = 250 * time.Millisecond
	longestWait = 15 * time.Second
	// injectGrace is how long a revert waits for an injection that was told to stop.
	// After that it reverts under it, and once more when it has returned.
	injectGrace = 2 * time.Second
)

var (
	errLeaseEnded = errors.New("the lease has ended")
	errNoSession  = errors.New("no session is open: nobody would hold the lease")
	errClosing    = errors.New("the plugin is about to end")
)

// moment is a point on both clocks: the monotonic one stands still while the machine
// is suspended, the wall clock may be set back.
type moment struct {
	mono time.Duration
	wall time.Time
}

func (m moment) since(o moment) time.Duration {
	return max(m.mono-o.mono, m.wall.Sub(o.wall))
}

func clock() func() moment {
	start := time.Now()
	return func() moment {
		t := time.Now()
		return moment{mono: t.Sub(start), wall: t.Round(0)}
	}
}

func newLeases(fault injector) *leases {
	empty := make(chan struct{})
	close(empty)
	return &leases{
		fault:   fault,
		warn:    func(err error) { slog.Warn(err.Error()) },
		now:     clock(),
		held:    map[string]*lease{},
		over:    map[string]struct{}{},
		empty:   empty,
		closing: make(chan struct{}),
	}
}

// begin registers a lease and starts its keeper. The injection runs under the
// returned context, which ends with the lease; injected must be called when it has
// returned.
func (ls *leases) begin(ctx context.Context, q wire.Inject) (context.Context, *lease, error) {
	if q.TTL <= 0 || q.HardEnd <= 0 {
		return nil, nil, fmt.Errorf("fault %s: a lease needs a duration and a hard end", q.Lease.Fault)
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if err := ls.refuses(q.Lease.Fault); err != nil {
		return nil, nil, fmt.Errorf("fault %s: nothing was injected: %w", q.Lease.Fault, err)
	}
	ctx, cancelInject := context.WithCancelCause(ctx)
	stop, cancelProlong := context.WithCancel(context.Background())
	cancel := func(cause error) {
		cancelInject(cause)
		cancelProlong()
	}
	at := ls.now()
	l := &lease{
		q: q, began: at, renewed: at, cancel: cancel, injectDone: cancelInject, open: map[string]struct{}{},
		lost: make(chan struct{}), returned: make(chan struct{}), settled: make(chan struct{}), turn: make(chan struct{}, 1),
		prolongs: ls.fault.prolongs(q), stop: stop, wake: make(chan struct{}, 1), still: make(chan struct{}),
	}
	for _, t := range q.Targets {
		l.open[t.Target] = struct{}{}
	}
	if len(ls.held) == 0 {
		ls.empty = make(chan struct{})
	}
	ls.held[q.Lease.Fault] = l
	ls.keepers.Go(func() { ls.keep(l) })
	if l.prolongs {
		ls.keepers.Go(func() { ls.prolong(l) })
	} else {
		close(l.still)
	}
	return ctx, l, nil
}

// refuses says why a fault may not be injected now.
func (ls *leases) refuses(fault string) error {
	select {
	case <-ls.closing:
		return errClosing
	default:
	}
	if _, ok := ls.over[fault]; ok {
		return errLeaseEnded
	}
	if _, ok := ls.held[fault]; ok {
		return errors.New("it has a lease already")
	}
	if ls.sessions == 0 {
		return errNoSession
	}
	return nil
}

// injected says that the injection has returned; unclear, that it may take effect
// later still, because it failed or was given up.
func (l *lease) injected(unclear bool) {
	l.returnedAt, l.unclear = time.Now().Round(0), unclear
	close(l.returned)
	l.injectDone(nil)
}

// end ends the lease of a fault, so that it is neither renewed nor injected any more.
// It returns nil for a fault that this process does not hold: another one may.
func (ls *leases) end(fault string) *lease {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.over[fault] = struct{}{}
	l := ls.held[fault]
	if l != nil {
		l.end()
	}
	return l
}

func (l *lease) end() {
	l.ended = true
	l.cancel(errLeaseEnded)
}

// lose ends a lease and tells its keeper. The caller holds the mutex.
func (ls *leases) lose(l *lease) {
	ls.over[l.q.Lease.Fault] = struct{}{}
	l.end()
	if !l.isLost {
		l.isLost = true
		close(l.lost)
	}
}

// loseAll ends every lease, because nobody is left who could renew it. The caller
// holds the mutex, and has made sure under it that no lease begins afterwards.
func (ls *leases) loseAll() {
	for _, l := range ls.held {
		ls.lose(l)
	}
}

// revert puts targets of a fault back for the engine, and ends its lease.
func (ls *leases) revert(ctx context.Context, q wire.Revert) ([]wire.Reverted, error) {
	l := ls.end(q.Lease.Fault)
	if l == nil {
		return ls.fault.revert(ctx, q, injection{})
	}
	results, in, err := ls.putBack(ctx, l, q)
	if err == nil && !in.running {
		ls.settle(l, q.Targets)
	}
	return results, err
}

// putBack reverts once, when it is its turn and the injection has returned or had
// its time to.
func (ls *leases) putBack(ctx context.Context, l *lease, q wire.Revert) ([]wire.Reverted, injection, error) {
	var in injection
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return nil, in, fmt.Errorf("fault %s: another revert is still under way: %w", q.Lease.Fault, ctx.Err())
	}
	grace := time.NewTimer(injectGrace)
	defer grace.Stop()
	select {
	case <-l.returned:
		in.returned = l.returnedAt
	case <-grace.C:
		in.running = true
		ls.warn(fmt.Errorf("fault %s: its injection does not stop; reverting under it", q.Lease.Fault))
	case <-ctx.Done():
		return nil, in, fmt.Errorf("fault %s: its injection is still under way: %w", q.Lease.Fault, ctx.Err())
	}
	select {
	case <-l.still:
	case <-grace.C:
		ls.warn(fmt.Errorf("fault %s: its renewal does not stop; reverting under it", q.Lease.Fault))
	case <-ctx.Done():
		return nil, in, fmt.Errorf("fault %s: its renewal is still under way: %w", q.Lease.Fault, ctx.Err())
	}
	results, err := ls.fault.revert(ctx, q, in)
	return results, in, err
}

// settle notes targets that are put back, and forgets the lease with the last.
func (ls *leases) settle(l *lease, targets []wire.Undo) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, t := range targets {
		delete(l.open, t.Target)
	}
	fault := l.q.Lease.Fault
	if len(l.open) > 0 || ls.held[fault] != l {
		return
	}
	delete(ls.held, fault)
	close(l.settled)
	if len(ls.held) == 0 {
		close(ls.empty)
	}
}

// renew prolongs leases and returns the faults whose lease has ended, or was never
// held here.
func (ls *leases) renew(all []wire.Lease) (lost []string) {
	for _, r := range all {
		overtaken := ls.fault.overtaken(r)
		ls.mu.Lock()
		l, at := ls.held[r.Fault], ls.now()
		switch {
		case l == nil || l.ended || l.q.Lease != r:
			lost = append(lost, r.Fault)
		case overtaken || l.expired(at):
			ls.lose(l)
			lost = append(lost, r.Fault)
		default:
			l.renewed = at
			select {
			case l.wake <- struct{}{}:
			default: // it will be prolonged from then on anyway
			}
		}
		ls.mu.Unlock()
	}
	return lost
}

func (l *lease) expired(at moment) bool {
	return at.since(l.renewed) > l.q.TTL || at.since(l.began) > l.q.HardEnd || l.slipped(at)
}

// slipped says whether what holds the fault has heard of no renewal for so long that it
// has ended it.
func (l *lease) slipped(at moment) bool { return l.told && at.since(l.prolonged) > l.q.TTL }

// keep is the life of a lease. It returns when its targets are put back.
func (ls *leases) keep(l *lease) {
	if ls.hold(l) {
		return
	}
	q := wire.Revert{Lease: l.q.Lease, Type: l.q.Type, By: "plugin", Targets: l.q.Targets}
	for wait := firstRetry; ; wait = min(2*wait, longestWait) {
		again, err := ls.tryBack(l, &q)
		if err == nil && !again {
			ls.settle(l, q.Targets)
			return
		}
		if err == nil {
			wait = firstRetry
			continue
		}
		ls.warn(fmt.Errorf("fault %s: revert failed, trying again in %s: %w", q.Lease.Fault, wait, err))
		retry := time.NewTimer(wait)
		select {
		case <-l.settled: // the engine did it
			retry.Stop()
			return
		case <-retry.C:
		}
	}
}

// hold waits while the lease is held by the engine. It returns true when the engine
// has put everything back, false when that is left to us.
func (ls *leases) hold(l *lease) bool {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-l.settled:
			return true
		case <-l.lost:
			return false
		case <-tick.C:
			ls.mu.Lock()
			if l.expired(ls.now()) {
				ls.lose(l)
			}
			ls.mu.Unlock()
		}
	}
}

// tryBack reverts once by ourselves. It returns true when the fault has to be looked
// at again, because it may have taken effect since.
func (ls *leases) tryBack(l *lease, q *wire.Revert) (again bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), injectGrace+ls.fault.budget(l.q))
	defer cancel()
	_, in, err := ls.putBack(ctx, l, *q)
	if err != nil {
		return false, err
	}
	if in.running {
		select {
		case <-l.returned:
			return true, nil
		case <-ls.closing:
			return false, nil // the injection ends with the process
		}
	}
	late := ls.fault.settle(l.q) - time.Since(in.returned)
	if !l.unclear || late <= 0 {
		return false, nil
	}
	// Nobody knows whether the injection will still take effect: look until it
	// cannot any more.
	select {
	case <-l.settled:
		return false, nil
	case <-time.After(late):
	}
	ctx, cancel = context.WithTimeout(context.Background(), ls.fault.budget(l.q))
	defer cancel()
	bites, err := ls.fault.bites(ctx, l.q)
	q.Again = q.Again || bites || err != nil
	return bites, err
}

// session answers renewals until the stream breaks, which ends every lease.
func (ls *leases) session(ctx context.Context, recv func() (wire.Renewal, error), send func(wire.LeaseEvent) error) error {
	ls.mu.Lock()
	ls.sessions++
	ls.mu.Unlock()
	defer func() {
		ls.mu.Lock()
		defer ls.mu.Unlock()
		ls.sessions--
		ls.loseAll()
	}()
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

// free says whether an engine may configure the plugin. Of the next run's faults none has
// ended yet.
func (ls *leases) free(next bool) error {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.shared && ls.sessions > 0 {
		return errors.New("another engine is at work with this process of the plugin")
	}
	if len(ls.held) > 0 {
		return errors.New("the plugin holds faults of another run")
	}
	if next {
		clear(ls.over)
	}
	return nil
}

// close refuses new leases, ends all, and waits until everything is put back. It may
// be called more than once.
func (ls *leases) close(ctx context.Context) error {
	ls.mu.Lock()
	select {
	case <-ls.closing:
	default:
		close(ls.closing)
	}
	ls.loseAll()
	empty := ls.empty
	ls.mu.Unlock()
	select {
	case <-empty:
		ls.keepers.Wait()
		return nil
	case <-ctx.Done():
		return fmt.Errorf("put everything back: %w", ctx.Err())
	}
}
