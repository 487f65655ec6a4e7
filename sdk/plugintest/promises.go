package plugintest

import (
	"bytes"
	"context"
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/faultline-go/faultline/sdk/schema"
	"github.com/faultline-go/faultline/sdk/wire"
)

// These checks run the plugin inside the test's own process, where it is written in Go.

func (k *kit) here(t *testing.T) *here {
	t.Helper()
	if k.Binary != "" {
		return &here{Client: k.spawn(t).Client}
	}
	return serveHere(t, k.Plugin, WithSettings(k.Settings), func(o *options) { o.closing = k.Timeout })
}

func (k *kit) descriptionIsComplete(t *testing.T, d *schema.Description) {
	raw, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var back schema.Description
	if err := json.Unmarshal(raw, &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(&back, d) {
		t.Errorf("the description does not survive JSON:\n%+v\n%+v", *d, back)
	}
	for what, text := range map[string]string{"the plugin's version": d.Version, "the plugin's doc": d.Doc, "the fault's doc": k.desc.Doc} {
		if text == "" {
			t.Errorf("%s is empty", what)
		}
	}
	for _, a := range k.desc.Config.Attributes {
		if a.Doc == "" {
			t.Errorf("argument %s has no doc", a.Name)
		}
	}
}

func (k *kit) prepareChangesNothing(t *testing.T) {
	p, l := k.here(t), k.born(t, 1)
	first := l.prepare(p)[0].Undo
	l.untouched("after Prepare")
	second := l.prepare(p)[0].Undo
	l.untouched("after a second Prepare")
	same := k.SameUndo
	if same == nil {
		same = sameJSON
	}
	if !same(first, second) {
		t.Errorf("two Prepares of one target return different undo records (if they mean the same, say so with Case.SameUndo)\n%s\n%s", first, second)
	}
	if _, any := l.observe(p); any {
		t.Error("Observe says that the fault bites before it was injected")
	}
}

func sameJSON(a, b json.RawMessage) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return bytes.Equal(a, b)
	}
	return reflect.DeepEqual(x, y)
}

func (k *kit) irreversibleIsRefused(t *testing.T) {
	refusing := *k
	refusing.AcceptIrreversible = false
	p, l := k.here(t), refusing.born(t, 1)
	all, err := l.tryPrepare(p)
	if err != nil {
		t.Fatalf("Prepare failed: %v", err)
	}
	for _, r := range all {
		if r.Err == "" {
			t.Error("Prepare of an irreversible fault succeeded although the scenario does not accept it")
		}
	}
	l.untouched("after a refused Prepare")
}

func (k *kit) bites(t *testing.T) {
	p, l := k.here(t), k.born(t, 1)
	l.prepare(p)
	l.inject(p)
	if !l.eventually(func() bool { all, _ := l.observe(p); return all }) {
		t.Error("the fault is in the target, but Observe does not say that it bites")
	}
}

func (k *kit) bitesAndIsPutBack(t *testing.T) { k.wholeLife(t, 1) }
func (k *kit) severalTargets(t *testing.T)    { k.wholeLife(t, 2) }

func (k *kit) wholeLife(t *testing.T, targets int) {
	p, l := k.here(t), k.born(t, targets)
	l.prepare(p)
	l.inject(p)
	if !l.eventually(func() bool { all, _ := l.observe(p); return all }) {
		t.Error("the fault is in the target, but Observe does not say that it bites")
	}
	l.putBack(p, "Revert")
	if _, any := l.observe(p); any {
		t.Error("Observe says that the fault still bites after Revert")
	}
}

func (k *kit) revertIsIdempotent(t *testing.T) {
	p, l := k.here(t), k.born(t, 1)
	l.prepare(p)
	l.inject(p)
	l.putBack(p, "Revert")
	l.revert(p, "the second Revert", true)
	l.untouched("after the second Revert")
}

func (k *kit) revertWithoutInject(t *testing.T) {
	p, l := k.here(t), k.born(t, 1)
	l.prepare(p)
	l.revert(p, "Revert without Inject", false)
	l.untouched("after Revert without Inject")
}

func (k *kit) scanTellsTheTruth(t *testing.T) {
	p, l := k.here(t), k.born(t, 1)
	l.prepare(p)
	if f := l.scan(p); f != nil {
		t.Errorf("Scan finds %+v before Inject", *f)
	}
	l.inject(p)
	switch f := l.scan(p); {
	case f == nil:
		t.Error("Scan finds nothing while the fault is in the target")
	case f.Kind != "marked" && f.Kind != "still_matches_undo":
		t.Errorf("Scan's finding is of kind %q, which there is not", f.Kind)
	}
	l.putBack(p, "Revert")
	if f := l.scan(p); f != nil {
		t.Errorf("Scan still finds %+v after Revert", *f)
	}
}

// scan returns what is found of this fault. Findings that name neither a fault nor a
// target may be of somebody else on the same machine: they count only while nothing
// else is running, which a test cannot know, and are left out.
func (l *life) scan(p caller) *wire.Finding {
	l.t.Helper()
	ctx, cancel := l.call()
	defer cancel()
	all, err := p.Scan(ctx, []wire.Known{{Type: l.Type, Fault: l.fault, Targets: l.undos}})
	if err != nil {
		l.t.Fatalf("Scan failed: %v", err)
	}
	for _, f := range all {
		if f.Fault == l.fault || f.Target == l.targets[0].ID {
			return &f
		}
	}
	return nil
}

// A call's context ends soon after the call began: it has to return, whatever it was
// doing, and Revert has to put things right afterwards.
func (k *kit) callsEndWithTheirContext(t *testing.T) {
	p, l := k.here(t), k.born(t, 1)
	l.prepare(p)
	config := asJSON(t, k.Config)
	revert := wire.Revert{Lease: Lease(l.fault), Type: k.Type, By: "plugintest", Targets: l.undos, Again: true}
	var to caller = p.Client // whose calls return in any case
	if p.server != nil {
		to = direct{p.server}
	}
	prepare := wire.Prepare{Type: k.Type, Config: config, Targets: l.targets, AcceptIrreversible: k.AcceptIrreversible}
	observe := wire.Observe{Type: k.Type, Config: config, Targets: l.undos}
	known := []wire.Known{{Type: k.Type, Fault: l.fault, Targets: l.undos}}
	for _, call := range []struct {
		name string
		make func(context.Context) error
	}{
		{"Prepare", func(ctx context.Context) error { _, err := to.Prepare(ctx, prepare); return err }},
		{"Inject", func(ctx context.Context) error { _, err := to.Inject(ctx, l.order()); return err }},
		{"Observe", func(ctx context.Context) error { _, err := to.Observe(ctx, observe); return err }},
		{"Scan", func(ctx context.Context) error { _, err := to.Scan(ctx, known); return err }},
		{"Revert", func(ctx context.Context) error { _, err := to.Revert(ctx, revert); return err }},
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		returned := make(chan struct{})
		go func() {
			_ = call.make(ctx)   // that it fails is its right
			if p.server == nil { // does it still answer?
				answering, cancel := context.WithTimeout(context.Background(), patient(k.Timeout))
				defer cancel()
				if _, err := p.Describe(answering); err != nil {
					return
				}
			}
			close(returned)
		}()
		<-ctx.Done()
		cancel()
		prompt := patient(k.Prompt).Round(time.Millisecond)
		select {
		case <-returned:
		case <-time.After(prompt):
			t.Errorf("%s did not return within %s of its context's end", call.name, prompt)
			select {
			case <-returned:
			case <-time.After(patient(k.Timeout)):
				t.Fatalf("%s does not return at all", call.name)
			}
		}
	}
	l.settled(p, "Revert after calls that were cancelled")
}

func (k *kit) targetIsGone(t *testing.T) {
	if k.Destroy == nil {
		t.Skip("needs Destroy, which the case does not have")
	}
	p := k.here(t)
	k.parts(t, []check{
		{"before Prepare", func(t *testing.T) {
			l := k.born(t, 1)
			k.Destroy(t, l.targets[0])
			all, err := l.tryPrepare(p)
			if err != nil || len(all) != 1 {
				t.Fatalf("Prepare: %d results, %v", len(all), err)
			}
			if !all[0].Gone {
				t.Errorf("Prepare of a target that is gone does not return sdk.ErrGone: it said %q", all[0].Err)
			}
		}},
		{"before Inject", func(t *testing.T) {
			l := k.born(t, 1)
			l.prepare(p)
			k.Destroy(t, l.targets[0])
			all, err := l.tryInject(p, l.order())
			if err != nil || len(all) != 1 {
				t.Fatalf("Inject: %d results, %v", len(all), err)
			}
			if !all[0].Gone {
				t.Errorf("Inject into a target that is gone does not return sdk.ErrGone: it said %q", all[0].Err)
			}
			l.putRight(p)
		}},
		{"before Revert", func(t *testing.T) {
			l := k.born(t, 1)
			l.prepare(p)
			l.inject(p)
			k.Destroy(t, l.targets[0])
			l.putRight(p)
		}},
	})
}

// putRight reverts a fault whose target is not what it was: nothing can fail any
// more, and nothing is left.
func (l *life) putRight(p caller) {
	l.t.Helper()
	all, err := l.tryRevert(p, false)
	if err != nil {
		l.t.Errorf("Revert of a target that is gone failed: %v", err)
	}
	for _, r := range all {
		if r.Residue {
			l.t.Errorf("Revert of a target that is gone says that something is left: %s, %s", r.Outcome, r.Proof)
		}
	}
}

func (k *kit) anotherIncarnation(t *testing.T) {
	if k.Replace == nil {
		t.Skip("needs Replace, which the case does not have")
	}
	p := k.here(t)
	k.parts(t, []check{
		{"before Inject", func(t *testing.T) {
			l := k.born(t, 1)
			l.prepare(p)
			k.Replace(t, l.targets[0])
			l.before = l.states()
			all, err := l.tryInject(p, l.order())
			if err != nil || len(all) != 1 {
				t.Fatalf("Inject: %d results, %v", len(all), err)
			}
			if all[0].Err == "" {
				t.Error("Inject did not notice that the target is another incarnation than the one Prepare saw")
			}
			l.untouched("after Inject was refused")
			l.putRight(p)
			l.untouched("after the Revert of the refused Inject")
		}},
		{"before Revert", func(t *testing.T) {
			l := k.born(t, 1)
			l.prepare(p)
			l.inject(p)
			k.Replace(t, l.targets[0])
			l.before = l.states()
			l.putRight(p)
			l.untouched("after the Revert of a fault whose target was replaced")
		}},
	})
}

// leakLives are the lives after the first one, in which pools and the like grow, too.
const leakLives = 6

// The lives are of one target, one after the other: what is put back takes a fault
// again, and a pool of connections is as large after one life as after many.
func (k *kit) leavesNothingRunning(t *testing.T) {
	p := spawn(t, k.program(), configured(t, []Option{WithSettings(k.Settings), func(o *options) { o.counted = k.Binary == "" }}))
	l := k.born(t, 1)
	once := func() {
		l.fault = nextFault(k.Type)
		l.prepare(p)
		l.inject(p)
		l.observe(p)
		l.putBack(p, "Revert")
		l.scan(p)
	}
	once()
	left := p.leaks(t)
	for range leakLives {
		once()
	}
	if left := left(); left != "" {
		t.Errorf("%d lives of the fault left %s", leakLives, left)
	}
	if k.StartsTarget || k.desc.Reversibility == schema.SelfHealing {
		return
	}
	p.stdin.Close()
	if !p.endsWithin(patient(k.Timeout)) {
		t.Fatal("the plugin does not end when its engine has gone and nothing is held")
	}
	var alive []string
	if !eventually(patient(2*time.Second), func() bool {
		found, err := p.leftovers()
		if err != nil {
			t.Fatal(err)
		}
		alive = found
		return len(alive) == 0
	}) {
		t.Errorf("the plugin left processes behind (Case.StartsTarget allows that): %v", alive)
	}
}
