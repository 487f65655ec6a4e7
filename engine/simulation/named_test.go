package simulation

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/faultline-go/faultline/engine/judge"
)

// TestNamedCases plays what people ask about first, each in many worlds, and makes sure
// that it happened.
func TestNamedCases(t *testing.T) {
	root := memory(t)
	at := pointsOf(t, root)
	dies := func(point string) int {
		n := slices.Index(at, point) + 1
		if n == 0 {
			t.Fatalf("a run has no point %q", point)
		}
		return n
	}
	for _, c := range []struct {
		name     string
		fate     fate
		happened []string
	}{
		{
			"an injection takes effect after its revert",
			fate{troubles: []trouble{injectLands}},
			[]string{string(injectLands), "a run ends " + string(judge.Errored)},
		},
		{
			"an injection arrives after its revert",
			fate{troubles: []trouble{injectArrives}},
			[]string{string(injectArrives), "a run ends " + string(judge.Errored)},
		},
		{
			"an injection takes effect after engine and plugin died over it",
			fate{troubles: []trouble{injectLands}, engineDies: dies("after it asked to inject"), alsoPlugin: true},
			[]string{string(injectLands), "the engine dies after it asked to inject"},
		},
		{
			"an engine is suspended past its lease, wakes, and wants to go on",
			fate{shape: 2, troubles: []trouble{engineSleeps}, engineSleeps: 1500 * time.Millisecond, engineWakes: 9 * time.Second},
			[]string{string(engineSleeps), "a run ends " + string(judge.Errored)},
		},
		{
			"plugin, guardian and recover all at once",
			fate{shape: 1, troubles: []trouble{manyRecover}, engineDies: dies("before it asks to observe")},
			[]string{string(manyRecover)},
		},
		{
			"two faults on one target",
			fate{shape: 1},
			[]string{"a run ends " + string(judge.Held)},
		},
		{
			"a target is replaced by its orchestrator",
			fate{troubles: []trouble{targetReplaced}, replaced: 2 * time.Second, target: "a"},
			[]string{string(targetReplaced)},
		},
		{
			"a restart policy beats us to it",
			fate{troubles: []trouble{targetRestarts}, restarts: 2 * time.Second, target: "a"},
			[]string{string(targetRestarts), "a run ends " + string(judge.Held)},
		},
		{
			"somebody else changes a target",
			fate{troubles: []trouble{foreignChange}, foreign: 2 * time.Second, target: "a"},
			[]string{string(foreignChange), "a run ends " + string(judge.Residue)},
		},
		{
			"a second run beside the first",
			fate{troubles: []trouble{secondRun}},
			[]string{string(secondRun), "a run ends " + string(judge.Errored)}, // the target is the other's
		},
		{
			"a revert fails for ever, beside others",
			fate{shape: 1, troubles: []trouble{revertStuck}, target: "c"},
			[]string{string(revertStuck), "a run ends " + string(judge.Residue)},
		},
		{
			"the power fails while a fault is on",
			fate{shape: 1, troubles: []trouble{powerFails}, powerFails: 2 * time.Second},
			[]string{string(powerFails), "a run ends " + string(judge.Errored)},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			seen := map[string]int{}
			for seed := range uint64(25) {
				f := c.fate
				f.seed = seed
				o := play(t, root, f, nil)
				if len(o.wrong) > 0 {
					t.Fatalf("seed %d:\n%s\n%s", seed, strings.Join(o.wrong, "\n"), o.story)
				}
				for what, n := range o.happened {
					seen[what] += n
				}
			}
			for _, what := range c.happened {
				if seen[what] == 0 {
					t.Errorf("it never happened that %s: %v", what, seen)
				}
			}
		})
	}
}

// pointsOf are the points of an undisturbed engine, in their order. Calls that are made
// at the same moment may come in another one.
func pointsOf(t *testing.T, root string) []string {
	var w *world
	play(t, root, fate{}, func(made *world) { w = made })
	return w.lives[0].points
}

// TestSuspendedEngine says when the plugin of a suspended engine puts back: one lease
// after the last renewal, at the latest.
func TestSuspendedEngine(t *testing.T) {
	root := memory(t)
	const asleep = 1500 * time.Millisecond
	f := fate{troubles: []trouble{engineSleeps}, engineSleeps: asleep, engineWakes: 12 * time.Second}
	var w *world
	o := play(t, root, f, func(made *world) { w = made })
	if len(o.wrong) > 0 {
		t.Fatalf("%s\n%s", strings.Join(o.wrong, "\n"), o.story)
	}
	if len(w.faults) != 1 {
		t.Fatalf("%d faults were asked for", len(w.faults))
	}
	for _, x := range w.faults {
		if at := x.reverting.Sub(w.start); at <= asleep || at > asleep+lease+200*time.Millisecond {
			t.Errorf("the revert starts %s after an engine that was suspended at %s", at, asleep)
		}
	}
	if !slices.ContainsFunc(w.story, func(s told) bool { return s.format == "the engine wakes" }) {
		t.Error("the engine never woke")
	}
}
