package run_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/plan"
	"github.com/faultline-go/faultline/engine/scenario"
	"github.com/faultline-go/faultline/sdk/schema"
	"github.com/faultline-go/faultline/sdk/wire"
)

// drawing is the plugin as a plan needs it.
type drawing struct{}

func (drawing) Description(string) (*schema.Description, error) {
	return &schema.Description{Name: "lamp", Version: "1.0.0", Faults: []schema.Fault{
		{Type: "lamp_off", Hold: schema.HoldProcess, Reversibility: schema.Reversible, RevertMS: 1000, SettleMS: 2000, Concurrency: 1},
	}}, nil
}

func (d drawing) Planner(string) (plan.Planner, error) { return d, nil }

func (drawing) Discover(context.Context, string, json.RawMessage) ([]schema.Candidate, error) {
	return []schema.Candidate{{Kind: "lamp", ID: "a", Name: "lamp a"}}, nil
}

func (drawing) Prepare(_ context.Context, q wire.Prepare) ([]wire.Prepared, error) {
	return []wire.Prepared{{Target: q.Targets[0].ID, Undo: json.RawMessage(`{}`), Incarnation: "1"}}, nil
}

// The length that is planned is that of the run when nothing goes wrong: it is what people
// wait for, and what must fit into a window.
func TestLastsAsPlanned(t *testing.T) {
	nothing := scenario.Config{Full: json.RawMessage(`{}`), Redacted: json.RawMessage(`{}`)}
	for _, c := range []struct {
		name    string
		every   time.Duration // of the probe; the baseline has 40 samples
		observe time.Duration
		expect  string
		check   bool          // there is no fault, but an action
		action  time.Duration // when it is
		want    time.Duration
	}{
		{name: "as long as it observes", every: 50 * time.Millisecond, observe: 8 * time.Second, want: 15 * time.Second},
		{name: "as the objectives need", every: 50 * time.Millisecond, want: 12 * time.Second},
		{name: "a steady window at least", every: 50 * time.Millisecond, observe: time.Second, want: 12 * time.Second},
		{name: "one from steady again on", every: 50 * time.Millisecond, observe: time.Second, expect: "recover", want: 12 * time.Second},
		{name: "as many samples as steady needs", every: 300 * time.Millisecond, observe: time.Second, want: 26 * time.Second},
		{name: "not longer than it may take", every: time.Second, observe: time.Second, want: 60 * time.Second},
		{name: "an action comes last", every: 50 * time.Millisecond, observe: time.Second, action: 20 * time.Second, want: 22 * time.Second},
		{name: "a check", every: 50 * time.Millisecond, observe: time.Second, check: true, want: time.Second},
		{name: "a check with a late action", every: 50 * time.Millisecond, observe: time.Second, check: true, action: 20 * time.Second, want: 20 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			probe := &scenario.Probe{Name: "lamp.all", Type: "lamp", Plugin: "lamp", Interval: c.every, Timeout: time.Second, Config: nothing}
			target := &scenario.Target{Name: "lamp.all", Type: "lamp", Plugin: "lamp", Match: nothing, Pick: scenario.Pick{Count: 1}}
			x := &scenario.Experiment{
				Name: "x", Expect: c.expect, Baseline: 40 * c.every, Observe: c.observe, RecoverWithin: 10 * time.Second,
				Objectives: []*scenario.Objective{{
					Name: "light.on", Probe: probe, Good: condition{text: "sample.ok"}, Target: 0.95, DuringTarget: 0.95, MinSamples: 30, Judge: "exact",
				}},
			}
			if x.Expect == "" {
				x.Expect = string(journal.Tolerate)
			}
			if !c.check {
				x.Steps = append(x.Steps, &scenario.Step{
					Kind: scenario.FaultStep, Name: "lamp_off.a", Type: "lamp_off", Plugin: "lamp", Config: nothing,
					Target: target, Duration: 5 * time.Second, Lease: lease,
				})
			}
			if c.action > 0 {
				x.Steps = append(x.Steps, &scenario.Step{
					Kind: scenario.ActionStep, Name: "lamp_note.n", Type: "lamp_note", Plugin: "lamp", Config: nothing,
					Start: c.action, Timeout: time.Second,
				})
			}
			p, err := plan.Build(t.Context(), &scenario.Scenario{
				Name: "day", Plugins: []scenario.Plugin{{Name: "lamp", Settings: nothing}},
				Probes: []*scenario.Probe{probe}, Targets: []*scenario.Target{target}, Experiments: []*scenario.Experiment{x},
			}, drawing{}, plan.Options{Seed: 1, Workdir: "/"})
			if err != nil {
				t.Fatal(err)
			}
			if p.Longest != c.want {
				t.Errorf("%s are planned, want %s", p.Longest, c.want)
			}
			play(t, p, nil, func(t *testing.T, d *day) {
				if d.err != nil {
					t.Fatal(d.err)
				}
				if e := d.result.Experiments[0]; e.Ending != journal.Completed {
					t.Fatalf("it ended as %s: %+v", e.Ending, e.Reasons)
				}
				// Nothing takes time here but the samples: a moment each, and one interval until
				// the last is there.
				took := d.result.Run.Ended.Sub(d.result.Run.Started)
				if more := took - p.Longest; more < 0 || more > c.every+100*time.Millisecond {
					t.Errorf("%s are planned, and it took %s", p.Longest, took)
				}
			})
		})
	}
}
