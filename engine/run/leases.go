package run

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/faultline-go/faultline/sdk/schema"
	"github.com/faultline-go/faultline/sdk/wire"
)

// A lease is renewed three times in its life, and only while the owner answers: an
// engine that hangs loses its leases like one that is dead. It is held for lost
// before the plugin does so, in any case.
const (
	renewals  = 3
	lostAfter = 4 // fifths of a lease without an acknowledged renewal
)

// keeper renews the leases of one plugin.
type keeper struct {
	plugin  string
	session Session
	every   time.Duration
	lost    time.Duration // without an acknowledgement
	acked   atomic.Int64  // Unix nanoseconds of the sending of the last acknowledged renewal
	cancel  context.CancelFunc
}

// openSessions opens a session with every plugin that has a fault in the plan.
func (r *run) openSessions() {
	r.keepers = map[string]*keeper{}
	for name, p := range r.plugins {
		r.watchPlugin(name, p)
		shortest := r.shortestLease(name)
		if shortest == 0 {
			continue
		}
		ctx, cancel := context.WithCancel(r.life)
		session, err := p.Session(ctx)
		if err != nil {
			cancel()
			r.fail(fmt.Sprintf("plugin %s: open its session: %v", name, err))
			return
		}
		k := &keeper{plugin: name, session: session, every: shortest / renewals, lost: shortest * lostAfter / 5, cancel: cancel}
		r.keepers[name] = k
		r.start(func() { r.renew(ctx, k) })
		r.start(func() { r.listen(ctx, k) })
	}
}

func (r *run) closeSessions() {
	for _, k := range r.keepers {
		k.cancel()
	}
}

func (r *run) shortestLease(plugin string) time.Duration {
	var shortest time.Duration
	for _, e := range r.Plan.Experiments {
		for _, s := range e.Steps {
			if s.Lease > 0 && schema.PluginOf(s.Type) == plugin && (shortest == 0 || s.Lease < shortest) {
				shortest = s.Lease
			}
		}
	}
	return shortest
}

// watchPlugin aborts the run when a plugin dies under it.
func (r *run) watchPlugin(name string, p Plugin) {
	r.start(func() {
		select {
		case <-p.Done():
			r.send(func() {
				why := "it ended"
				if err := p.Err(); err != nil {
					why = err.Error()
				}
				r.fail(fmt.Sprintf("plugin %s died: %s", name, why))
			})
		case <-r.life.Done():
		}
	})
}

// renew sends renewals as long as the owner answers in time. A renewal's sequence is
// the time of its sending, which the acknowledgement brings back. It runs outside
// the owner.
func (r *run) renew(ctx context.Context, k *keeper) {
	tick := time.NewTicker(k.every)
	defer tick.Stop()
	k.acked.Store(time.Now().UnixNano())
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		held, answered := r.held(ctx, k)
		if !answered {
			continue
		}
		if len(held) == 0 {
			k.acked.Store(time.Now().UnixNano()) // nothing to lose
			continue
		}
		if silent := time.Since(time.Unix(0, k.acked.Load())); silent > k.lost {
			r.send(func() {
				r.leasesLost(k, fmt.Sprintf("it acknowledged no renewal for %s", silent.Round(time.Millisecond)))
			})
			return
		}
		if err := k.session.Renew(wire.Renewal{Sequence: time.Now().UnixNano(), Leases: held}); err != nil {
			if ctx.Err() == nil {
				r.send(func() { r.leasesLost(k, err.Error()) })
			}
			return
		}
	}
}

// held asks the owner which leases to renew, and waits no longer than a renewal may
// be late.
func (r *run) held(ctx context.Context, k *keeper) ([]wire.Lease, bool) {
	got := make(chan []wire.Lease, 1)
	ask := func() { got <- r.heldBy(k.plugin) }
	timer := time.NewTimer(k.every)
	defer timer.Stop()
	select {
	case r.inbox <- ask:
	case <-timer.C:
		return nil, false
	case <-ctx.Done():
		return nil, false
	}
	select {
	case l := <-got:
		return l, true
	case <-timer.C:
		return nil, false
	case <-ctx.Done():
		return nil, false
	}
}

// heldBy lists the leases that a plugin holds for us.
func (r *run) heldBy(plugin string) []wire.Lease {
	var out []wire.Lease
	if r.now == nil {
		return nil
	}
	for _, s := range r.now.steps {
		if s.fault != nil && (s.state == active || s.state == injecting) && s.plan.Plugin == plugin {
			out = append(out, s.fault.lease(r.Epoch, r.Run))
		}
	}
	return out
}

// listen takes acknowledgements. It runs outside the owner.
func (r *run) listen(ctx context.Context, k *keeper) {
	for {
		e, err := k.session.Next()
		if err != nil {
			if ctx.Err() == nil {
				r.send(func() { r.leasesLost(k, err.Error()) })
			}
			return
		}
		if e.Sequence > k.acked.Load() {
			k.acked.Store(e.Sequence)
		}
		if len(e.Lost) > 0 {
			r.send(func() { r.lost(k, e.Lost, time.Unix(0, e.Sequence)) })
		}
	}
}

// lost deals with leases that the plugin says have ended. One that we are reverting,
// or have reverted, was ours to end; and a renewal asked before the injection was
// through may have come before the lease.
func (r *run) lost(k *keeper, faults []string, asked time.Time) {
	if r.now == nil {
		return
	}
	for _, s := range r.now.steps {
		for _, id := range faults {
			if s.fault != nil && s.fault.id == id && s.state == active && asked.After(s.fault.in) {
				r.leasesLost(k, fmt.Sprintf("the lease of %s had ended", s.plan.Name))
				return
			}
		}
	}
}

// leasesLost aborts: nothing more is injected, and what the plugin has not reverted
// by itself we revert now.
func (r *run) leasesLost(k *keeper, why string) {
	r.fail(fmt.Sprintf("plugin %s: the leases were lost: %s", k.plugin, why))
}
