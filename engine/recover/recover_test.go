package recover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/sdk/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// street is a plugin and what it has broken: lamps that are off.
type street struct {
	mu       sync.Mutex
	off      map[string]bool
	fails    map[string]string // reverts of these targets fail
	foreign  map[string]bool   // somebody else has changed these
	silent   map[string]bool   // no answer for these
	onRecord map[string]bool   // an outcome is on record: only Again acts
	revert   func(ctx context.Context)
	scan     func() ([]wire.Finding, error) // instead of the lamps that are off
	asked    []wire.Revert
	started  int
	closed   int
}

func newStreet(off ...string) *street {
	s := &street{off: map[string]bool{}, fails: map[string]string{}, foreign: map[string]bool{}, silent: map[string]bool{}, onRecord: map[string]bool{}}
	for _, id := range off {
		s.off[id] = true
	}
	return s
}

func (s *street) Revert(ctx context.Context, q wire.Revert) (out []wire.Reverted, err error) {
	if s.revert != nil {
		s.revert(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, q)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	for _, u := range q.Targets {
		r := wire.Reverted{Target: u.Target, Outcome: wire.OutcomeReverted, By: q.By, Proof: "it is on", At: time.Now().UTC()}
		switch {
		case s.silent[u.Target]:
			continue
		case s.onRecord[u.Target] && !q.Again:
			r.By = "plugin"
		case s.fails[u.Target] != "":
			r.Outcome, r.Residue, r.Err = wire.OutcomeFailed, true, s.fails[u.Target]
			err = errors.New(u.Target + ": " + r.Err)
		case s.foreign[u.Target]:
			r.Outcome, r.Residue = wire.OutcomeForeign, s.off[u.Target]
		case !s.off[u.Target]:
			r.Outcome = wire.OutcomeGone
		default:
			delete(s.off, u.Target)
		}
		out = append(out, r)
	}
	return out, err
}

func (s *street) Scan(_ context.Context, known []wire.Known) (out []wire.Finding, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.scan != nil {
		return s.scan()
	}
	for _, k := range known {
		for _, u := range k.Targets {
			if s.off[u.Target] {
				out = append(out, wire.Finding{Fault: k.Fault, Target: u.Target, Kind: "still_matches_undo", Detail: "it is off"})
			}
		}
	}
	return out, nil
}

func (s *street) Close(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed++
	return nil
}

// scene is a store with one run.
type scene struct {
	t       *testing.T
	store   *journal.Store
	run     string
	plugins map[string]*street
	refuse  error // starting a plugin fails
	by      string
}

func newScene(t *testing.T, plugins map[string]*street, data ...journal.Data) *scene {
	t.Helper()
	store, err := journal.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{t: t, store: store, run: journal.NewRunID(time.Now(), "day"), plugins: plugins, by: "recover"}
	w, err := store.Create(s.run)
	if err != nil {
		t.Fatal(err)
	}
	begin := &journal.RunStarted{
		Run: s.run, Scenario: journal.Scenario{Name: "day"}, Plan: json.RawMessage(`{}`),
		Experiments: []journal.ExperimentSpec{{Name: "x", Faults: []journal.FaultSpec{{Name: "lamp_off.f1"}}}},
	}
	for name := range plugins {
		begin.Plugins = append(begin.Plugins, journal.PluginUsed{Name: name, Version: "1.0.0"})
	}
	if len(data) > 0 {
		if x, ok := data[0].(*journal.RunStarted); ok {
			begin.Plan, data = x.Plan, data[1:] // all that such a test says of it
		}
	}
	for _, d := range append([]journal.Data{begin}, data...) {
		if _, err := w.Append(d); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Sync(), w.Close()); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *scene) options() Options {
	return Options{
		Store: s.store, By: s.by, PID: 1,
		Start: func(_ context.Context, used journal.PluginUsed, run, dir string) (Plugin, error) {
			if s.refuse != nil {
				return nil, s.refuse
			}
			if run != s.run || dir != s.store.RunDir(run) {
				s.t.Errorf("started for run %s in %s", run, dir)
			}
			p := s.plugins[used.Name]
			p.mu.Lock()
			defer p.mu.Unlock()
			p.started++
			return p, nil
		},
	}
}

func (s *scene) recover() Result {
	s.t.Helper()
	r, err := Run(s.t.Context(), s.options(), s.run)
	if err != nil {
		s.t.Fatal(err)
	}
	for name, p := range s.plugins {
		if p.started != p.closed {
			s.t.Errorf("plugin %s was started %d times and closed %d times", name, p.started, p.closed)
		}
	}
	return r
}

// types are the events since the last takeover.
func (s *scene) types() []string {
	s.t.Helper()
	var out []string
	for _, e := range s.events() {
		if _, ok := e.Data.(*journal.Takeover); ok {
			out = nil
		}
		out = append(out, e.Data.EventType())
	}
	return out
}

func (s *scene) events() []journal.Event {
	s.t.Helper()
	log, err := journal.ReadAll(s.store.RunDir(s.run))
	if err != nil || log.Torn != nil {
		s.t.Fatal(err, log.Torn)
	}
	return log.Events
}

func (s *scene) end() *journal.RunEnded {
	s.t.Helper()
	all := s.events()
	e, ok := all[len(all)-1].Data.(*journal.RunEnded)
	if !ok {
		s.t.Fatalf("the journal ends with %s", all[len(all)-1].Data.EventType())
	}
	return e
}

func (s *scene) pending() int {
	s.t.Helper()
	runs, _, err := Pending(s.t.Context(), s.store)
	if err != nil {
		s.t.Fatal(err)
	}
	return len(runs)
}

// outcomes is what a result says, a word a target.
func outcomes(r Result) string {
	var out []string
	for _, f := range r.Faults {
		for _, o := range f.Targets {
			text := fmt.Sprintf("%s/%s %s by %s", f.ID, o.ID, o.Outcome, o.By)
			if o.Residue {
				text += " residue"
			}
			if o.Error != "" {
				text += ": " + o.Error
			}
			out = append(out, text)
		}
	}
	return strings.Join(out, "; ")
}

func TestRun(t *testing.T) {
	for _, c := range []struct {
		name   string
		street *street
		data   []journal.Data
		change func(*scene)
		want   string
		clean  bool
		off    []string
		types  []string // of the events; nil: as usual for one fault
	}{
		{
			name: "undone", street: newStreet("a", "b"), data: []journal.Data{intent("f1", "a", "b"), &journal.FaultActive{ID: "f1"}},
			want: "f1/a reverted by recover; f1/b reverted by recover", clean: true,
		},
		{
			name: "never injected", street: newStreet(), data: []journal.Data{intent("f1", "a")},
			want: "f1/a already_gone by recover", clean: true,
		},
		{
			name: "the plugin has done it", street: func() *street { s := newStreet(); s.onRecord["a"] = true; return s }(),
			data: []journal.Data{intent("f1", "a"), &journal.FaultActive{ID: "f1"}},
			want: "f1/a reverted by plugin", clean: true,
		},
		{
			name: "changed by somebody else", street: func() *street { s := newStreet(); s.foreign["a"] = true; return s }(),
			data: []journal.Data{intent("f1", "a"), &journal.FaultActive{ID: "f1"}},
			want: "f1/a foreign_change by recover", clean: true,
		},
		{
			name: "changed by somebody else, and still bites", street: func() *street { s := newStreet("a"); s.foreign["a"] = true; return s }(),
			data:  []journal.Data{intent("f1", "a"), &journal.FaultActive{ID: "f1"}},
			want:  "f1/a foreign_change by recover residue",
			off:   []string{"a"},
			types: []string{"run.takeover", "fault.reverted", "residue", "fault.reverted", "residue", "run.ended"},
		},
		{
			name: "one cannot be undone", street: func() *street { s := newStreet("a", "b"); s.fails["a"] = "it is glued"; return s }(),
			data:  []journal.Data{intent("f1", "a", "b"), &journal.FaultActive{ID: "f1"}},
			want:  "f1/a failed by recover residue: it is glued; f1/b reverted by recover",
			off:   []string{"a"},
			types: []string{"run.takeover", "fault.reverted", "residue", "fault.reverted", "residue", "run.ended"},
		},
		{
			name: "no answer", street: func() *street { s := newStreet(); s.silent["a"] = true; return s }(),
			data: []journal.Data{intent("f1", "a"), &journal.FaultActive{ID: "f1"}},
			want: "f1/a failed by recover residue: the plugin gave no answer",
		},
		{
			name: "only what is open", street: newStreet("b"),
			data: []journal.Data{intent("f1", "a", "b"), reverted("f1", outcome("a", journal.Reverted, false))},
			want: "f1/b reverted by recover", clean: true,
		},
		{
			name: "nothing was open", street: newStreet(), data: []journal.Data{intent("f1", "a"), reverted("f1", outcome("a", journal.Reverted, false))},
			clean: true, types: []string{"run.takeover", "residue", "run.ended"},
		},
		{
			name: "the plugin is missing", street: newStreet("a"), data: []journal.Data{intent("f1", "a"), &journal.FaultActive{ID: "f1"}},
			change: func(s *scene) { s.refuse = errors.New("no such file") },
			want:   "f1/a failed by recover residue: start plugin lamp: no such file", off: []string{"a"},
		},
		{
			name: "a scan finds what a revert has overlooked", street: newStreet("a"),
			data:  []journal.Data{intent("f1", "a"), &journal.FaultActive{ID: "f1"}},
			want:  "f1/a reverted by recover",
			clean: true,
			change: func(s *scene) {
				p := s.plugins["lamp"]
				p.onRecord["a"] = true // the first revert trusts the record
			},
			types: []string{"run.takeover", "fault.reverted", "residue", "fault.reverted", "residue", "run.ended"},
		},
		{
			name: "what a scan after the run has found is undone again", street: func() *street { s := newStreet("a"); s.onRecord["a"] = true; return s }(),
			data: []journal.Data{
				intent("f1", "a"), &journal.FaultActive{ID: "f1"}, reverted("f1", outcome("a", journal.Reverted, false)), found("after", "f1", "a"),
				&journal.RunEnded{By: "engine", Verdict: "residue", ExitCode: 5, Residue: 1},
			},
			want: "f1/a reverted by recover", clean: true,
		},
		{
			name: "something marked that no undo record knows",
			street: func() *street {
				s := newStreet()
				s.scan = func() ([]wire.Finding, error) {
					return []wire.Finding{{Target: "z", Kind: "marked", Detail: "a strange lamp"}}, nil
				}
				return s
			}(),
			data: []journal.Data{
				intent("f1", "a"), reverted("f1", outcome("a", journal.Reverted, false)), found("after", "", "z"),
				&journal.RunEnded{By: "engine", Verdict: "residue", ExitCode: 5, Residue: 1},
			},
			types: []string{"run.takeover", "residue", "run.ended"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t, map[string]*street{"lamp": c.street}, c.data...)
			if c.change != nil {
				c.change(s)
			}
			if s.pending() != 1 {
				t.Fatal("the run does not wait for recovery")
			}
			r := s.recover()
			if got := outcomes(r); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if r.Clean() != c.clean {
				t.Errorf("clean: %v: %+v", r.Clean(), r)
			}
			for _, id := range c.off {
				if !c.street.off[id] {
					t.Errorf("%s is on", id)
				}
			}
			if len(c.street.off) != len(c.off) {
				t.Errorf("off are %v", c.street.off)
			}
			types := c.types
			if types == nil {
				types = []string{"run.takeover", "fault.reverted", "residue", "run.ended"}
			}
			if got := s.types(); !slices.Equal(got, types) {
				t.Errorf("events %v, want %v", got, types)
			}
			if left := s.pending(); (left == 0) != c.clean {
				t.Errorf("%d runs wait for recovery", left)
			}
			end := s.end()
			if (end.Residue == 0) != c.clean || (end.ExitCode == judge.ExitResidue) == c.clean || end.By != "recover" || end.Residue != r.Residue {
				t.Errorf("the run ended %+v", end)
			}
		})
	}
}

// Recovery again, when the reason is gone, makes a run clean; and a clean run is not
// touched any more.
func TestRunAgain(t *testing.T) {
	p := newStreet("a")
	p.fails["a"] = "it is glued"
	s := newScene(t, map[string]*street{"lamp": p}, intent("f1", "a"), &journal.FaultActive{ID: "f1"})
	if s.recover().Clean() {
		t.Fatal("it is clean")
	}
	if end := s.end(); end.Error != "the engine ended before the run did" {
		t.Errorf("ended %+v", end)
	}
	delete(p.fails, "a")
	if r := s.recover(); !r.Clean() || p.off["a"] {
		t.Errorf("it is not clean: %s", outcomes(r))
	}
	if end := s.end(); end.Residue != 0 || end.Error != "the engine ended before the run did" {
		t.Errorf("ended %+v", end)
	}
	var epochs []int
	for _, e := range s.events() {
		if x, ok := e.Data.(*journal.Takeover); ok {
			epochs = append(epochs, e.Epoch)
			if len(epochs) == 2 && x.Why != "the run left residue" {
				t.Errorf("taken over because %s", x.Why)
			}
		}
	}
	if !slices.Equal(epochs, []int{2, 3}) {
		t.Errorf("epochs %v", epochs)
	}
	before := len(s.events())
	if r := s.recover(); !r.Clean() || len(r.Faults) != 0 || len(s.events()) != before {
		t.Error("a clean run was recovered")
	}
}

// A fault that hangs or fails neither stops nor delays the others.
func TestRunIndependently(t *testing.T) { synctest.Test(t, runIndependently) }

func runIndependently(t *testing.T) {
	hung, fine := newStreet("a"), newStreet("b", "c")
	release := make(chan struct{})
	hung.revert = func(ctx context.Context) {
		<-ctx.Done()
		<-release
	}
	fine.fails["b"] = "it is glued"
	second, third := intent("f2", "b"), intent("f3", "c")
	second.Plugin, third.Plugin = "fine", "fine"
	s := newScene(t, map[string]*street{"lamp": hung, "fine": fine}, intent("f1", "a"), second, third)
	go func() { // the others are through before the one that hangs is given up
		defer close(release)
		deadline := time.Now().Add(time.Minute)
		for time.Now().Before(deadline) {
			fine.mu.Lock()
			on := !fine.off["c"]
			fine.mu.Unlock()
			if on {
				return
			}
			pause(context.Background(), time.Millisecond)
		}
	}()
	r := s.recover()
	want := "f1/a failed by recover residue: context deadline exceeded; f2/b failed by recover residue: it is glued; f3/c reverted by recover"
	if got := outcomes(r); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestRunCancelled(t *testing.T) {
	p := newStreet("a")
	s := newScene(t, map[string]*street{"lamp": p}, intent("f1", "a"), &journal.FaultActive{ID: "f1"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := Run(ctx, s.options(), s.run)
	if err != nil || r.Clean() {
		t.Errorf("%+v, %v", r, err)
	}
	if s.end().Residue != 1 || p.closed != 1 {
		t.Errorf("ended %+v, closed %d", s.end(), p.closed)
	}
}

// An injection without an answer may take effect until its settle time is over.
func TestRunWaitsForLateInjections(t *testing.T) { synctest.Test(t, runWaitsForLateInjections) }

func runWaitsForLateInjections(t *testing.T) {
	p := newStreet()
	plan := `{"experiments":[{"spec":{"name":"x"},"steps":[{"name":"lamp_off.f1","settle_ns":200000000}]}]}`
	s := newScene(t, map[string]*street{"lamp": p}, &journal.RunStarted{Plan: json.RawMessage(plan)}, intent("f1", "a"))
	p.onRecord["a"] = true
	time.AfterFunc(50*time.Millisecond, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.off["a"] = true
	})
	if r := s.recover(); !r.Clean() || p.off["a"] {
		t.Errorf("the late injection stays: %s", outcomes(r))
	}
	if n := len(p.asked); n != 2 || p.asked[0].Again || !p.asked[1].Again {
		t.Errorf("reverts asked: %+v", p.asked)
	}
}

func TestRunRefuses(t *testing.T) {
	p := newStreet("a")
	s := newScene(t, map[string]*street{"lamp": p}, intent("f1", "a"))
	w, err := s.store.TakeOver(s.run)
	if err != nil {
		t.Fatal(err)
	}
	if s.pending() != 0 {
		t.Error("a live run waits for recovery")
	}
	if _, err := Run(t.Context(), s.options(), s.run); !errors.Is(err, journal.ErrLive) {
		t.Errorf("got %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if !p.off["a"] || p.started != 0 {
		t.Error("a live run was recovered")
	}
	if _, err := Run(t.Context(), s.options(), "20200101-000000.000-none-00000000"); !errors.Is(err, journal.ErrNoRun) {
		t.Errorf("got %v", err)
	}
}

func TestRunTornJournal(t *testing.T) {
	p := newStreet("a")
	s := newScene(t, map[string]*street{"lamp": p}, intent("f1", "a"))
	path := filepath.Join(s.store.RunDir(s.run), journal.FileName)
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"v":1,"seq":3,"type":"fault.act`); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if r := s.recover(); !r.Clean() || p.off["a"] {
		t.Errorf("not undone: %s", outcomes(r))
	}
	for _, e := range s.events() {
		if x, ok := e.Data.(*journal.Takeover); ok && x.Why != "the journal has no end; the last line is torn" {
			t.Errorf("taken over because %s", x.Why)
		}
	}
}

// A run that died before its first event has broken nothing and waits for nothing.
func TestRunThatNeverBegan(t *testing.T) {
	store, err := journal.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{t: t, store: store, run: journal.NewRunID(time.Now(), "day"), by: "recover"}
	w, err := store.Create(s.run)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if s.pending() != 0 {
		t.Error("it waits for recovery")
	}
	if r := s.recover(); !r.Clean() || len(r.Faults) != 0 {
		t.Errorf("%+v", r)
	}
}

// A damaged journal is not written to: nobody knows what else it does not say.
func TestRunDamagedJournal(t *testing.T) {
	s := newScene(t, map[string]*street{"lamp": newStreet("a")}, intent("f1", "a"), &journal.FaultActive{ID: "f1"})
	path := filepath.Join(s.store.RunDir(s.run), journal.FileName)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	broken := []byte(strings.Replace(string(raw), `"lamp a"`, `"lamp x"`, 1))
	if err := os.WriteFile(path, broken, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), s.options(), s.run); !errors.Is(err, journal.ErrDamaged) {
		t.Errorf("got %v", err)
	}
	if after, _ := os.ReadFile(path); string(after) != string(broken) {
		t.Error("it was written to")
	}
}
