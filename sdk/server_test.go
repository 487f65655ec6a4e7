package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/faultline-go/faultline/sdk/arbiter"
	"github.com/faultline-go/faultline/sdk/schema"
	"github.com/faultline-go/faultline/sdk/wire"
)

// The fault of these tests writes "off" into a file that says "on".
type (
	switchConfig struct {
		Mode string `hcl:"mode,optional" default:"off"`
	}
	switchUndo struct{ Path, Was string }
)

// switchFault's parts can be replaced by a test.
func switchFault() Fault[switchConfig, switchUndo] {
	return Fault[switchConfig, switchUndo]{
		Type: "lamp_off", Doc: "Switches off.", Accepts: []schema.Accept{{Interface: "lamp"}},
		Hold: HoldJournal, Reversibility: Reversible, RevertTime: time.Second,
		Prepare: func(_ context.Context, t PrepareTarget, _ switchConfig) (Prepared[switchUndo], error) {
			was, err := os.ReadFile(t.ID)
			if errors.Is(err, os.ErrNotExist) {
				return Prepared[switchUndo]{}, fmt.Errorf("look at the lamp: %w", ErrGone)
			}
			return Prepared[switchUndo]{Undo: switchUndo{t.ID, string(was)}, Incarnation: "lamp"}, err
		},
		Inject: func(_ context.Context, c switchConfig, u switchUndo) error {
			return os.WriteFile(u.Path, []byte(c.Mode), 0o600)
		},
		Observe: func(_ context.Context, _ switchConfig, u switchUndo) (Effect, error) {
			is, err := os.ReadFile(u.Path)
			return Effect{Bites: string(is) == "off", Detail: string(is), Measures: map[string]float64{"light_lm": 0}}, err
		},
		Revert: func(_ context.Context, u switchUndo) (Reverted, error) {
			return Reverted{Outcome: PutBack, Proof: "it shines"}, os.WriteFile(u.Path, []byte(u.Was), 0o600)
		},
		Scan: func(_ context.Context, known []Known[switchUndo]) (out []Residue, err error) {
			for _, k := range known {
				if is, _ := os.ReadFile(k.Undo.Path); string(is) == "off" {
					out = append(out, Residue{Fault: k.Fault, Target: k.Target, Kind: ResidueMatches})
				}
			}
			return out, nil
		},
	}
}

// bench is a server in this process, with a run folder and an open session.
type bench struct {
	*server
	t   *testing.T
	dir arbiter.Dir
}

func newBench(t *testing.T, faults ...FaultType) *bench {
	t.Helper()
	s, err := newServer(Plugin{Name: "lamp", Version: "0.1.0", Faults: faults})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{server: s, t: t, dir: arbiter.Dir(t.TempDir())}
	if err := b.dir.Make(); err != nil {
		t.Fatal(err)
	}
	if err := s.Configure(t.Context(), wire.Configure{Run: "r", RunDir: string(b.dir)}); err != nil {
		t.Fatal(err)
	}
	s.leases.warn = func(err error) { t.Log(err) }
	ctx, hangUp := context.WithCancel(context.Background())
	open, over := make(chan struct{}), make(chan error, 1)
	go func() {
		first := true
		over <- s.Session(ctx, func() (wire.Renewal, error) {
			if first {
				first = false
				return wire.Renewal{}, nil
			}
			<-ctx.Done()
			return wire.Renewal{}, io.EOF
		}, func(wire.LeaseEvent) error { close(open); return nil })
	}()
	<-open
	t.Cleanup(func() {
		hangUp()
		<-over
		done, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.Close(done); err != nil {
			t.Error(err)
		}
	})
	return b
}

func lamp(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "lamp")
	if err := os.WriteFile(path, []byte("on"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (b *bench) prepare(ids ...string) []wire.Undo {
	b.t.Helper()
	q := wire.Prepare{Type: "lamp_off"}
	for _, id := range ids {
		q.Targets = append(q.Targets, schema.Candidate{ID: id, Name: id})
	}
	var out []wire.Undo
	if err := b.Prepare(b.t.Context(), q, func(p wire.Prepared) error {
		if p.Err != "" {
			b.t.Fatalf("prepare %s: %s", p.Target, p.Err)
		}
		out = append(out, wire.Undo{Target: p.Target, Undo: p.Undo})
		return nil
	}); err != nil {
		b.t.Fatal(err)
	}
	return out
}

func (b *bench) order(targets []wire.Undo) wire.Inject {
	return wire.Inject{
		Lease: wire.Lease{Run: "r", Fault: "f", Epoch: 1}, Type: "lamp_off",
		Targets: targets, TTL: time.Minute, HardEnd: time.Hour,
	}
}

func (b *bench) inject(q wire.Inject) (map[string]wire.Injected, error) {
	out := map[string]wire.Injected{}
	err := b.Inject(b.t.Context(), q, func(r wire.Injected) error { out[r.Target] = r; return nil })
	return out, err
}

func (b *bench) putBack(q wire.Inject, by string, again bool) (map[string]wire.Reverted, error) {
	out := map[string]wire.Reverted{}
	err := b.Revert(b.t.Context(), wire.Revert{Lease: q.Lease, Type: q.Type, By: by, Targets: q.Targets, Again: again},
		func(r wire.Reverted) error { out[r.Target] = r; return nil })
	return out, err
}

func mustRead(t *testing.T, path, want string) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%s says %q (%v), want %q", filepath.Base(path), got, err, want)
	}
}

func TestServerLife(t *testing.T) {
	b := newBench(t, switchFault())
	one, two := lamp(t), lamp(t)
	q := b.order(b.prepare(one, two))
	known := []wire.Known{{Type: "lamp_off", Fault: "f", Targets: q.Targets}}
	scan := func() (n int) {
		if err := b.Scan(t.Context(), known, func(wire.Finding) error { n++; return nil }); err != nil {
			t.Error(err)
		}
		return n
	}
	if n := scan(); n != 0 {
		t.Errorf("%d residues before", n)
	}
	results, err := b.inject(q)
	if err != nil || len(results) != 2 {
		t.Fatalf("inject: %v, %v", results, err)
	}
	mustRead(t, one, "off")
	if n := scan(); n != 2 {
		t.Errorf("%d residues while it is in", n)
	}
	seen := 0
	err = b.Observe(t.Context(), wire.Observe{Type: "lamp_off", Targets: q.Targets}, func(o wire.Observed) error {
		seen++
		if !o.Bites || o.Detail != "off" || o.Measures["light_lm"] != 0 || o.At.IsZero() {
			t.Errorf("observed %+v", o)
		}
		return nil
	})
	if err != nil || seen != 2 {
		t.Errorf("observe: %d results, %v", seen, err)
	}
	back, err := b.putBack(q, "engine", false)
	if err != nil || back[one].Outcome != wire.OutcomeReverted || back[two].Proof != "it shines" {
		t.Errorf("revert: %+v, %v", back, err)
	}
	mustRead(t, one, "on")
	mustRead(t, two, "on")
	if n := scan(); n != 0 || b.leases.holds() {
		t.Errorf("after: %d residues, held %v", n, b.leases.holds())
	}
}

func TestServerResultsPerTarget(t *testing.T) {
	f := switchFault()
	f.Inject = func(_ context.Context, _ switchConfig, u switchUndo) error {
		switch filepath.Base(filepath.Dir(u.Path)) {
		case "panics":
			panic("oh dear")
		case "gone":
			return fmt.Errorf("lamp: %w", ErrGone)
		case "fails":
			return errors.New("too hot")
		}
		return nil
	}
	b := newBench(t, f)
	dir := t.TempDir()
	var ids []string
	for _, name := range []string{"panics", "gone", "fails", "works"} {
		id := filepath.Join(dir, name, "lamp")
		if err := os.MkdirAll(filepath.Dir(id), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(id, []byte("on"), 0o600); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	q := b.order(b.prepare(ids...))
	got, err := b.inject(q)
	if err != nil {
		t.Fatal(err)
	}
	if r := got[ids[0]]; !strings.HasPrefix(r.Err, "the plugin panicked: oh dear,\n  at github.com/faultline-go/faultline/sdk.") || !strings.Contains(r.Err, "_test.go:") || strings.Contains(r.Err, "sdk/types.go") || r.Gone {
		t.Errorf("panic: %+v", r)
	}
	if r := got[ids[1]]; !r.Gone || r.Err == "" {
		t.Errorf("gone: %+v", r)
	}
	if r := got[ids[2]]; r.Err != "too hot" || r.Gone {
		t.Errorf("failure: %+v", r)
	}
	if r := got[ids[3]]; r.Err != "" {
		t.Errorf("success: %+v", r)
	}
	if _, err := b.putBack(q, "engine", false); err != nil {
		t.Error(err)
	}
}

func TestServerPanicsAreErrors(t *testing.T) {
	f := switchFault()
	f.Prepare = func(context.Context, PrepareTarget, switchConfig) (Prepared[switchUndo], error) { panic("prepare") }
	f.Observe = func(context.Context, switchConfig, switchUndo) (Effect, error) { panic("observe") }
	f.Revert = func(context.Context, switchUndo) (Reverted, error) { panic("revert") }
	f.Scan = func(context.Context, []Known[switchUndo]) ([]Residue, error) { panic("scan") }
	b := newBench(t, f)
	targets := []wire.Undo{{Target: "x", Undo: json.RawMessage(`{}`)}}
	var texts []string
	note := func(text string) error { texts = append(texts, text); return nil }
	_ = b.Prepare(t.Context(), wire.Prepare{Type: "lamp_off", Targets: []schema.Candidate{{ID: "x"}}},
		func(p wire.Prepared) error { return note(p.Err) })
	_ = b.Observe(t.Context(), wire.Observe{Type: "lamp_off", Targets: targets},
		func(o wire.Observed) error { return note(o.Err) })
	back, err := b.putBack(b.order(targets), "engine", false)
	if err == nil || back["x"].Outcome != wire.OutcomeFailed || !back["x"].Residue {
		t.Errorf("revert: %+v, %v", back, err)
	}
	_ = note(back["x"].Err)
	_ = note(textOf(b.Scan(t.Context(), nil, func(wire.Finding) error { return nil })))
	for i, what := range []string{"prepare", "observe", "revert", "scan"} {
		if !strings.Contains(texts[i], "the plugin panicked: "+what) {
			t.Errorf("%s: %q", what, texts[i])
		}
	}
}

func TestServerRefusesToInject(t *testing.T) {
	one := lamp(t)
	b := newBench(t, switchFault())
	targets := b.prepare(one)
	for name, change := range map[string]func(*wire.Inject){
		"older epoch":  func(q *wire.Inject) { q.Lease.Epoch = 0 },
		"another run":  func(q *wire.Inject) { q.Lease.Run = "s" },
		"unknown type": func(q *wire.Inject) { q.Type = "lamp_on" },
		"no time":      func(q *wire.Inject) { q.TTL = 0 },
	} {
		q := b.order(targets)
		change(&q)
		if got, err := b.inject(q); err == nil || len(got) > 0 {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if err := b.dir.SetEpoch(2); err != nil {
		t.Fatal(err)
	}
	if _, err := b.inject(b.order(targets)); err == nil || !strings.Contains(err.Error(), "moved on to epoch 2") {
		t.Errorf("fenced: %v", err)
	}
	if err := os.Remove(filepath.Join(string(b.dir), "epoch")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.inject(b.order(targets)); err == nil {
		t.Error("injected without a readable epoch")
	}
	mustRead(t, one, "on")
	// Whoever asks to put back is listened to.
	if _, err := b.putBack(b.order(targets), "recover", false); err != nil {
		t.Errorf("revert under another epoch: %v", err)
	}
}

func TestServerIsConfiguredForOneRun(t *testing.T) {
	b := newBench(t, switchFault())
	q := b.order(b.prepare(lamp(t)))
	if _, err := b.inject(q); err != nil {
		t.Fatal(err)
	}
	if err := b.Configure(t.Context(), wire.Configure{Run: "s"}); err == nil {
		t.Error("configured for another run while it held a fault")
	}
	if _, err := b.putBack(q, "engine", false); err != nil {
		t.Fatal(err)
	}
	if err := b.Configure(t.Context(), wire.Configure{Run: "s"}); err != nil {
		t.Errorf("configured anew: %v", err)
	}
}

func TestServerBelievesTheOutcomeOnRecord(t *testing.T) {
	var reverts atomic.Int32
	f := switchFault()
	inner := f.Revert
	f.Revert = func(ctx context.Context, u switchUndo) (Reverted, error) {
		reverts.Add(1)
		return inner(ctx, u)
	}
	b := newBench(t, f)
	q := b.order(b.prepare(lamp(t)))
	id := q.Targets[0].Target
	first, err := b.putBack(q, "guardian", false)
	if err != nil {
		t.Fatal(err)
	}
	second, err := b.putBack(q, "recover", false)
	if err != nil || second[id].By != "guardian" || !second[id].At.Equal(first[id].At) || reverts.Load() != 1 {
		t.Errorf("second revert: %+v, %v, %d calls", second, err, reverts.Load())
	}
	third, err := b.putBack(q, "recover", true)
	if err != nil || third[id].By != "recover" || reverts.Load() != 2 {
		t.Errorf("revert again: %+v, %v, %d calls", third, err, reverts.Load())
	}
}

// What another process put back before our injection returned was broken after it.
func TestServerDoubtsAnOutcomeOlderThanTheInjection(t *testing.T) {
	one := lamp(t)
	begun, goOn := make(chan struct{}), make(chan struct{})
	f := switchFault()
	inner := f.Inject
	f.Inject = func(ctx context.Context, c switchConfig, u switchUndo) error {
		close(begun)
		<-goOn
		return inner(ctx, c, u)
	}
	b := newBench(t, f)
	q := b.order(b.prepare(one))
	injected := make(chan error)
	go func() {
		_, err := b.inject(q)
		injected <- err
	}()
	<-begun
	lock, err := b.dir.Lock(t.Context(), "f")
	if err != nil {
		t.Fatal(err)
	}
	o := arbiter.New("f")
	o.Set(wire.Reverted{Target: one, Outcome: wire.OutcomeGone, By: "guardian", At: time.Now()})
	if err := lock.Record(o); err != nil {
		t.Fatal(err)
	}
	lock.Unlock()
	close(goOn)
	if err := <-injected; err != nil {
		t.Fatal(err)
	}
	mustRead(t, one, "off")
	if back, err := b.putBack(q, "engine", false); err != nil || back[one].By != "engine" {
		t.Errorf("revert: %+v, %v", back, err)
	}
	mustRead(t, one, "on")
}

// Nothing that is wrong with the run folder keeps a fault in place.
func TestServerRevertsWithoutARunFolder(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, dir string){
		"outcome is garbage": func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, "faults", "f.outcome.json"), []byte(`{"targets": [`), 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"outcome is too new": func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, "faults", "f.outcome.json"), []byte(`{"format": 99}`), 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"folder is gone": func(t *testing.T, dir string) {
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			one := lamp(t)
			b := newBench(t, switchFault())
			q := b.order(b.prepare(one))
			if _, err := b.inject(q); err != nil {
				t.Fatal(err)
			}
			spoil(t, string(b.dir))
			if _, err := b.putBack(q, "engine", false); err != nil {
				t.Error(err)
			}
			mustRead(t, one, "on")
			raw, _ := os.ReadFile(filepath.Join(string(b.dir), "faults", "f.outcome.json"))
			switch o, err := b.dir.Outcome("f"); {
			case name == "outcome is garbage" && (err != nil || len(o.Targets) != 1):
				t.Errorf("the garbage was not replaced: %s", raw)
			case name == "outcome is too new" && string(raw) != `{"format": 99}`:
				t.Errorf("a newer program's record was replaced: %s", raw)
			}
		})
	}
}

func TestServerWantsARealOutcome(t *testing.T) {
	f := switchFault()
	f.Revert = func(context.Context, switchUndo) (Reverted, error) { return Reverted{}, nil }
	b := newBench(t, f)
	q := b.order(b.prepare(lamp(t)))
	if back, err := b.putBack(q, "engine", false); err == nil || back[q.Targets[0].Target].Outcome != wire.OutcomeFailed {
		t.Errorf("a revert without an outcome: %+v, %v", back, err)
	}
}

// The engine's stream breaks after the work is done: nothing stays held.
func TestServerSettlesBeforeItAnswers(t *testing.T) {
	b := newBench(t, switchFault())
	q := b.order(b.prepare(lamp(t)))
	if _, err := b.inject(q); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("stream broken")
	err := b.Revert(t.Context(), wire.Revert{Lease: q.Lease, Type: q.Type, By: "engine", Targets: q.Targets},
		func(wire.Reverted) error { return broken })
	if !errors.Is(err, broken) || b.leases.holds() {
		t.Errorf("%v, held %v", err, b.leases.holds())
	}
}

func TestServerScanIsNotBlinded(t *testing.T) {
	blind := switchFault()
	blind.Type = "lamp_blind"
	blind.Scan = func(context.Context, []Known[switchUndo]) ([]Residue, error) { return nil, errors.New("too dark") }
	b := newBench(t, blind, switchFault())
	q := b.order(b.prepare(lamp(t)))
	if _, err := b.inject(q); err != nil {
		t.Fatal(err)
	}
	var found []string
	err := b.Scan(t.Context(), []wire.Known{
		{Type: "lamp_off", Fault: "f", Targets: q.Targets}, {Type: "lamp_unknown", Fault: "g"},
	}, func(f wire.Finding) error { found = append(found, f.Fault); return nil })
	if !slices.Equal(found, []string{"f"}) {
		t.Errorf("found %v", found)
	}
	if err == nil || !strings.Contains(err.Error(), "too dark") || !strings.Contains(err.Error(), "lamp_unknown") {
		t.Errorf("error %v", err)
	}
}

func TestFanOut(t *testing.T) {
	items := make([]int, 50)
	var now, most atomic.Int32
	sent := 0
	err := fanOut(items, 4, func(int) int {
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		now.Add(-1)
		return 0
	}, func(int) error { sent++; return nil })
	if err != nil || sent != 50 || most.Load() > 4 {
		t.Errorf("sent %d, at most %d at once, %v", sent, most.Load(), err)
	}
	broken := errors.New("broken")
	var worked atomic.Int32
	sent = 0
	err = fanOut(items, 1, func(int) int { worked.Add(1); return 0 }, func(int) error { sent++; return broken })
	if !errors.Is(err, broken) || sent != 1 || worked.Load() != 50 {
		t.Errorf("after a broken send: %v, sent %d, worked %d", err, sent, worked.Load())
	}
	if err := fanOut(nil, 0, func(int) int { return 0 }, func(int) error { return broken }); err != nil {
		t.Errorf("nothing to do: %v", err)
	}
}
