package run_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/engine/plan"
	"github.com/faultline-go/faultline/engine/run"
	"github.com/faultline-go/faultline/engine/scenario"
	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
)

var update = flag.Bool("update", false, "write the golden files anew")

// condition is a predicate in Go.
type condition struct {
	text string
	is   func(*schema.Sample) bool
}

func (c condition) Eval(s *schema.Sample) scenario.Answer {
	switch {
	case s.Status == schema.Missing:
		return scenario.Unknown
	case s.Status == schema.OK && (c.is == nil || c.is(s)):
		return scenario.Yes
	default:
		return scenario.No
	}
}

func (c condition) Source() string { return c.text }
func (c condition) Pos() string    { return "day.hcl:1" }

const (
	interval = 20 * time.Millisecond
	lease    = 6 * time.Second
)

// off is a fault that switches lamps off.
func off(name string, start, duration time.Duration, lamps ...string) plan.Step {
	s := plan.Step{
		Kind: scenario.FaultStep, Name: "lamp_off." + name, Type: "lamp_off", Plugin: "lamp",
		Offset: start, Start: start, Duration: duration, Lease: lease, Config: json.RawMessage(`{}`), Full: json.RawMessage(`{}`),
		Target: "lamp.all", Discovered: len(lamps), Hold: schema.HoldProcess, Reversibility: schema.Reversible,
		Settle: 2 * time.Second, RevertBudget: time.Second,
	}
	for _, id := range lamps {
		s.Targets = append(s.Targets, plan.Target{Kind: "lamp", ID: id, Name: "lamp " + id, Candidate: schema.Candidate{Kind: "lamp", ID: id, Name: "lamp " + id}})
	}
	return s
}

// note is an action.
func note(name string, start time.Duration) plan.Step {
	return plan.Step{
		Kind: scenario.ActionStep, Name: "lamp_note." + name, Type: "lamp_note", Plugin: "lamp",
		Offset: start, Start: start, Timeout: 30 * time.Second, Config: json.RawMessage(`{}`), Full: json.RawMessage(`{}`),
	}
}

// after lets a step follow others.
func after(s plan.Step, others ...string) plan.Step {
	s.After = others
	return s
}

// experiment asks for 95 % good samples.
func experiment(name string, steps ...plan.Step) plan.Experiment {
	e := plan.Experiment{
		Steps:      steps,
		Objectives: []plan.Objective{{Name: "light.on", Probe: "lamp.all", Good: condition{text: "sample.ok"}}},
		Spec: journal.ExperimentSpec{
			Name: name, Expect: journal.Tolerate, Baseline: 2 * time.Second, Observe: 6 * time.Second, RecoverWithin: 10 * time.Second,
			Objectives: []journal.ObjectiveSpec{{
				Name: "light.on", Probe: "lamp.all", Good: "sample.ok", Target: 0.95, DuringTarget: 0.95,
				MinSamples: 30, Judge: "exact", Rate: float64(time.Second / interval),
			}},
		},
	}
	for _, s := range steps {
		if s.Kind == scenario.FaultStep {
			e.Spec.Faults = append(e.Spec.Faults, journal.FaultSpec{Name: s.Name, Type: s.Type, Targets: s.TargetNames(), Duration: s.Duration, Hold: string(s.Hold)})
			e.Spec.Planned = max(e.Spec.Planned, s.Start+s.Duration)
		}
	}
	return e
}

func planOf(experiments ...plan.Experiment) *plan.Plan {
	return &plan.Plan{
		Format: plan.Format, Scenario: journal.Scenario{Name: "day"}, Seed: 1, Experiments: experiments,
		Plugins: []plan.Plugin{{Name: "lamp", Version: "1.0.0"}},
		Probes: []plan.Probe{{
			Name: "lamp.all", Type: "lamp", Plugin: "lamp", Interval: interval, Timeout: time.Second,
			Config: json.RawMessage(`{}`), Full: json.RawMessage(`{}`),
		}},
	}
}

// tolerant is a system that does not mind lamps that are off; its samples have the
// number of such lamps as their value.
func tolerant(w *world) (sdk.Sample, time.Duration) {
	return sdk.Good().WithValue(float64(len(w.off()))), 2 * time.Millisecond
}

// fragile is a system that fails while any lamp is off.
func fragile(w *world) (sdk.Sample, time.Duration) {
	if n := len(w.off()); n > 0 {
		return sdk.Bad("dark").WithValue(float64(n)), 2 * time.Millisecond
	}
	return sdk.Good().WithValue(0), 2 * time.Millisecond
}

// day is a game day in virtual time.
type day struct {
	*world
	plan    *plan.Plan
	options run.Options
	process *process // that runs at the beginning
	abort   context.CancelCauseFunc

	err    error
	result *judge.Result
}

// play runs a day in a bubble; setup may change whatever it likes. The invariants are
// checked whatever happens.
func play(t *testing.T, p *plan.Plan, setup func(*day), check func(*testing.T, *day)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "a", "b", "c")
		w.sample = tolerant
		ctx, abort := context.WithCancelCause(context.Background())
		defer abort(nil)
		d := &day{world: w, plan: p, process: w.process(), abort: abort}
		d.options = run.Options{
			Run: "r1", Epoch: 1, Plan: p, Journal: w.diary, Plugins: map[string]run.Plugin{"lamp": d.process},
			Restart: func(ctx context.Context, name string) (run.Plugin, error) {
				w.say("  restart %s", name)
				if w.restart != nil {
					if err := w.restart(); err != nil {
						return nil, err
					}
				}
				return w.process(), pass(ctx, 100*time.Millisecond)
			},
		}
		if setup != nil {
			setup(d)
		}
		d.err = run.Do(ctx, d.options)
		stillOff := d.off()
		w.mu.Lock()
		all := w.processes
		w.mu.Unlock()
		for _, p := range all {
			p.end()
		}
		w.working.Wait()
		if len(w.diary.all()) > 0 {
			var err error
			if d.result, err = judge.FoldEvents(w.diary.all()); err != nil {
				t.Fatal(err)
			}
			d.invariants(t, stillOff)
		}
		if check != nil {
			check(t, d)
		}
		if t.Failed() {
			t.Logf("error: %v\n%s", d.err, w.trace())
		}
	})
}

// invariants are those of the architecture that hold for every day.
func (d *day) invariants(t *testing.T, stillOff []string) {
	t.Helper()
	if len(stillOff) > 0 && d.result.Verdict != judge.Residue && d.err == nil {
		t.Errorf("lamps %v are off after a run that ended %s", stillOff, d.result.Verdict)
	}
	planned := map[string]bool{}
	for _, e := range d.plan.Experiments {
		for _, s := range e.Steps {
			for _, x := range s.Targets {
				planned[x.ID] = true
			}
		}
	}
	for id, l := range d.lamps {
		if l.wasOff && !planned[id] {
			t.Errorf("lamp %s was touched and is not in the plan", id)
		}
	}
	// A revert starts no later than duration + one lease after the injection.
	began := map[string]time.Time{}
	length := map[string]time.Duration{}
	steps := map[string]plan.Step{}
	for _, e := range d.plan.Experiments {
		for _, s := range e.Steps {
			steps[s.Name] = s
		}
	}
	for _, e := range d.diary.all() {
		if x, ok := e.Data.(*journal.FaultIntent); ok {
			began[x.ID] = e.Time
			length[x.ID] = steps[x.Fault].Duration + steps[x.Fault].Lease
		}
	}
	reverting := map[string]bool{}
	for _, line := range strings.Split(d.trace(), "\n") {
		var at float64
		fields := strings.Fields(line)
		if len(fields) < 3 || fields[1] != "revert" || reverting[fields[2]] {
			continue
		}
		reverting[fields[2]] = true
		if err := json.Unmarshal([]byte(fields[0]), &at); err != nil {
			t.Fatal(err)
		}
		started := d.world.start.Add(time.Duration(at * float64(time.Second)))
		if took := started.Sub(began[fields[2]]); took > length[fields[2]]+10*time.Millisecond {
			t.Errorf("the first revert of %s starts %s after its intent", fields[2], took)
		}
	}
	held := d.result.Verdict == judge.Held
	for _, e := range d.result.Experiments {
		for _, o := range e.Objectives {
			if held && o.Judged && (o.N == 0 || float64(o.Missing) > 0.05*float64(o.N+o.Missing)) {
				t.Errorf("held with %d samples and %d missing %s", o.N, o.Missing, o.Phase)
			}
		}
		if held && len(e.Faults) == 0 && !e.Check && e.Verdict != judge.NotDue {
			t.Error("held without a fault")
		}
	}
}

// golden compares the trace.
func golden(t *testing.T, d *day) {
	t.Helper()
	name := strings.Map(func(r rune) rune {
		switch {
		case r == '_':
			return '-'
		case r == ',' || r == '\'':
			return -1
		}
		return r
	}, t.Name())
	path := filepath.Join("testdata", filepath.FromSlash(name)+".txt")
	got := d.trace()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (make it with -update)", err)
	}
	if byMoment(got) != byMoment(string(want)) {
		t.Errorf("trace differs from %s\n--- got\n%s--- want\n%s", path, got, want)
	}
}

// byMoment sorts what happened at the same moment: goroutines do that in any order.
// The order that matters is an invariant and checked as such.
func byMoment(trace string) string {
	lines := strings.Split(trace, "\n")
	slices.SortStableFunc(lines, func(a, b string) int {
		at := func(s string) string { return s[:min(len(s), 8)] }
		if c := strings.Compare(at(a), at(b)); c != 0 {
			return c
		}
		return strings.Compare(a, b)
	})
	return strings.Join(lines, "\n")
}

var errOperator = errors.New("stopped by the operator")
