package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
)

var day = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)

// world is a state folder whose runs have the results that a test gives them. Their
// journals are real and short.
type world struct {
	t       testing.TB
	store   *journal.Store
	mu      sync.Mutex
	results map[string]*judge.Result // by folder
	judged  []string                 // folders, in order
}

func newWorld(t testing.TB) *world {
	store, err := journal.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return &world{t: t, store: store, results: map[string]*judge.Result{}}
}

func (w *world) judge(dir string) (*judge.Result, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.judged = append(w.judged, filepath.Base(dir))
	if r := w.results[dir]; r != nil {
		return r, nil
	}
	return nil, errors.New("damaged")
}

// open adds a run of the scenario "shop" some hours into the day; verdicts are of its
// experiments "a", "b", … The writer is open, and the run live, until it is closed.
func (w *world) open(hours int, verdicts ...judge.Verdict) (string, *journal.Writer) {
	w.t.Helper()
	start := day.Add(time.Duration(hours) * time.Hour)
	id := journal.NewRunID(start, "shop")
	j, err := w.store.Create(id)
	if err != nil {
		w.t.Fatal(err)
	}
	scenario := journal.Scenario{Name: "shop", Title: "The shop", Environment: "test"}
	if _, err := j.Append(&journal.RunStarted{Run: id, Scenario: scenario}); err != nil {
		w.t.Fatal(err)
	}
	r := &judge.Result{Format: judge.Format, Verdict: verdicts[0], Run: judge.Run{ID: id, Scenario: scenario, Started: start, Duration: 60,
		Sources: []journal.Source{{Path: "day.hcl", SHA256: "cafe", Text: "scenario"}}}}
	ended := start.Add(time.Minute)
	for i, v := range verdicts {
		r.Experiments = append(r.Experiments, judge.Experiment{
			Name: string(rune('a' + i)), Verdict: v, Started: &start, Ended: &ended, Reasons: []judge.Reason{{Verdict: v, Text: "because"}},
			Lost:       []judge.Loss{{Probe: "http.x", Sent: 10, Failed: 1}, {Probe: "http.y", Sent: 100, Failed: 7, Missing: 2}},
			Objectives: []judge.ObjectiveResult{{Objective: "x.ok", Phase: journal.During, N: 100, Bad: 7, D: 1}},
			Latencies:  []judge.LatencyResult{{Probe: "http.y", Phase: journal.During, N: 93, Quantiles: []judge.QuantileOf{{Q: 0.5, Defined: true, Value: 0.01}}}},
			Times:      judge.Times{ToRecover: judge.Span{Known: true, Min: 3, Censored: true}, ToImpact: judge.Span{Known: true, Min: 0, Max: 1}},
			Faults: []judge.Fault{{Name: "docker_kill.web", Type: "docker_kill", TargetBlock: "docker_container.web", Targets: []judge.FaultTarget{
				{ID: "1", Name: "web1", Kind: "docker_container", Bites: true, Outcome: journal.Reverted, By: "engine"}, {ID: "2", Name: "web2", Kind: "docker_container", Bites: true}}}},
		})
	}
	w.results[w.store.RunDir(id)] = r
	return id, j
}

func (w *world) run(hours int, verdicts ...judge.Verdict) string {
	w.t.Helper()
	id, j := w.open(hours, verdicts...)
	w.end(j)
	return id
}

func (w *world) end(j *journal.Writer) {
	w.t.Helper()
	if _, err := j.Append(&journal.RunEnded{}); err != nil {
		w.t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) index() *Index {
	w.t.Helper()
	x, err := Open(w.t.Context(), w.store.Dir())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := x.Close(); err != nil {
			w.t.Error(err)
		}
	})
	return x
}

func (w *world) catchUp(x *Index) Progress {
	w.t.Helper()
	p, err := x.CatchUp(w.t.Context(), w.store, w.judge, false)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func ids(runs []Run) (out []string) {
	for _, r := range runs {
		out = append(out, r.ID)
	}
	return out
}

func runsOf(t testing.TB, x *Index, f Filter) []Run {
	t.Helper()
	runs, err := x.Runs(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	return runs
}

func TestCatchUp(t *testing.T) {
	w := newWorld(t)
	x := w.index()
	a, b := w.run(1, judge.Held), w.run(2, judge.Broken)
	if p := w.catchUp(x); p.Indexed != 2 || p.Removed != 0 || p.Left != 0 {
		t.Errorf("%+v", p)
	}
	if !slices.Contains(w.judged, a) || len(w.judged) != 2 {
		t.Errorf("judged %v", w.judged)
	}
	// What has not changed is not looked at again.
	w.judged = nil
	if p := w.catchUp(x); p.Indexed != 0 || len(w.judged) != 0 {
		t.Errorf("%+v, judged %v", p, w.judged)
	}
	// A run that goes on is none for the index; it is when it has ended.
	c, j := w.open(3, judge.Held)
	if p := w.catchUp(x); p.Indexed != 0 || len(p.Live) != 1 || p.Live[0].ID != c {
		t.Errorf("%+v", p)
	}
	w.end(j)
	if p := w.catchUp(x); p.Indexed != 1 {
		t.Errorf("%+v", p)
	}
	// One that died is unfinished until somebody recovers it.
	d, j := w.open(4, judge.Errored)
	w.results[w.store.RunDir(d)].Unfinished = true
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	w.catchUp(x)
	if got := runsOf(t, x, Filter{})[3]; got.State != Unfinished {
		t.Errorf("%+v", got)
	}
	j, err := w.store.TakeOver(d)
	if err != nil {
		t.Fatal(err)
	}
	w.results[w.store.RunDir(d)].Unfinished = false
	w.end(j)
	if p := w.catchUp(x); p.Indexed != 1 {
		t.Errorf("%+v", p)
	}
	if got := runsOf(t, x, Filter{})[3]; got.State != Ended || got.Verdict != judge.Errored {
		t.Errorf("%+v", got)
	}
	// A run whose folder is gone is gone.
	if err := os.RemoveAll(w.store.RunDir(b)); err != nil {
		t.Fatal(err)
	}
	if p := w.catchUp(x); p.Removed != 1 {
		t.Errorf("%+v", p)
	}
	if got := ids(runsOf(t, x, Filter{})); !slices.Equal(got, []string{a, c, d}) {
		t.Errorf("runs %v", got)
	}
	for table, want := range map[string]int{"experiments": 3, "faults": 6, "details": 6, "objectives": 3, "latencies": 3} {
		if got := count(t, x, table); got != want {
			t.Errorf("%s has %d rows, want %d", table, got, want)
		}
	}
	// One that cannot be read is listed, and not read again and again.
	if err := os.WriteFile(filepath.Join(w.store.RunDir(c), journal.FileName), []byte("?\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.catchUp(x)
	if got := runsOf(t, x, Filter{})[1]; got.State != Unreadable || got.Error == "" {
		t.Errorf("%+v", got)
	}
	if p := w.catchUp(x); p.Indexed != 0 {
		t.Errorf("%+v", p)
	}
	// All of it again.
	p, err := x.CatchUp(t.Context(), w.store, w.judge, true)
	if err != nil || p.Indexed != 3 {
		t.Errorf("%+v, %v", p, err)
	}
}

func count(t *testing.T, x *Index, table string) (n int) {
	t.Helper()
	if err := x.db.QueryRow("SELECT count(*) FROM " + table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestCatchUpWithoutTime(t *testing.T) {
	w := newWorld(t)
	x := w.index()
	for i := range 20 {
		w.run(i, judge.Held)
	}
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	p, err := x.CatchUp(ctx, w.store, func(dir string) (*judge.Result, error) {
		w.mu.Lock()
		if n++; n == 5 {
			cancel()
		}
		w.mu.Unlock()
		return w.judge(dir)
	}, false)
	if err != nil || p.Indexed < 5 || p.Left == 0 || p.Indexed+p.Left != 20 {
		t.Fatalf("%+v, %v", p, err)
	}
	// The newest came first.
	runs := runsOf(t, x, Filter{})
	if len(runs) != p.Indexed || !runs[len(runs)-1].Started.Equal(day.Add(19*time.Hour)) && runs[len(runs)-1].Started.IsZero() {
		t.Errorf("%d runs, the last %+v", len(runs), runs[len(runs)-1])
	}
	if p := w.catchUp(x); p.Indexed+len(runs) != 20 {
		t.Errorf("%+v", p)
	}
}

func TestEdges(t *testing.T) {
	w := newWorld(t)
	x := w.index()
	w.run(1, judge.Held, judge.Broken)
	w.run(2, judge.Inconclusive, judge.Held)
	w.run(3, judge.Broken, judge.Held)
	w.run(4, judge.Aborted)
	w.run(5, judge.Held, judge.Broken)
	w.catchUp(x)
	runs := runsOf(t, x, Filter{})
	for i, want := range []struct{ found, fixed []string }{{}, {nil, []string{"b"}}, {[]string{"a"}, nil}, {}, {[]string{"b"}, []string{"a"}}} {
		if !slices.Equal(runs[i].Found, want.found) || !slices.Equal(runs[i].Fixed, want.fixed) {
			t.Errorf("run %d: found %v, fixed %v; want %+v", i+1, runs[i].Found, runs[i].Fixed, want)
		}
	}
	// The edges of the latest runs are the same when only those are listed.
	if got, want := runsOf(t, x, Filter{Most: 3, Scenario: "shop"}), runs[2:]; !cmp.Equal(got, want) {
		t.Error(cmp.Diff(got, want))
	}
	if got := runsOf(t, x, Filter{Scenario: "other"}); len(got) != 0 {
		t.Errorf("%v", got)
	}

	all, err := x.Experiments(t.Context(), Filter{})
	if err != nil || len(all) != 2 {
		t.Fatalf("%+v, %v", all, err)
	}
	if a := all[0]; a.Name != "a" || a.Verdict != judge.Held || a.Streak != 1 || a.Runs != 5 || a.Run != runs[4].ID || a.LastHeldRun != a.Run || !a.LastHeld.Equal(a.Started) {
		t.Errorf("%+v", a)
	}
	if b := all[1]; b.Verdict != judge.Broken || b.Runs != 4 || b.LastHeldRun != runs[2].ID || !b.LastHeld.Before(b.Started) || b.Reason != "because" {
		t.Errorf("%+v", b)
	}
	past, err := x.Before(t.Context(), "shop", "test", runs[4].ID)
	if err != nil || past["a"].Verdict != judge.Broken || past["b"].Verdict != judge.Held || !past["a"].LastHeld.Equal(runs[0].Started) {
		t.Errorf("%+v, %v", past, err)
	}
	last, err := x.Last(t.Context(), "shop", "test", runs[4].ID, "")
	if err != nil || last.ID != runs[3].ID {
		t.Errorf("%+v, %v", last, err)
	}
	last, err = x.Last(t.Context(), "shop", "test", runs[4].ID, judge.Held)
	if err != nil || last.ID != runs[0].ID {
		t.Errorf("%+v, %v", last, err)
	}
	if _, err := x.Last(t.Context(), "shop", "elsewhere", runs[4].ID, ""); !errors.Is(err, ErrNoRun) {
		t.Errorf("another environment: %v", err)
	}
}

func TestResult(t *testing.T) {
	w := newWorld(t)
	x := w.index()
	id := w.run(1, judge.Held, judge.Broken)
	w.catchUp(x)
	got, err := x.Result(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	want := *w.results[w.store.RunDir(id)]
	want.Run.Sources = []journal.Source{{Path: "day.hcl", SHA256: "cafe"}}
	if !cmp.Equal(got, &want) {
		t.Error(cmp.Diff(got, &want))
	}
	if _, err := x.Result(t.Context(), "none"); !errors.Is(err, ErrNoRun) {
		t.Error(err)
	}
	tried, err := x.Tried(t.Context())
	if err != nil || len(tried) != 2 {
		t.Fatalf("%+v, %v", tried, err)
	}
	if a := tried[0]; a.Type != "docker_kill" || a.TargetBlock != "docker_container.web" || a.Kind != "docker_container" || a.Runs != 1 || a.LastHeld.IsZero() {
		t.Errorf("%+v", a)
	}
	if b := tried[1]; b.Experiment != "b" || b.Verdict != judge.Broken || !b.LastHeld.IsZero() || b.Last.IsZero() {
		t.Errorf("%+v", b)
	}
}

// An index of no use is made again, whatever is wrong with it.
func TestRebuilt(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, path string){
		"newer": func(t *testing.T, path string) { execute(t, path, "PRAGMA user_version = 99") },
		"older": func(t *testing.T, path string) { execute(t, path, "DROP TABLE details; PRAGMA user_version = 0") },
		"no database": func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte(strings.Repeat("this is no database ", 100)), 0o600); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			id := w.run(1, judge.Held)
			x, err := Open(t.Context(), w.store.Dir())
			if err != nil {
				t.Fatal(err)
			}
			w.catchUp(x)
			if err := x.Close(); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(w.store.Dir(), FileName)
			spoil(t, path)
			x = w.index()
			if !x.Rebuilt {
				t.Error("it was taken for good")
			}
			if p := w.catchUp(x); p.Indexed != 1 {
				t.Errorf("%+v", p)
			}
			if got := ids(runsOf(t, x, Filter{})); !slices.Equal(got, []string{id}) {
				t.Errorf("%v", got)
			}
			if again := w.index(); again.Rebuilt {
				t.Error("made again twice")
			}
		})
	}
}

func execute(t *testing.T, path, query string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(query); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// Damage inside is found when it is read, and told apart from other errors.
func TestDamageInside(t *testing.T) {
	w := newWorld(t)
	for i := range 40 {
		w.run(i, judge.Held)
	}
	x, err := Open(t.Context(), w.store.Dir())
	if err != nil {
		t.Fatal(err)
	}
	w.catchUp(x)
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(w.store.Dir(), FileName)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 4096; i < len(raw); i++ {
		raw[i] = 0x5a
	}
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	x, err = Open(t.Context(), w.store.Dir())
	if err == nil {
		_, err = x.CatchUp(t.Context(), w.store, w.judge, false)
		x.Close()
	}
	if !Damaged(err) {
		t.Fatalf("damage is reported as %v", err)
	}
	if err := Remove(w.store.Dir()); err != nil {
		t.Fatal(err)
	}
	if p := w.catchUp(w.index()); p.Indexed != 40 {
		t.Errorf("%+v", p)
	}
	if Damaged(fs.ErrNotExist) || Damaged(nil) {
		t.Error("everything is damage")
	}
}

// Several processes may catch up at once: here each has connections of its own.
func TestSeveralAtOnce(t *testing.T) {
	w := newWorld(t)
	for i := range 30 {
		w.run(i, judge.Held, judge.Broken)
	}
	var group sync.WaitGroup
	errs := make(chan error, 4)
	for range 4 {
		group.Go(func() {
			x, err := Open(context.Background(), w.store.Dir())
			if err != nil {
				errs <- err
				return
			}
			_, err = x.CatchUp(context.Background(), w.store, w.judge, true)
			errs <- errors.Join(err, x.Close())
		})
	}
	group.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	x := w.index()
	if got := len(runsOf(t, x, Filter{})); got != 30 {
		t.Errorf("%d runs", got)
	}
	if got := count(t, x, "experiments"); got != 60 {
		t.Errorf("%d experiments", got)
	}
}

func TestModes(t *testing.T) {
	w := newWorld(t)
	w.run(1, judge.Held)
	x := w.index()
	w.catchUp(x)
	files, err := filepath.Glob(filepath.Join(w.store.Dir(), FileName+"*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o", f, info.Mode().Perm())
		}
	}
	m, err := OpenMemory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if p := w.catchUp(m); p.Indexed != 1 {
		t.Errorf("%+v", p)
	}
	if got := len(runsOf(t, m, Filter{})); got != 1 {
		t.Errorf("%d runs in memory", got)
	}
}

// A path may have characters that mean something in a URL.
func TestPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b?c=d#e%20")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	x, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	if _, err := os.Stat(filepath.Join(dir, FileName)); err != nil {
		t.Error(err)
	}
	if n := count(t, x, "runs"); n != 0 {
		t.Error(n)
	}
	if _, err := Open(t.Context(), filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}

// What a list of thousands of runs costs, without the start of a process.
func BenchmarkHistory(b *testing.B) {
	w := newWorld(b)
	x := w.index()
	first := w.run(0, judge.Held, judge.Held)
	from := filepath.Join(w.store.RunDir(first), journal.FileName)
	for i := range 5000 {
		id := journal.NewRunID(day.Add(time.Duration(i+1)*time.Hour), "shop")
		dir := w.store.RunDir(id)
		if err := os.Mkdir(dir, 0o700); err != nil {
			b.Fatal(err)
		}
		if err := os.Link(from, filepath.Join(dir, journal.FileName)); err != nil {
			b.Fatal(err)
		}
		r := *w.results[w.store.RunDir(first)]
		r.Experiments = slices.Clone(r.Experiments)
		if i%10 == 0 {
			r.Experiments[0].Verdict = judge.Broken
		}
		w.results[dir] = &r
	}
	start := time.Now()
	w.catchUp(x)
	fmt.Printf("5,000 runs indexed in %s, without judging\n", time.Since(start).Round(time.Millisecond))
	b.Run("nothing-new", func(b *testing.B) {
		for b.Loop() {
			w.catchUp(x)
		}
	})
	for _, most := range []int{100, 0} {
		b.Run(fmt.Sprintf("runs-most-%d", most), func(b *testing.B) {
			for b.Loop() {
				runsOf(b, x, Filter{Most: most})
			}
		})
	}
	b.Run("experiments", func(b *testing.B) {
		for b.Loop() {
			if _, err := x.Experiments(b.Context(), Filter{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// Many open an index that is not there yet, as the ends of several runs do: each has to
// wait for the others, also where SQLite itself does not.
func TestOpenedByManyAtOnce(t *testing.T) {
	for range 5 {
		dir := t.TempDir()
		var all sync.WaitGroup
		for range 12 {
			all.Go(func() {
				x, err := Open(t.Context(), dir)
				if err != nil {
					t.Error(err)
					return
				}
				if err := x.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
}

// Whoever does not want to wait for a busy index need not.
func TestBusyIndexAndContext(t *testing.T) {
	dir := t.TempDir()
	holder, err := sql.Open("sqlite", "file:"+filepath.Join(dir, FileName))
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	one, err := holder.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	for _, q := range []string{"CREATE TABLE x (y)", "BEGIN EXCLUSIVE"} {
		if _, err := one.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, dir); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
	released := make(chan error, 1)
	time.AfterFunc(50*time.Millisecond, func() {
		_, err := one.ExecContext(context.Background(), "ROLLBACK")
		released <- err
	})
	x, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(x.Close(), <-released); err != nil {
		t.Error(err)
	}
}
