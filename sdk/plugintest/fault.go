package plugintest

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
	"github.com/faultline-go/faultline/sdk/wire"
)

// Case is a fault and what the kit has to know to put it through its life.
type Case struct {
	Plugin sdk.Plugin // also given to Main
	// Binary is the path of a plugin's program in any language, in the place of Plugin.
	// What only the plugin itself can see is then checked from outside: that calls which
	// are cancelled do no harm, and that no open files are left.
	Binary string
	Type   string // of the fault
	// Config is the fault's configuration, and Settings the plugin's: a struct or map
	// that encoding/json turns into the arguments, or the JSON text itself.
	Config   any
	Settings any

	// Target makes a fresh, healthy, real target, and ends it with t. It is called at
	// least once in each check.
	Target func(t testing.TB) schema.Candidate
	// Bitten looks at the target itself, not through the plugin, and says whether the
	// fault is in it.
	Bitten func(target schema.Candidate) (bool, error)

	// The rest is optional; each one adds a check.

	// State describes everything about the target that the fault must leave as it was:
	// Prepare may not change it, and Revert has to bring it back.
	State func(target schema.Candidate) (string, error)
	// Destroy takes the target away for good.
	Destroy func(t testing.TB, target schema.Candidate)
	// Replace puts a new, healthy incarnation in the place of the target.
	Replace func(t testing.TB, target schema.Candidate)

	// SameUndo compares the undo records of two Prepares of one target, where they may
	// differ by more than the layout of their JSON (by a random mark, say).
	SameUndo func(a, b json.RawMessage) bool
	// AcceptIrreversible is what the scenario's irreversible = "accept" sets.
	AcceptIrreversible bool
	// StartsTarget is set for a fault whose Revert starts the target again: a process
	// that it leaves is then not held against it.
	StartsTarget bool
	// Timeout bounds each call, and each wait for a fault to be put back; 0: 30 s.
	Timeout time.Duration
	// Prompt is how long a call may go on after its context has ended; 0: 5 s.
	Prompt time.Duration
	// Lease is that of the checks in which a lease is renewed or runs out; 0: 2 s. On a slow
	// machine it has to be longer than it takes to renew.
	Lease time.Duration
	// Parallel bounds how many checks of this fault go on beside each other; 0: as many
	// as the kit runs at all, see Fault. The functions above are then called from several
	// goroutines at once. 1 is for a fault that two targets cannot have at once without
	// disturbing each other.
	Parallel int
}

// Faults puts several faults through Fault, all beside each other, each in a subtest
// named for its type.
func Faults(t *testing.T, cases ...Case) {
	t.Helper()
	var all []check
	for _, c := range cases {
		all = append(all, check{c.Type, func(t *testing.T) { Fault(t, c) }})
	}
	beside(t, all, 0)
}

// Fault puts a fault through the life that its contract promises: it prepares,
// injects, observes, reverts and scans on real targets, kills the plugin's process at
// every point of it, and takes away the stream, the standard input and the renewals
// that hold the lease. Each promise is a subtest, named for it. They run beside each
// other, each with targets and plugin processes of its own: mostly they wait. TestMain
// has to call Main.
func Fault(t *testing.T, c Case) {
	t.Helper()
	if c.Binary == "" && !registered[c.Plugin.Name] {
		t.Fatalf("the kit starts plugin %q as a process of its own: add\n\tfunc TestMain(m *testing.M) { plugintest.Main(m, plugin()) }", c.Plugin.Name)
	}
	if c.Target == nil || c.Bitten == nil {
		t.Fatal("a Case needs Target and Bitten")
	}
	if c.Timeout <= 0 {
		c.Timeout = 30 * time.Second
	}
	if c.Prompt <= 0 {
		c.Prompt = 5 * time.Second
	}
	if c.Lease <= 0 {
		c.Lease = 2 * time.Second
	}
	d, f := described(t, c)
	k := &kit{Case: c, desc: f}
	t.Run(descriptionComplete, func(t *testing.T) { k.descriptionIsComplete(t, d) })
	if k.desc.Reversibility == schema.Irreversible {
		k.beside(t, k.irreversible())
		return
	}
	k.beside(t, k.reversible())
}

// kit runs a Case.
type kit struct {
	Case
	desc schema.Fault
}

// described returns the fault's description, or ends the test.
func described(t *testing.T, c Case) (*schema.Description, schema.Fault) {
	t.Helper()
	d, err := c.describe(t)
	if err != nil {
		t.Fatalf("the plugin cannot be described: %v", err)
	}
	f := d.Fault(c.Type)
	if f == nil {
		t.Fatalf("plugin %s has no fault %q", d.Name, c.Type)
	}
	return d, *f
}

func (c Case) describe(t *testing.T) (*schema.Description, error) {
	if c.Binary == "" {
		return sdk.Describe(c.Plugin)
	}
	ctx, cancel := context.WithTimeout(t.Context(), c.Timeout)
	defer cancel()
	return spawn(t, c.program(), configured(t, []Option{WithSettings(c.Settings)})).Describe(ctx)
}

// caller is a plugin, in this process or in one of its own.
type caller interface {
	Prepare(context.Context, wire.Prepare) ([]wire.Prepared, error)
	Inject(context.Context, wire.Inject) ([]wire.Injected, error)
	Observe(context.Context, wire.Observe) ([]wire.Observed, error)
	Revert(context.Context, wire.Revert) ([]wire.Reverted, error)
	Scan(context.Context, []wire.Known) ([]wire.Finding, error)
}

// life is one fault on fresh targets, from Prepare to its end.
type life struct {
	*kit
	t       *testing.T
	fault   string
	targets []schema.Candidate
	before  []string // the targets' states
	undos   []wire.Undo
}

var lives atomic.Int64

// nextFault names a fault that was never there.
func nextFault(typ string) string { return fmt.Sprintf("%s-%d", typ, lives.Add(1)) }

// born makes the targets of a fault.
func (k *kit) born(t *testing.T, targets int) *life {
	t.Helper()
	l := &life{kit: k, t: t, fault: nextFault(k.Type)}
	for range targets {
		l.targets = append(l.targets, k.Target(t))
	}
	l.before = l.states()
	if l.bitten() {
		t.Fatal("Bitten says of a fresh target that the fault is in it: either Target or Bitten is wrong")
	}
	return l
}

// states describes the targets, as far as the Case can.
func (l *life) states() []string {
	l.t.Helper()
	var out []string
	for _, c := range l.targets {
		if l.State == nil {
			break
		}
		s, err := l.State(c)
		if err != nil {
			l.t.Fatalf("State of %s: %v", c.Name, err)
		}
		out = append(out, s)
	}
	return out
}

// bitten says whether the fault is in any of the targets.
func (l *life) bitten() bool {
	l.t.Helper()
	for _, c := range l.targets {
		is, err := l.Bitten(c)
		if err != nil {
			l.t.Fatalf("Bitten of %s: %v", c.Name, err)
		}
		if is {
			return true
		}
	}
	return false
}

// allBitten says whether the fault is in every target.
func (l *life) allBitten() bool {
	l.t.Helper()
	for _, c := range l.targets {
		if is, err := l.Bitten(c); err != nil || !is {
			return false
		}
	}
	return true
}

// untouched fails the test unless the targets are as they were.
func (l *life) untouched(when string) {
	l.t.Helper()
	if l.bitten() {
		l.t.Errorf("%s the fault is in the target", when)
	}
	for i, now := range l.states() {
		if now != l.before[i] {
			l.t.Errorf("%s the target is not as it was\nbefore: %s\n   now: %s", when, l.before[i], now)
		}
	}
}

// call bounds a call.
func (l *life) call() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), l.Timeout)
}

func (l *life) tryPrepare(p caller) ([]wire.Prepared, error) {
	ctx, cancel := l.call()
	defer cancel()
	return p.Prepare(ctx, wire.Prepare{
		Type: l.Type, Config: asJSON(l.t, l.Config), Targets: l.targets, AcceptIrreversible: l.AcceptIrreversible,
	})
}

func (l *life) prepare(p caller) []wire.Undo {
	l.t.Helper()
	all, err := l.tryPrepare(p)
	if err != nil {
		l.t.Fatalf("Prepare failed: %v", err)
	}
	byTarget := map[string]wire.Prepared{}
	for _, r := range all {
		byTarget[r.Target] = r
	}
	l.undos = nil
	for _, c := range l.targets {
		r, ok := byTarget[c.ID]
		if !ok || r.Err != "" {
			l.t.Fatalf("Prepare of %s failed: %s", c.Name, r.Err)
		}
		l.undos = append(l.undos, wire.Undo{Target: c.ID, Undo: r.Undo})
	}
	return l.undos
}

// order asks for the fault, under a lease that outlives every test.
func (l *life) order() wire.Inject {
	return wire.Inject{
		Lease: Lease(l.fault), Type: l.Type, Config: asJSON(l.t, l.Config), Targets: l.undos,
		TTL: time.Hour, HardEnd: time.Hour,
	}
}

func (l *life) tryInject(p caller, q wire.Inject) ([]wire.Injected, error) {
	ctx, cancel := l.call()
	defer cancel()
	return p.Inject(ctx, q)
}

func (l *life) inject(p caller) { l.t.Helper(); l.injectAs(p, l.order()) }

func (l *life) injectAs(p caller, q wire.Inject) {
	l.t.Helper()
	all, err := l.tryInject(p, q)
	if err != nil {
		l.t.Fatalf("Inject failed: %v", err)
	}
	for _, r := range all {
		if r.Err != "" {
			l.t.Fatalf("Inject of %s failed: %s", r.Target, r.Err)
		}
	}
	if !l.eventually(l.allBitten) {
		l.t.Fatal("Inject succeeded, but Bitten sees nothing of the fault in the target")
	}
}

// observe says whether the plugin sees its fault act on every target, and on any.
func (l *life) observe(p caller) (all, any bool) {
	l.t.Helper()
	ctx, cancel := l.call()
	defer cancel()
	results, err := p.Observe(ctx, wire.Observe{Type: l.Type, Config: asJSON(l.t, l.Config), Targets: l.undos})
	if err != nil || len(results) != len(l.undos) {
		l.t.Fatalf("Observe failed: %d results for %d targets, %v", len(results), len(l.undos), err)
	}
	all = true
	for _, r := range results {
		if r.Err != "" {
			l.t.Fatalf("Observe of %s failed: %s", r.Target, r.Err)
		}
		all, any = all && r.Bites, any || r.Bites && !r.Ended
	}
	return all, any
}

func (l *life) tryRevert(p caller, again bool) ([]wire.Reverted, error) {
	ctx, cancel := l.call()
	defer cancel()
	return p.Revert(ctx, wire.Revert{Lease: Lease(l.fault), Type: l.Type, By: "plugintest", Targets: l.undos, Again: again})
}

// revert puts back and fails the test unless every target was.
func (l *life) revert(p caller, what string, again bool) {
	l.t.Helper()
	all, err := l.tryRevert(p, again)
	if err != nil {
		l.t.Fatalf("%s failed: %v", what, err)
	}
	if len(all) != len(l.undos) {
		l.t.Fatalf("%s: %d results for %d targets", what, len(all), len(l.undos))
	}
	for _, r := range all {
		if r.Outcome != wire.OutcomeReverted && r.Outcome != wire.OutcomeGone || r.Residue {
			l.t.Errorf("%s of %s: outcome %s, residue %v, though nobody else has changed the target", what, r.Target, r.Outcome, r.Residue)
		}
		if r.Proof == "" {
			l.t.Errorf("%s of %s gives no proof: it has to say what it looked at to be sure", what, r.Target)
		}
	}
}

// putBack reverts what was injected, and fails the test unless the targets are then as
// they were.
func (l *life) putBack(p caller, what string) {
	l.t.Helper()
	l.revert(p, what, false)
	l.healed(what)
}

// settled reverts as an engine does that does not know how far a call came: if the
// fault still takes effect within its settle time, it reverts again.
func (l *life) settled(p caller, what string) {
	l.t.Helper()
	l.revert(p, what, false)
	if settle := time.Duration(l.desc.SettleMS) * time.Millisecond; settle > 0 {
		aside(func() { <-time.After(settle) })
		if _, any := l.observe(p); any {
			l.revert(p, what+" after the settle time", true)
		}
	}
	l.healed(what)
}

// healed fails the test unless the targets are as they were, at once or, where the
// fault heals itself, in time.
func (l *life) healed(what string) {
	l.t.Helper()
	if l.desc.Reversibility == schema.SelfHealing {
		l.eventually(func() bool { return !l.bitten() })
	}
	l.untouched("after " + what)
}

// eventually waits for something to become true.
func (l *life) eventually(holds func() bool) bool {
	l.t.Helper()
	return eventually(l.Timeout, holds)
}

// eventually looks again and again, at first often.
func eventually(within time.Duration, holds func() bool) bool {
	pause := 10 * time.Millisecond
	for end := time.Now().Add(within); !holds(); pause = min(pause*3/2, 100*time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
		<-time.After(pause)
	}
	return true
}
