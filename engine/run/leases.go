package run

import (
	"context"
	"fmt"
	"slices"
	"strings"
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

	patience time.Duration // for the opening of the session
	acked    atomic.Int64  // Unix nanoseconds of the sending of the last acknowledged renewal
	cancel   context.CancelFunc
	broken   bool // the session is: the plugin puts everything back by itself. The owner's
}

const sessionTimeout = 10 * time.Second

// openSessions opens a session with every plugin that has a fault in the plan.
func (r *run) openSessions() {
	r.keepers = map[string]*keeper{}
	pending := 0
	for _, name := range r.crew.names() {
		p, err := r.crew.alive(name)
		if err != nil {
			r.fail(err.Error())
			return
		}
		r.watchPlugin(name, p)
		shortest := r.shortestLease(name)
		if shortest == 0 {
			continue
		}
		pending++
		ctx, cancel := context.WithCancel(r.life)
		k := &keeper{plugin: name, every: shortest / renewals, lost: shortest*lostAfter/5 + r.slack(name), patience: sessionTimeout + r.slack(name), cancel: cancel}
		r.start(func() {
			err := k.open(ctx, p)
			r.send(func() {
				pending--
				if err != nil {
					cancel()
					r.fail(fmt.Sprintf("plugin %s: open its session: %v", name, err))
					return
				}
				r.keepers[name] = k
				r.start(func() { r.renew(ctx, k) })
				r.start(func() { r.listen(ctx, k, p) })
			})
		})
	}
	r.until(func() (bool, time.Time) { return pending == 0 || r.stopped != nil, time.Time{} })
}

// open gives up when the plugin does not answer in time.
func (k *keeper) open(ctx context.Context, p Plugin) (err error) {
	late := time.AfterFunc(k.patience, k.cancel)
	k.session, err = p.Session(ctx)
	if !late.Stop() {
		return fmt.Errorf("it gave no answer within %s", k.patience)
	}
	return err
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
			r.send(func() { r.died(name, p) })
		case <-r.life.Done():
		}
	})
}

// noticeDeath is for a call's answer: where the plugin has died meanwhile, that is the
// reason to give, not the answer that did not come.
func (r *run) noticeDeath(name string, p Plugin) {
	select {
	case <-p.Done():
		r.died(name, p)
	default:
	}
}

// died stops the run for a plugin that is known to be dead.
func (r *run) died(name string, p Plugin) {
	why := fmt.Sprintf("plugin %s died", name)
	if err := p.Err(); err != nil && strings.HasPrefix(err.Error(), "plugin "+name) {
		why = err.Error()
	} else if err != nil {
		why += ": " + err.Error()
	}
	r.fail(why)
}

// outlives says that what has failed is not explained by the plugin's death, which
// watchPlugin tells better. A process that dies breaks its streams a moment before
// its end is known. It runs outside the owner.
func (r *run) outlives(p Plugin) bool {
	t := time.NewTimer(deathNotice)
	defer t.Stop()
	select {
	case <-p.Done():
		return false
	case <-t.C:
		return true
	}
}

const deathNotice = 500 * time.Millisecond

// renew sends renewals as long as the owner answers in time. A renewal's sequence is
// the time of its sending, which the acknowledgement brings back. Whether they are
// acknowledged the owner watches. It runs outside the owner.
func (r *run) renew(ctx context.Context, k *keeper) {
	tick := time.NewTicker(k.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		held, answered := r.held(ctx, k)
		if !answered || len(held) == 0 {
			continue
		}
		if err := k.session.Renew(wire.Renewal{Sequence: time.Now().UnixNano(), Leases: held}); err != nil {
			return // listen knows why
		}
	}
}

// watchLeases gives leases up that the plugin has not acknowledged for so long that
// it is about to end them, or has done so: it hangs, or we did.
func (r *run) watchLeases(x *experiment, at func(time.Time)) {
	if r.stopped != nil {
		return
	}
	for _, s := range x.steps {
		k := r.keepers[s.plan.Plugin]
		if k == nil || s.fault == nil || s.state != active && s.state != injecting {
			continue
		}
		since := k.heard(s.fault)
		if silent := time.Since(since); silent >= k.lost {
			r.leasesLost(k, fmt.Sprintf("it acknowledged no renewal for %s", silent.Round(time.Millisecond)))
			return
		}
		at(since.Add(k.lost))
	}
}

// heard is until when the plugin is known to hold a fault's lease.
func (k *keeper) heard(f *fault) time.Time { return later(f.called, time.Unix(0, k.acked.Load())) }

// doubtful says that the plugin may be putting the fault back by itself, although the
// run does not stop yet: why the session broke is still being found out.
func (r *run) doubtful(s *step) bool {
	k := r.keepers[s.plan.Plugin]
	return k != nil && (k.broken || s.fault != nil && time.Since(k.heard(s.fault)) >= k.lost)
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
func (r *run) listen(ctx context.Context, k *keeper, p Plugin) {
	for {
		e, err := k.session.Next()
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			r.send(func() { k.broken = true })
			if r.outlives(p) {
				r.send(func() { r.leasesLost(k, err.Error()) })
			}
			return
		}
		asked := time.Unix(0, e.Sequence)
		if e.Sequence == 0 {
			asked = time.Now() // nobody asked: the plugin says so by itself
		} else if e.Sequence > k.acked.Load() {
			k.acked.Store(e.Sequence)
			if r.Renewed != nil {
				r.Renewed(k.plugin, asked)
			}
		}
		if len(e.Lost) > 0 {
			r.send(func() { r.lost(k, e.Lost, asked) })
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
		if s.fault != nil && slices.Contains(faults, s.fault.id) && s.state == active && asked.After(s.fault.in) {
			r.leasesLost(k, fmt.Sprintf("the lease of %s had ended", s.plan.Name))
			return
		}
	}
}

// leasesLost aborts: nothing more is injected, and what the plugin has not reverted
// by itself we revert now.
func (r *run) leasesLost(k *keeper, why string) {
	r.abort(&stop{cause: "plugin", reason: fmt.Sprintf("plugin %s: the leases were lost: %s", k.plugin, why), errored: true, lease: true})
}
