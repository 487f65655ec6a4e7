package simulation

import (
	"encoding/json"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/plan"
	"github.com/faultline-go/faultline/engine/scenario"
	"github.com/faultline-go/faultline/sdk/schema"
)

const (
	firstRun  = "20000101-000000.000-one-00000001"
	otherRun  = "20000101-000000.001-two-00000002"
	interval  = 100 * time.Millisecond
	mostLamps = 3 // limits { max_targets }
)

// shapes are the game days that are run.
var shapes = []func() *plan.Plan{
	func() *plan.Plan {
		return planOf(experiment("one", step("lamp_off", "x", 0, 3*time.Second, "a", "b")))
	},
	// Two faults on one target, and a third elsewhere.
	func() *plan.Plan {
		return planOf(experiment("two", step("lamp_off", "x", 0, 4*time.Second, "a"),
			step("lamp_red", "y", time.Second, 2*time.Second, "a"), step("lamp_off", "z", time.Second, time.Second, "c")))
	},
	// The same fault on the same target again.
	func() *plan.Plan {
		return planOf(experiment("first", step("lamp_off", "x", 0, 2*time.Second, "a")),
			experiment("second", step("lamp_off", "x", 0, 2*time.Second, "a"), step("lamp_red", "y", 0, time.Second, "b")))
	},
	// One after the other, and too many at once if the first is late to end.
	func() *plan.Plan {
		return planOf(experiment("tight", step("lamp_off", "x", 0, 2*time.Second, "a", "b"), step("lamp_off", "y", 2200*time.Millisecond, time.Second, "c", "d")))
	},
}

// otherDay is what a second run does: to a lamp of its own, and at the same moment as
// the first to one of the first's.
func otherDay() *plan.Plan {
	return planOf(experiment("other", step("lamp_off", "o", time.Second, 2*time.Second, "d"), step("lamp_off", "p", 0, 2*time.Second, "a")))
}

func step(typ, name string, start, duration time.Duration, lamps ...string) plan.Step {
	s := plan.Step{
		Kind: scenario.FaultStep, Name: typ + "." + name, Type: typ, Plugin: "lamp",
		Offset: start, Start: start, Duration: duration, Lease: lease, Config: json.RawMessage(`{}`), Full: json.RawMessage(`{}`),
		Target: "lamp.all", Discovered: len(lamps), Hold: schema.HoldJournal, Reversibility: schema.Reversible,
		Settle: settle, RevertBudget: time.Second,
	}
	for _, id := range lamps {
		s.Targets = append(s.Targets, plan.Target{Kind: "lamp", ID: id, Name: "lamp " + id, Candidate: schema.Candidate{Kind: "lamp", ID: id, Name: "lamp " + id}})
	}
	return s
}

// light is the one condition: a sample is good.
type light struct{}

func (light) Eval(s *schema.Sample) scenario.Answer {
	switch s.Status {
	case schema.Missing:
		return scenario.Unknown
	case schema.OK:
		return scenario.Yes
	}
	return scenario.No
}

func (light) Source() string { return "sample.ok" }
func (light) Pos() string    { return "day.hcl:1" }

func experiment(name string, steps ...plan.Step) plan.Experiment {
	e := plan.Experiment{
		Steps:      steps,
		Objectives: []plan.Objective{{Name: "light.on", Probe: "lamp.all", Good: light{}}},
		Spec: journal.ExperimentSpec{
			Name: name, Expect: journal.Tolerate, Baseline: time.Second, Observe: 2 * time.Second, RecoverWithin: 2 * time.Second,
			Objectives: []journal.ObjectiveSpec{{
				Name: "light.on", Probe: "lamp.all", Good: "sample.ok", Target: 0.9, DuringTarget: 0.9,
				MinSamples: 5, Judge: "point", Rate: float64(time.Second / interval),
			}},
		},
	}
	for _, s := range steps {
		e.Spec.Faults = append(e.Spec.Faults, journal.FaultSpec{Name: s.Name, Type: s.Type, Targets: s.TargetNames(), Duration: s.Duration, Hold: string(s.Hold)})
		e.Spec.Planned = max(e.Spec.Planned, s.Start+s.Duration)
	}
	return e
}

func planOf(experiments ...plan.Experiment) *plan.Plan {
	return &plan.Plan{
		Format: plan.Format, Scenario: journal.Scenario{Name: "day"}, Seed: 1, Experiments: experiments,
		Plugins: []plan.Plugin{{Name: "lamp", Version: "1.0.0"}},
		Limits:  plan.Limits{MaxTargets: mostLamps},
		Probes: []plan.Probe{{
			Name: "lamp.all", Type: "lamp", Plugin: "lamp", Interval: interval, Timeout: time.Second,
			Config: json.RawMessage(`{}`), Full: json.RawMessage(`{}`),
		}},
	}
}
