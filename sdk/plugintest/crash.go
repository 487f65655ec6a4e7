package plugintest

import (
	"fmt"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/faultline-go/faultline/sdk/arbiter"
	"github.com/faultline-go/faultline/sdk/schema"
	"github.com/faultline-go/faultline/sdk/wire"
)

// These checks run the plugin as real processes, and end them.

func (k *kit) spawn(t *testing.T) *process {
	t.Helper()
	return spawn(t, k.program(), configured(t, []Option{WithSettings(k.Settings)}))
}

// spawnIn starts a plugin in a run folder that another one has used.
func (k *kit) spawnIn(t *testing.T, dir arbiter.Dir) *process {
	t.Helper()
	return spawn(t, k.program(), options{settings: k.Settings, dir: dir})
}

// Another process reverts while the one that injected still lives: it has nothing but
// the record, and the first one must accept what the other has done.
func (k *kit) revertNeedsOnlyTheRecord(t *testing.T) {
	dir := runDir(t)
	first, l := k.spawnIn(t, dir), k.born(t, 1)
	l.prepare(first)
	l.inject(first)
	l.putBack(k.spawnIn(t, dir), "Revert in another process")
	first.stdin.Close()
	if !first.endsWithin(patient(k.Timeout)) {
		t.Fatal("the plugin does not end, though another process has put its fault back")
	}
	l.untouched("after the end of the process that had injected")
}

func (k *kit) crashBeforeInject(t *testing.T) {
	dir := runDir(t)
	first, l := k.spawnIn(t, dir), k.born(t, 1)
	l.prepare(first)
	first.kill()
	l.putBack(k.spawnIn(t, dir), "Revert after a crash before Inject")
}

func (k *kit) crashAfterInject(t *testing.T) {
	dir := runDir(t)
	first, l := k.spawnIn(t, dir), k.born(t, 1)
	l.prepare(first)
	l.inject(first)
	first.kill()
	l.putBack(k.spawnIn(t, dir), "Revert after a crash behind Inject")
}

// crashPoints are the parts of a call's usual time at which its process is killed.
var crashPoints = []float64{0, 0.2, 0.4, 0.6, 0.8, 0.95}

func (k *kit) crashDuringInject(t *testing.T) {
	k.crashDuring(t, "Inject", func(l *life, p *process) func() error {
		return func() error { _, err := l.tryInject(p, l.order()); return err }
	})
}

func (k *kit) crashDuringRevert(t *testing.T) {
	k.crashDuring(t, "Revert", func(l *life, p *process) func() error {
		l.inject(p)
		return func() error { _, err := l.tryRevert(p, false); return err }
	})
}

// crashDuring kills the plugin at each point of a call and has another process put
// things right. Of makes everything ready for the call and returns it.
func (k *kit) crashDuring(t *testing.T, call string, of func(*life, *process) func() error) {
	usual := k.usual(t, of)
	var points []check
	for _, part := range crashPoints {
		points = append(points, check{fmt.Sprintf("%.0f %% into it", 100*part), func(t *testing.T) {
			dir := runDir(t)
			first, l := k.spawnIn(t, dir), k.born(t, 1)
			l.prepare(first)
			killDuring(first, time.Duration(part*float64(usual)), of(l, first))
			l.settled(k.spawnIn(t, dir), "Revert after a crash in the middle of "+call)
		}})
	}
	k.parts(t, points)
}

// usual measures how long a call takes: the median of three.
func (k *kit) usual(t *testing.T, of func(*life, *process) func() error) time.Duration {
	t.Helper()
	p := k.spawn(t)
	var took []time.Duration
	for range 3 {
		l := k.born(t, 1)
		l.prepare(p)
		call := of(l, p)
		at := time.Now()
		if err := call(); err != nil {
			t.Fatal(err)
		}
		took = append(took, time.Since(at))
		l.putBack(p, "Revert")
	}
	slices.Sort(took)
	return took[1]
}

// killDuring begins a call and kills the process some time later.
func killDuring(p *process, after time.Duration, call func() error) {
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		_ = call() // it cannot succeed, or it has
	}()
	<-time.After(after)
	p.kill()
	<-returned
}

// alone has a plugin process hold a fault, takes something away from it, and waits
// until it has put back by itself.
func (k *kit) alone(t *testing.T, what string, take func(*process)) (*life, *process) {
	t.Helper()
	p, l := k.spawn(t), k.born(t, 1)
	l.prepare(p)
	l.inject(p)
	take(p)
	l.comesBack("after " + what)
	return l, p
}

// comesBack waits until the targets are as they were. They may be in between for a
// while, where neither Bitten nor State know what to say.
func (l *life) comesBack(when string) {
	l.t.Helper()
	if limit := patient(l.Timeout).Round(time.Millisecond); !eventually(limit, func() bool {
		for i, c := range l.targets {
			if is, err := l.Bitten(c); is || err != nil {
				return false
			}
			if l.State == nil {
				continue
			}
			if now, err := l.State(c); err != nil || now != l.before[i] {
				return false
			}
		}
		return true
	}) {
		l.untouched(limit.String() + " " + when)
	}
}

func (k *kit) lostStream(t *testing.T) {
	l, p := k.alone(t, "the session broke", func(p *process) { p.hangUp() })
	if all, err := l.tryInject(p, l.order()); err == nil {
		t.Errorf("the plugin injects a fault again whose lease has ended: %+v", all)
	}
}

func (k *kit) lostInput(t *testing.T) {
	_, p := k.alone(t, "standard input ended", func(p *process) { p.stdin.Close() })
	if !p.endsWithin(patient(k.Timeout)) {
		t.Error("the plugin does not end after its standard input has")
	}
}

func (k *kit) terminated(t *testing.T) {
	_, p := k.alone(t, "SIGTERM", func(p *process) { _ = p.cmd.Process.Signal(syscall.SIGTERM) })
	if !p.endsWithin(patient(k.Timeout)) {
		t.Error("the plugin does not end after SIGTERM")
	}
}

func (k *kit) notRenewed(t *testing.T) {
	ttl := leased(k.Lease) / 2
	p, l := k.spawn(t), k.born(t, 1)
	l.prepare(p)
	lost := p.renew(t, l.fault, ttl/4)
	q := l.order()
	q.TTL = ttl
	l.injectAs(p, q)
	if lost() {
		t.Error("a lease was lost though it was renewed")
	}
	l.comesBack("after the lease ran out")
	if again := p.renew(t, l.fault, ttl/4); !again() {
		t.Error("a lease that has run out was renewed")
	}
}

// selfEnding skips the check for a fault that nobody but us ends.
func (k *kit) selfEnding(t *testing.T) {
	t.Helper()
	if k.desc.Hold != schema.HoldKernel && k.desc.Hold != schema.HoldTarget {
		t.Skipf("its hold is %s: it stays until somebody puts it back", k.desc.Hold)
	}
}

// underShortLease injects the fault under a short lease, and renews it.
func (k *kit) underShortLease(t *testing.T, dir arbiter.Dir) (p *process, l *life, lease time.Duration, stop func() (lost bool)) {
	t.Helper()
	lease = leased(k.Lease)
	p, l = k.spawnIn(t, dir), k.born(t, 1)
	l.prepare(p)
	stop = p.renew(t, l.fault, lease/4)
	q := l.order()
	q.TTL = lease
	l.injectAs(p, q)
	return p, l, lease, stop
}

// The kernel, or what was placed at the target, has to hear of every renewal.
func (k *kit) renewedHolds(t *testing.T) {
	k.selfEnding(t)
	p, l, lease, stop := k.underShortLease(t, runDir(t))
	seen := false
	for end := time.Now().Add(lease + lease/2); time.Now().Before(end); {
		is, err := l.Bitten(l.targets[0])
		if err != nil { // a look that fails says nothing
			t.Logf("Bitten: %v", err)
		} else if !is {
			t.Error("the fault has ended though its lease was renewed: what holds it was not told (Fault.Renew)")
			break
		}
		seen = seen || err == nil
		<-time.After(20 * time.Millisecond)
	}
	if !seen && !t.Failed() {
		t.Error("no look at the target has succeeded")
	}
	if stop() {
		t.Error("a lease was lost though it was renewed")
	}
	l.putBack(p, "Revert")
}

// Engine, plugin and guardian are dead: nobody calls Revert. The fault is over a lease
// later; what does no harm may still be there, and the next Revert removes it.
func (k *kit) endsByItself(t *testing.T) {
	k.selfEnding(t)
	dir := runDir(t)
	p, l, lease, stop := k.underShortLease(t, dir)
	stop()
	p.kill()
	dead := time.Now()
	if !l.eventually(func() bool { is, err := l.Bitten(l.targets[0]); return err == nil && !is }) {
		t.Fatalf("the fault is still there %s after the plugin was killed; its description promises that it ends by itself (hold %s)",
			time.Since(dead).Round(time.Second), k.desc.Hold)
	}
	// A busy machine may look late, but not for this long.
	if took := time.Since(dead); took > lease+patient(5*time.Second) {
		t.Errorf("the fault stayed %s after the plugin was killed, its lease was %s", took, lease)
	}
	l.putBack(k.spawnIn(t, dir), "Revert of a fault that had ended by itself")
}

// renew keeps a lease until the returned function is called, which says whether it
// had ended by then. It asks at least once after the lease could be known.
func (p *process) renew(t *testing.T, fault string, every time.Duration) (stop func() (lost bool)) {
	t.Helper()
	enough, last := make(chan struct{}), make(chan bool, 1)
	ask := func(n int64) bool {
		if err := p.session.Renew(wire.Renewal{Sequence: n, Leases: []wire.Lease{Lease(fault)}}); err != nil {
			t.Errorf("renew: %v", err)
			return true
		}
		event, err := p.session.Next()
		if err != nil {
			t.Errorf("renew: %v", err)
			return true
		}
		return slices.Contains(event.Lost, fault)
	}
	go func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for n := int64(1); ; n++ {
			select {
			case <-enough:
				last <- ask(n)
				return
			case <-tick.C:
				ask(n) // lost as long as it is not injected
			}
		}
	}()
	stop = sync.OnceValue(func() bool {
		close(enough)
		return <-last
	})
	t.Cleanup(func() { stop() }) // also where the test ends before it asks
	return stop
}
