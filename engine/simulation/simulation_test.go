package simulation

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/plan"
	"github.com/faultline-go/faultline/engine/recover"
)

var (
	worlds  = flag.Int("worlds", 10_000, "how many worlds to play")
	oneSeed = flag.Int64("seed", -1, "play the world of this seed alone, and tell its story")
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // the plugins' own warnings
	debug.SetGCPercent(400)                        // worlds are small and many
	goleak.VerifyTestMain(m)
}

// memory is a folder in memory: a simulated disk needs none.
func memory(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "faultline-simulation-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// outcome is what is left of a world.
type outcome struct {
	wrong    []string
	story    string
	happened map[string]int
	points   map[string]int // passed by the lives of each kind, at most
}

// play plays a world from its beginning until nobody lives any more.
func play(t *testing.T, root string, f fate, setup func(*world)) (out outcome) {
	dir, err := os.MkdirTemp(root, "world-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dir, f)
		w.play(setup)
		out = outcome{wrong: w.wrong, story: w.tell(), happened: w.happened, points: map[string]int{}}
		for _, l := range w.lives {
			out.points[l.kind] = max(out.points[l.kind], len(l.points))
		}
	})
	return out
}

func (w *world) play(setup func(*world)) {
	plans := map[string]*plan.Plan{firstRun: shapes[w.fate.shape]()}
	engines := []*life{w.engine(firstRun, plans[firstRun], w.fate.engineDies)}
	if w.fate.has(secondRun) {
		w.happens(string(secondRun))
		plans[otherRun] = otherDay()
		engines = append(engines, w.engine(otherRun, plans[otherRun], 0))
	}
	w.schedule(engines[0])
	if setup != nil {
		setup(w)
	}
	for _, l := range engines {
		w.await(l)
	}
	store := w.recovered()
	w.check(store, plans)
	w.mu.Lock()
	w.over = true
	w.mu.Unlock()
	for _, p := range w.processes {
		p.goesOn()
		w.working.Go(p.finish)
	}
	for _, l := range w.lives {
		<-l.done
	}
	w.working.Wait()
}

// recovered has `faultline recover` run every minute, as the systemd timer does, until
// there is nothing left to do or there is no hope.
func (w *world) recovered() *journal.Store {
	store, err := journal.Open(w.dir + "/state")
	if err != nil {
		w.t.Fatal(err)
	}
	for minute := 1; minute <= 5; minute++ {
		_ = pass(context.Background(), time.Minute)
		if minute == 3 {
			w.heals()
		}
		pending, _, err := recover.Pending(context.Background(), store)
		if err != nil {
			w.violates("the runs cannot be listed: %v", err)
			break
		}
		if len(pending) == 0 && !w.busy() {
			break
		}
		dieAt := 0
		if minute == 1 {
			dieAt = w.fate.recoverDies
		}
		l := w.recover(dieAt)
		w.await(l)
	}
	return store
}

// await waits until a life is over, which none may be long in coming to.
func (w *world) await(l *life) {
	const longest = 10 * time.Minute
	for began := time.Now(); !l.over(); _ = pass(context.Background(), 500*time.Millisecond) {
		if time.Since(began) > longest {
			w.violates("the %s has not come to its end after %s", l.kind, longest)
			return
		}
	}
}

// busy says whether somebody still lives who might do something.
func (w *world) busy() bool {
	w.mu.Lock()
	all := slices.Clone(w.lives)
	w.mu.Unlock()
	return slices.ContainsFunc(all, func(l *life) bool { return !l.over() })
}

// schedule has the fate's troubles happen in their time.
func (w *world) schedule(engine *life) {
	f := w.fate
	on := func(t trouble, at time.Duration, do func()) {
		if f.has(t) {
			w.after(at, do)
		}
	}
	// plugin is the one that holds the leases now.
	plugin := func() *process {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, p := range slices.Backward(w.processes) {
			if p.parent == engine && !p.isDead() {
				return p
			}
		}
		return nil
	}
	hit := func(t trouble, do func(*process)) func() {
		return func() {
			if p := plugin(); p != nil && !engine.over() {
				w.happens(string(t))
				w.say("%s", t)
				do(p)
			}
		}
	}
	on(pluginDies, f.pluginDies, hit(pluginDies, func(p *process) { p.dies("of SIGKILL") }))
	on(sessionBreaks, f.breaks, hit(sessionBreaks, (*process).breakSessions))
	on(pluginHangs, f.pluginHangs, hit(pluginHangs, func(p *process) {
		p.hangs()
		w.after(f.pluginResumes, p.goesOn)
	}))
	on(engineSleeps, f.engineSleeps, func() {
		if engine.over() {
			return
		}
		w.happens(string(engineSleeps))
		w.say("%s", engineSleeps)
		if p := plugin(); p == nil || f.has(pluginHangs) || f.has(pluginDies) {
			w.happens(nobodyLeft)
		}
		engine.sleeps()
		w.after(f.engineWakes, func() { w.say("the engine wakes"); engine.wakes() })
	})
	on(operatorAborts, f.aborted, func() {
		if !engine.over() {
			w.happens(string(operatorAborts))
			engine.end(context.Canceled)
		}
	})
	on(powerFails, f.powerFails, w.powerFails)
	for what, at := range map[trouble]time.Duration{targetReplaced: f.replaced, targetRestarts: f.restarts, targetGone: f.gone, foreignChange: f.foreign} {
		on(what, at, func() { w.happensToTarget(what) })
	}
	engine.diesWith(func() {
		p := plugin()
		if p != nil && f.alsoPlugin {
			p.dies("with its engine")
		}
		if guardian := w.guardianOf(firstRun); guardian != nil && f.alsoGuardian {
			guardian.die("with its engine")
		}
		if (f.alsoGuardian || f.guardianDies > 0) && (f.alsoPlugin || f.has(pluginDies) || f.has(pluginHangs)) {
			w.happens(nobodyLeft)
		}
	})
}

// nobodyLeft is noted when nobody may live who could put back in time.
const nobodyLeft = "nobody was left"

// spans is how many points an undisturbed run has at most, and a guardian that
// recovers one that died in the middle.
type spans struct{ engine, guardian int }

func measure(t *testing.T, root string) (s spans) {
	for shape := range shapes {
		s.engine = max(s.engine, play(t, root, fate{shape: shape}, nil).points["engine"])
	}
	f := fate{shape: 1, engineDies: s.engine / 3, alsoPlugin: true}
	s.guardian = play(t, root, f, nil).points["guardian"]
	if s.engine < 100 || s.guardian < 20 {
		t.Fatalf("lives have only so many points: %+v", s)
	}
	return s
}

// TestWorlds plays world after world, and says which seed to play again when something
// was wrong in one.
func TestWorlds(t *testing.T) {
	root := memory(t)
	size := measure(t, root)
	if *oneSeed >= 0 {
		f := fateOf(uint64(*oneSeed), size.engine, size.guardian)
		o := play(t, root, f, nil)
		t.Logf("%v\n%s", f.troubles, o.story)
		for _, why := range o.wrong {
			t.Error(why)
		}
		return
	}
	n := *worlds
	if raceEnabled || testing.Short() {
		n /= 10
	}
	var happened map[string]int
	t.Run("all", func(t *testing.T) {
		all := beside(t, n, func(t *testing.T, seed int) outcome {
			f := fateOf(uint64(seed), size.engine, size.guardian)
			o := play(t, root, f, nil)
			if len(o.wrong) > 0 {
				t.Errorf("seed %d (%v):\n%s\nplay it again: go test ./engine/simulation -run TestWorlds -seed %d\n%s",
					seed, f.troubles, strings.Join(o.wrong, "\n"), seed, o.story)
			}
			return o
		})
		t.Cleanup(func() { happened = all() })
	})
	for _, what := range slices.Sorted(maps.Keys(happened)) {
		t.Logf("%6d × %s", happened[what], what)
	}
	for _, what := range troubles {
		if happened[string(what)] == 0 && what != engineDies && what != guardianDies && what != recoverDies {
			t.Errorf("in %d worlds it never happened that %s", n, what)
		}
	}
}

// beside plays n worlds in some subtests beside each other, each until one of its own
// fails. It returns what counts what happened in all of them, once they are through.
func beside(t *testing.T, n int, play func(t *testing.T, i int) outcome) (happened func() map[string]int) {
	const parts = 8
	var mu sync.Mutex
	all := map[string]int{}
	for part := range parts {
		t.Run(fmt.Sprint(part), func(t *testing.T) {
			t.Parallel()
			for i := part; i < n && !t.Failed(); i += parts {
				o := play(t, i)
				mu.Lock()
				for what, count := range o.happened {
					all[what] += count
				}
				mu.Unlock()
			}
		})
	}
	return func() map[string]int { return all }
}
