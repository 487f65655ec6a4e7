package sdk

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/faultline-go/faultline/sdk/wire"
)

// bulb is a fault in memory: it is on, and says when it was put back.
type bulb struct {
	mu        sync.Mutex
	broken    bool
	reverts   []time.Time
	failures  int           // reverts that will fail before one succeeds
	slow      time.Duration // of a revert
	settling  time.Duration
	newEngine bool
	prolonged []time.Time // nil: it is not told of renewals
	deaf      bool        // it cannot be told
	stuck     chan struct{}
}

func (b *bulb) prolongs(wire.Inject) bool { return b.prolonged != nil }

func (b *bulb) prolong(ctx context.Context, _ wire.Inject) error {
	if b.stuck != nil {
		select {
		case <-b.stuck:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.deaf {
		return errors.New("the bulb is deaf")
	}
	b.prolonged = append(b.prolonged, time.Now())
	return nil
}

func (b *bulb) told() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.prolonged)
}

func (b *bulb) breaks() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.broken = true
}

func (b *bulb) isBroken() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.broken
}

func (b *bulb) tries() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.reverts)
}

func (b *bulb) revert(ctx context.Context, q wire.Revert, _ injection) ([]wire.Reverted, error) {
	b.mu.Lock()
	b.reverts = append(b.reverts, time.Now())
	fails := b.failures > 0
	if fails {
		b.failures--
	}
	b.mu.Unlock()
	if fails {
		return nil, errors.New("the bulb is too hot")
	}
	select {
	case <-time.After(b.slow):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.broken = false
	var out []wire.Reverted
	for _, t := range q.Targets {
		out = append(out, wire.Reverted{Target: t.Target, Outcome: wire.OutcomeReverted, By: q.By})
	}
	return out, nil
}

func (b *bulb) bites(context.Context, wire.Inject) (bool, error) { return b.isBroken(), nil }
func (b *bulb) budget(wire.Inject) time.Duration                 { return time.Minute }
func (b *bulb) settle(wire.Inject) time.Duration                 { return b.settling }
func (b *bulb) overtaken(wire.Lease) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.newEngine
}

// engine is the other end of a session.
type engine struct {
	t        *testing.T
	leases   *leases
	renewals chan wire.Renewal
	answers  chan wire.LeaseEvent
	over     chan error
}

func newEngine(t *testing.T, b *bulb) *engine {
	t.Helper()
	ls := newLeases(b)
	ls.warn = func(err error) { t.Log(err) }
	e := &engine{t: t, leases: ls}
	e.connect()
	return e
}

func (e *engine) connect() {
	e.renewals, e.answers, e.over = make(chan wire.Renewal), make(chan wire.LeaseEvent), make(chan error, 1)
	recv := func() (wire.Renewal, error) {
		r, ok := <-e.renewals
		if !ok {
			return r, io.EOF
		}
		return r, nil
	}
	send := func(x wire.LeaseEvent) error {
		e.answers <- x
		return nil
	}
	go func() { e.over <- e.leases.session(context.Background(), recv, send) }()
	synctest.Wait()
}

// dies breaks the session.
func (e *engine) dies() {
	close(e.renewals)
	<-e.over
}

func (e *engine) renew(fault string) (lost bool) {
	e.renewals <- wire.Renewal{Sequence: 1, Leases: []wire.Lease{{Run: "r", Fault: fault, Epoch: 1}}}
	return slices.Contains((<-e.answers).Lost, fault)
}

func order(fault string, ttl, hardEnd time.Duration) wire.Inject {
	return wire.Inject{
		Lease: wire.Lease{Run: "r", Fault: fault, Epoch: 1}, Type: "bulb",
		Targets: []wire.Undo{{Target: "one"}}, TTL: ttl, HardEnd: hardEnd,
	}
}

func revertOf(q wire.Inject) wire.Revert {
	return wire.Revert{Lease: q.Lease, Type: q.Type, By: "engine", Targets: q.Targets}
}

// inject breaks the bulb under a lease.
func (e *engine) inject(b *bulb, q wire.Inject) *lease {
	e.t.Helper()
	_, l, err := e.leases.begin(context.Background(), q)
	if err != nil {
		e.t.Fatal(err)
	}
	b.breaks()
	l.injected(false)
	return l
}

func (e *engine) mustBe(b *bulb, broken bool, when string) {
	e.t.Helper()
	synctest.Wait()
	if b.isBroken() != broken {
		e.t.Errorf("%s: broken is %v, want %v", when, !broken, broken)
	}
}

// virtual runs a test in virtual time: waiting costs nothing and is exact. The bubble
// also checks that no goroutine is left.
func virtual(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestLeaseLivesWhileRenewed(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := &bulb{}
		e := newEngine(t, b)
		q := order("f", 3*time.Second, time.Hour)
		e.inject(b, q)
		for range 10 {
			pass(2 * time.Second)
			if e.renew("f") {
				t.Fatal("a renewal in time was refused")
			}
		}
		e.mustBe(b, true, "after 20 s of renewals")
		if _, err := e.leases.revert(t.Context(), revertOf(q)); err != nil {
			t.Fatal(err)
		}
		e.mustBe(b, false, "after the revert")
		if !e.renew("f") {
			t.Error("a reverted lease was renewed")
		}
		e.dies()
	})
}

func TestLeaseRunsOutWithoutRenewal(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := &bulb{}
		e := newEngine(t, b)
		e.inject(b, order("f", 3*time.Second, time.Hour))
		pass(3 * time.Second)
		e.mustBe(b, true, "at the last moment of the lease")
		pass(2 * watchEvery)
		e.mustBe(b, false, "after the lease")
		if !e.renew("f") {
			t.Error("a lease that we reverted by ourselves was renewed")
		}
		if _, _, err := e.leases.begin(t.Context(), order("f", time.Second, time.Hour)); !errors.Is(err, errLeaseEnded) {
			t.Errorf("inject after the end: %v", err)
		}
		e.dies()
	})
}

func TestLeaseHasAHardEnd(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := &bulb{}
		e := newEngine(t, b)
		e.inject(b, order("f", 3*time.Second, 10*time.Second))
		for range 5 {
			pass(2 * time.Second)
			if e.renew("f") {
				t.Fatal("lost before the hard end")
			}
		}
		pass(2 * watchEvery)
		e.mustBe(b, false, "after the hard end")
		if !e.renew("f") {
			t.Error("renewed beyond the hard end")
		}
		e.dies()
	})
}

// A suspended machine's monotonic clock stands still; its wall clock does not.
func TestLeaseRunsOutDuringSuspend(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := &bulb{}
		e := newEngine(t, b)
		var mu sync.Mutex
		var asleep time.Duration
		right := e.leases.now
		e.leases.now = func() moment {
			mu.Lock()
			defer mu.Unlock()
			m := right()
			m.wall = m.wall.Add(asleep)
			return m
		}
		e.inject(b, order("f", 3*time.Second, time.Hour))
		mu.Lock()
		asleep = time.Minute
		mu.Unlock()
		if !e.renew("f") {
			t.Error("a renewal that came first after the suspend was granted")
		}
		e.mustBe(b, false, "after the suspend")
		e.dies()
	})
}

// A wall clock that is set back prolongs no lease.
func TestLeaseIgnoresAClockSetBack(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := &bulb{}
		e := newEngine(t, b)
		start, right := time.Now(), e.leases.now
		e.leases.now = func() moment {
			m := right()
			if time.Since(start) > time.Second {
				m.wall = m.wall.Add(-time.Hour)
			}
			return m
		}
		e.inject(b, order("f", 3*time.Second, time.Hour))
		pass(3*time.Second + 2*watchEvery)
		e.mustBe(b, false, "after the lease")
		e.dies()
	})
}

func TestLeasesEndWithTheSession(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := &bulb{}
		e := newEngine(t, b)
		e.inject(b, order("f", time.Minute, time.Hour))
		at := time.Now()
		e.dies()
		e.mustBe(b, false, "when the session has broken")
		if waited := b.reverts[0].Sub(at); waited != 0 {
			t.Errorf("the revert began %s after the break", waited)
		}
		if _, _, err := e.leases.begin(t.Context(), order("g", time.Minute, time.Hour)); !errors.Is(err, errNoSession) {
			t.Errorf("inject without a session: %v", err)
		}
		// Both ends of the engine break: the second finds nothing to do.
		if err := e.leases.close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if b.tries() != 1 {
			t.Errorf("reverted %d times", b.tries())
		}
		if _, _, err := e.leases.begin(t.Context(), order("h", time.Minute, time.Hour)); !errors.Is(err, errClosing) {
			t.Errorf("inject at the end: %v", err)
		}
	})
}

func TestNewEngineOvertakesLease(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := &bulb{}
		e := newEngine(t, b)
		e.inject(b, order("f", time.Minute, time.Hour))
		b.mu.Lock()
		b.newEngine = true
		b.mu.Unlock()
		if !e.renew("f") {
			t.Error("an engine that was replaced renewed its lease")
		}
		e.mustBe(b, false, "after the refusal")
		e.dies()
	})
}

func TestFailingRevertIsTriedAgain(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := &bulb{failures: 9}
		e := newEngine(t, b)
		e.inject(b, order("f", time.Minute, time.Hour))
		e.dies()
		if err := e.leases.close(t.Context()); err != nil {
			t.Fatal(err)
		}
		e.mustBe(b, false, "when close returned")
		var waits []time.Duration
		for i := range b.reverts[1:] {
			waits = append(waits, b.reverts[i+1].Sub(b.reverts[i]))
		}
		want := []time.Duration{
			firstRetry, 2 * firstRetry, 4 * firstRetry, 8 * firstRetry, 16 * firstRetry, 32 * firstRetry,
			longestWait, longestWait, longestWait,
		}
		if !slices.Equal(waits, want) {
			t.Errorf("waited %v, want %v", waits, want)
		}
	})
}

// An engine whose revert fails, and that neither tries again nor renews, leaves the
// rest to the plugin.
func TestPluginTakesOverAfterEnginesRevertFailed(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := &bulb{failures: 1}
		e := newEngine(t, b)
		q := order("f", 3*time.Second, time.Hour)
		e.inject(b, q)
		if _, err := e.leases.revert(t.Context(), revertOf(q)); err == nil {
			t.Fatal("the revert did not fail")
		}
		e.mustBe(b, true, "after the failed revert")
		pass(3*time.Second + 2*watchEvery)
		e.mustBe(b, false, "one lease later")
		e.dies()
	})
}

// The engine dies over its own revert: its call is cancelled, its session breaks, and
// the plugin's revert comes next.
func TestEngineDiesDuringRevert(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := &bulb{slow: time.Second}
		e := newEngine(t, b)
		q := order("f", time.Minute, time.Hour)
		l := e.inject(b, q)
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error)
		go func() {
			_, err := e.leases.revert(ctx, revertOf(q))
			failed <- err
		}()
		pass(time.Second / 2)
		cancel()
		if err := <-failed; !errors.Is(err, context.Canceled) {
			t.Errorf("the engine's revert: %v", err)
		}
		e.dies()
		if err := e.leases.close(t.Context()); err != nil {
			t.Fatal(err)
		}
		e.mustBe(b, false, "at the end")
		<-l.settled
	})
}

// Both revert, one after the other; the lease settles once.
func TestSessionEndsWhileRevertRuns(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := &bulb{slow: time.Second}
		e := newEngine(t, b)
		q := order("f", time.Minute, time.Hour)
		l := e.inject(b, q)
		done := make(chan error)
		go func() {
			_, err := e.leases.revert(t.Context(), revertOf(q))
			done <- err
		}()
		pass(time.Second / 2)
		e.dies()
		if err := <-done; err != nil {
			t.Error(err)
		}
		<-l.settled
		if err := e.leases.close(t.Context()); err != nil {
			t.Fatal(err)
		}
		e.mustBe(b, false, "at the end")
		if e.leases.holds() {
			t.Error("something is still held")
		}
		for i := range b.reverts[1:] {
			if b.reverts[i+1].Sub(b.reverts[i]) < b.slow {
				t.Error("two reverts at the same time")
			}
		}
	})
}

func TestRevertOfSomeTargetsSettlesNothing(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := &bulb{}
		e := newEngine(t, b)
		q := order("f", 3*time.Second, time.Hour)
		q.Targets = []wire.Undo{{Target: "one"}, {Target: "two"}}
		l := e.inject(b, q)
		half := revertOf(q)
		half.Targets = q.Targets[:1]
		if _, err := e.leases.revert(t.Context(), half); err != nil {
			t.Fatal(err)
		}
		select {
		case <-l.settled:
			t.Error("settled with a target open")
		default:
		}
		pass(3*time.Second + 2*watchEvery)
		<-l.settled
		if b.tries() != 2 {
			t.Errorf("%d reverts, want one for each target", b.tries())
		}
		e.dies()
	})
}

func TestInjectThatComesAfterItsRevertIsRefused(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := &bulb{}
		e := newEngine(t, b)
		q := order("f", time.Minute, time.Hour)
		if _, err := e.leases.revert(t.Context(), revertOf(q)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := e.leases.begin(t.Context(), q); !errors.Is(err, errLeaseEnded) {
			t.Errorf("inject after its revert: %v", err)
		}
		e.dies()
	})
}

func TestEndCancelsTheInjection(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := &bulb{}
		e := newEngine(t, b)
		q := order("f", time.Minute, time.Hour)
		ctx, l, err := e.leases.begin(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			<-ctx.Done()
			b.breaks() // what it was about can no longer be stopped
			l.injected(true)
		}()
		if _, err := e.leases.revert(t.Context(), revertOf(q)); err != nil {
			t.Fatal(err)
		}
		if cause := context.Cause(ctx); !errors.Is(cause, errLeaseEnded) {
			t.Errorf("cause is %v", cause)
		}
		e.mustBe(b, false, "after a revert that waited for the injection")
		e.dies()
	})
}

// An injection that does not listen is reverted under, and once more when it lands.
func TestInjectionThatHangsAndLands(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := &bulb{}
		e := newEngine(t, b)
		q := order("f", 5*time.Second, time.Hour)
		_, l, err := e.leases.begin(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		b.breaks()
		at := time.Now()
		if _, err := e.leases.revert(t.Context(), revertOf(q)); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(at); waited != injectGrace {
			t.Errorf("waited %s for an injection that hangs", waited)
		}
		e.mustBe(b, false, "after the revert")
		if !e.leases.holds() {
			t.Error("the lease is forgotten while its injection is under way")
		}
		pass(20 * time.Second)
		b.breaks()
		l.injected(true)
		e.mustBe(b, false, "after it landed")
		<-l.settled
		e.dies()
	})
}

// A plugin does not live on for an injection that never returns: it ends with the
// process.
func TestInjectionThatHangsForEver(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := &bulb{}
		e := newEngine(t, b)
		_, l, err := e.leases.begin(t.Context(), order("f", 5*time.Second, time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		b.breaks()
		e.dies()
		if err := e.leases.close(t.Context()); err != nil {
			t.Fatal(err)
		}
		e.mustBe(b, false, "at the end")
		l.injected(true)
	})
}

// What was asked of another engine may be done after the call has returned.
func TestUnclearInjectionIsWatchedUntilItSettles(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := &bulb{settling: 10 * time.Second}
		e := newEngine(t, b)
		_, l, err := e.leases.begin(t.Context(), order("f", time.Minute, time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		l.injected(true)
		e.dies()
		pass(5 * time.Second)
		b.breaks()
		if err := e.leases.close(t.Context()); err != nil {
			t.Fatal(err)
		}
		e.mustBe(b, false, "after it settled")
		if b.tries() != 2 {
			t.Errorf("reverted %d times, want before and after it landed", b.tries())
		}
	})
}

func TestLeaseNeedsTimes(t *testing.T) {
	ls := newLeases(&bulb{})
	for _, q := range []wire.Inject{order("f", 0, time.Hour), order("f", time.Second, 0), order("f", -1, -1)} {
		if _, _, err := ls.begin(t.Context(), q); err == nil {
			t.Errorf("lease of %s with hard end %s was accepted", q.TTL, q.HardEnd)
		}
	}
}

func TestOneLeaseAFault(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := &bulb{}
		e := newEngine(t, b)
		q := order("f", time.Minute, time.Hour)
		e.inject(b, q)
		if _, _, err := e.leases.begin(t.Context(), q); err == nil {
			t.Error("a second lease of the same fault was accepted")
		}
		stranger := q.Lease
		stranger.Epoch = 2
		e.renewals <- wire.Renewal{Leases: []wire.Lease{stranger, {Run: "r", Fault: "nobody", Epoch: 1}}}
		if got := (<-e.answers).Lost; !slices.Equal(got, []string{"f", "nobody"}) {
			t.Errorf("renewals of leases that are not ours: lost %v", got)
		}
		e.dies()
	})
}

// holds says whether anything is held.
func (ls *leases) holds() bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return len(ls.held) > 0
}
