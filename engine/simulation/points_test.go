package simulation

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestEveryPoint has an engine die at each of its points, alone and with everybody who
// could put back in its place, and then each of those at each of theirs.
func TestEveryPoint(t *testing.T) {
	root := memory(t)
	size := measure(t, root)
	var cases []fate
	for n := 1; n <= size.engine; n++ {
		for shape := range shapes {
			cases = append(cases, fate{shape: shape, engineDies: n})
		}
		cases = append(cases,
			fate{shape: 1, engineDies: n, alsoPlugin: true},
			fate{shape: 1, engineDies: n, alsoGuardian: true},
			fate{shape: 1, engineDies: n, alsoPlugin: true, alsoGuardian: true})
	}
	during := size.engine / 3 // faults are on: measure has seen that there is much to recover
	for n := 1; n <= size.guardian; n++ {
		cases = append(cases,
			fate{shape: 1, engineDies: during, guardianDies: n},
			fate{shape: 1, engineDies: during, alsoPlugin: true, guardianDies: n},
			fate{shape: 1, engineDies: during, alsoPlugin: true, alsoGuardian: true, troubles: []trouble{recoverDies}, recoverDies: n})
	}
	died := map[string]int{}
	t.Run("all", func(t *testing.T) {
		happened := beside(t, len(cases), func(t *testing.T, i int) outcome {
			f := cases[i]
			o := play(t, root, f, func(w *world) { w.promise = promiseOf(f) })
			if len(o.wrong) > 0 {
				t.Errorf("%+v:\n%s\n%s", f, strings.Join(o.wrong, "\n"), o.story)
			}
			return o
		})
		t.Cleanup(func() {
			for what, n := range happened() {
				if strings.Contains(what, " dies ") {
					died[what] += n
				}
			}
		})
	})
	for _, kind := range []string{"engine", "guardian", "recover"} {
		for _, where := range placesOf[kind] {
			if what := fmt.Sprintf("the %s dies %s", kind, where); died[what] == 0 {
				t.Errorf("it never happened that %s", what)
			}
		}
	}
}

// promiseOf is the row of the table in docs/concepts.md that a death falls under, and the
// time that an injection under way is given to stop.
func promiseOf(f fate) time.Duration {
	const grace = 2 * time.Second
	switch {
	case f.guardianDies > 0 || f.alsoPlugin && f.alsoGuardian:
		return 0
	case f.alsoPlugin:
		return 2 * time.Second // the guardian does
	default:
		return time.Second + grace // the plugin does, or if it has died as well, the guardian
	}
}

// placesOf are the places at which each has to have died.
var placesOf = map[string][]string{
	"engine": {
		"before it starts the guardian", "before it starts the plugin", "before it opens a session", "after it opened a session",
		"before it writes run.started", "in the middle of writing run.started", "after it wrote run.started",
		"before it asks to scan", "after it asked to scan", "before it asks to prepare", "after it asked to prepare",
		"before it reserves space", "before it writes fault.intent", "in the middle of writing fault.intent", "after it wrote fault.intent",
		"before it syncs", "after it synced", "before it asks to inject", "after it asked to inject",
		"before it writes fault.active", "in the middle of writing fault.active", "after it wrote fault.active",
		"before it renews", "before it asks to observe", "after it asked to observe", "after it wrote fault.observed",
		"before it asks to revert", "after it asked to revert", "before it writes fault.reverted",
		"in the middle of writing fault.reverted", "after it wrote fault.reverted", "after it wrote samples",
		"before it writes run.ended", "in the middle of writing run.ended", "after it wrote run.ended",
	},
	"guardian": {
		"before it writes run.takeover", "in the middle of writing run.takeover", "after it wrote run.takeover",
		"before it starts a plugin", "after it started a plugin", "before it asks to revert", "after it asked to revert",
		"before it writes fault.reverted", "in the middle of writing fault.reverted", "after it wrote fault.reverted",
		"before it asks to scan", "after it asked to scan", "before it writes run.ended", "after it wrote run.ended",
		"before it syncs", "after it synced",
	},
	"recover": {
		"before it writes run.takeover", "before it starts a plugin", "after it started a plugin",
		"before it asks to revert", "after it asked to revert", "in the middle of writing fault.reverted",
		"after it wrote fault.reverted", "after it asked to scan", "in the middle of writing run.ended", "after it wrote run.ended",
	},
}
