package sdk

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/faultline-go/faultline/sdk/schema"
	"github.com/faultline-go/faultline/sdk/wire"
)

func TestRenewalsAreCarriedOn(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := &bulb{prolonged: []time.Time{}}
		e := newEngine(t, b)
		q := order("f", 3*time.Second, time.Hour)
		e.inject(b, q)
		for n := 1; n <= 5; n++ {
			pass(time.Second)
			if e.renew("f") {
				t.Fatal("a renewal in time was refused")
			}
			pass(0)
			if b.told() != n {
				t.Fatalf("told of %d renewals after %d", b.told(), n)
			}
		}
		if _, err := e.leases.revert(t.Context(), revertOf(q)); err != nil {
			t.Fatal(err)
		}
		e.renew("f")
		pass(time.Second)
		if b.told() != 5 {
			t.Error("told of a renewal after the revert")
		}
		e.dies()
	})
}

// One that is slow is not told twice at once, and the engine does not wait for it.
func TestRenewalsWhileOneIsCarriedOn(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := &bulb{prolonged: []time.Time{}, stuck: make(chan struct{})}
		e := newEngine(t, b)
		e.inject(b, order("f", 3*time.Second, time.Hour))
		for range 4 {
			pass(500 * time.Millisecond)
			if e.renew("f") {
				t.Fatal("a renewal in time was refused")
			}
		}
		close(b.stuck)
		pass(0)
		if b.told() != 2 {
			t.Errorf("told %d times, want once for the first renewal and once for all that came meanwhile", b.told())
		}
		e.dies()
		pass(0)
		e.mustBe(b, false, "after the engine's death")
	})
}

func TestALeaseIsLostThatCannotBeCarriedOn(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := &bulb{prolonged: []time.Time{}}
		e := newEngine(t, b)
		e.inject(b, order("f", 3*time.Second, time.Hour))
		b.mu.Lock()
		b.deaf = true
		b.mu.Unlock()
		for range 3 {
			pass(time.Second)
			if e.renew("f") {
				t.Fatal("lost before it can have ended by itself")
			}
		}
		pass(time.Second)
		if !e.renew("f") {
			t.Error("a lease was renewed though the fault has ended by itself")
		}
		e.mustBe(b, false, "after it could not be prolonged for a whole lease")
		e.dies()
	})
}

// A revert that comes while a renewal is under way waits until that is over, so that
// nothing is prolonged that has been put back.
func TestARevertEndsWhatProlongs(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := &bulb{prolonged: []time.Time{}, stuck: make(chan struct{})}
		e := newEngine(t, b)
		q := order("f", 3*time.Second, time.Hour)
		l := e.inject(b, q)
		pass(time.Second)
		e.renew("f")
		pass(0)
		if _, err := e.leases.revert(t.Context(), revertOf(q)); err != nil {
			t.Fatal(err)
		}
		select {
		case <-l.still:
		default:
			t.Error("reverted while a renewal was under way")
		}
		if b.told() != 0 {
			t.Error("prolonged after all")
		}
		e.dies()
	})
}

func TestInjectKnowsItsLease(t *testing.T) {
	type none struct{}
	known := make(chan Lease, 1)
	told := make(chan time.Duration, 1)
	f := Fault[none, none]{
		Type: "lamp_off", Doc: "x", Accepts: []schema.Accept{{Interface: "lamp"}},
		Hold: HoldKernel, Reversibility: Reversible, RevertTime: time.Second,
		Prepare: func(context.Context, PrepareTarget, none) (p Prepared[none], err error) { return },
		Inject: func(ctx context.Context, _, _ none) error {
			l, _ := LeaseOf(ctx)
			known <- l
			return nil
		},
		Renew:   func(_ context.Context, _ none, ttl time.Duration) error { told <- ttl; return ErrGone },
		Observe: func(context.Context, none, none) (e Effect, err error) { return },
		Revert:  func(context.Context, none) (Reverted, error) { return Reverted{Outcome: PutBack, Proof: "x"}, nil },
		Scan:    func(context.Context, []Known[none]) ([]Residue, error) { return nil, nil },
	}
	b := newBench(t, f)
	q := wire.Inject{
		Lease: wire.Lease{Run: "r", Fault: "f", Epoch: 1}, Type: "lamp_off", TTL: time.Minute, HardEnd: time.Hour,
		Config: json.RawMessage(`{}`), Targets: []wire.Undo{{Target: "one", Undo: json.RawMessage(`{}`)}},
	}
	if err := b.server.Inject(t.Context(), q, func(wire.Injected) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if l := <-known; l != (Lease{Run: "r", Fault: "f", TTL: time.Minute}) {
		t.Errorf("Inject knows the lease %+v", l)
	}
	if lost := b.server.leases.renew([]wire.Lease{q.Lease}); len(lost) != 0 {
		t.Errorf("lost: %v", lost)
	}
	if ttl := <-told; ttl != time.Minute {
		t.Errorf("Renew was told %s", ttl)
	}
	if _, ok := LeaseOf(t.Context()); ok {
		t.Error("a context of nobody's has a lease")
	}
}

func TestRenewNeedsSomethingThatEnds(t *testing.T) {
	f := switchFault()
	f.Hold = HoldJournal
	f.Renew = func(context.Context, switchUndo, time.Duration) error { return nil }
	if _, err := f.describe(); err == nil {
		t.Error("a fault with Renew that nothing ends was accepted")
	}
}
