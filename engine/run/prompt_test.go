package run_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/engine/plan"
	"github.com/faultline-go/faultline/engine/run"
	"github.com/faultline-go/faultline/engine/scenario"
)

// hold is a prompt.
func hold(name string, start, timeout time.Duration, otherwise string) plan.Step {
	return plan.Step{
		Kind: scenario.PromptStep, Name: name, Type: "prompt", Offset: start, Start: start, Timeout: timeout,
		Prompt: &plan.Prompt{Question: "Is it " + name + "?", Default: otherwise},
	}
}

// endsAfter ends a fault when other steps are over.
func endsAfter(s plan.Step, others ...string) plan.Step {
	s.EndsAfter = others
	return s
}

// says is somebody who answers every prompt after a time.
func says(answer string, after time.Duration) func(context.Context, run.Question) (run.Answer, error) {
	return func(ctx context.Context, _ run.Question) (run.Answer, error) {
		if err := pass(ctx, after); err != nil {
			return run.Answer{}, err
		}
		return run.Answer{Answer: answer, By: "ada"}, nil
	}
}

func TestPrompts(t *testing.T) {
	stepByStep := func() *plan.Plan {
		return planOf(experiment("x", hold("ready", 0, 0, scenario.Continue),
			after(endsAfter(off("a", 0, 20*time.Second, "a"), "moved"), "ready"),
			after(hold("moved", 2*time.Second, 0, scenario.Stop), "ready"),
			after(note("n", 0), "lamp_off.a")))
	}
	for _, c := range []scene{
		{
			name: "step by step", plan: stepByStep(),
			setup: func(d *day) { d.options.Ask = says(scenario.Continue, 3*time.Second) }, want: judge.Held,
		},
		{
			name: "answered with stop while a fault is on", plan: stepByStep(),
			setup: func(d *day) {
				d.options.Ask = func(ctx context.Context, q run.Question) (run.Answer, error) {
					if q.Prompt == "ready" {
						return run.Answer{Answer: scenario.Continue, By: "ada"}, nil
					}
					return says(scenario.Stop, time.Second)(ctx, q)
				}
			}, want: judge.Aborted,
		},
		{name: "nobody is asked, and the default of the second is stop", plan: stepByStep(), want: judge.Aborted},
		{
			name: "over before it is in, and seen to bite all the same",
			plan: planOf(experiment("x", endsAfter(off("a", 0, 5*time.Second, "a"), "over"), hold("over", 0, 0, scenario.Continue))), want: judge.Inconclusive,
		},
		{
			name:  "nobody answers, and the fault ends all the same",
			plan:  planOf(experiment("x", endsAfter(off("a", 0, 5*time.Second, "a"), "over"), hold("over", 0, 30*time.Second, scenario.Continue))),
			setup: func(d *day) { d.options.Ask = says(scenario.Continue, time.Hour) }, want: judge.Held,
		},
		{
			name: "the operator aborts while a prompt waits", plan: planOf(experiment("x", off("a", 0, 5*time.Second, "a"), hold("over", 0, 0, scenario.Continue))),
			setup: func(d *day) {
				d.options.Ask = says(scenario.Continue, time.Hour)
				d.after(4*time.Second, func() { d.abort(errOperator) })
			}, want: judge.Aborted,
		},
		{
			name: "broken with early stop while a prompt waits", plan: planOf(experiment("x", endsAfter(off("a", 0, 10*time.Second, "a"), "over"), hold("over", 0, 0, scenario.Continue))),
			setup: func(d *day) {
				d.sample = fragile
				d.options.Ask = says(scenario.Continue, time.Hour)
			}, want: judge.Broken,
		},
		{
			name: "a prompt that cannot be asked", plan: planOf(experiment("x", off("a", 0, 5*time.Second, "a"), hold("over", time.Second, 0, scenario.Continue))),
			setup: func(d *day) {
				d.options.Ask = func(context.Context, run.Question) (run.Answer, error) {
					return run.Answer{}, errors.New("no paper")
				}
			}, want: judge.Errored,
		},
		{
			name: "a guard trips while a prompt waits", plan: guarded(planOf(experiment("x", off("a", 0, 5*time.Second, "a"), hold("over", 0, 0, scenario.Continue))), 0, 100*time.Millisecond, 5*time.Second),
			setup: func(d *day) {
				d.options.Ask = says(scenario.Continue, time.Hour)
			}, want: judge.Aborted,
		},
	} {
		c.play(t)
	}
}

// byChance makes an experiment one that happens now and then.
func byChance(e plan.Experiment, notDue string) plan.Experiment {
	e.Chance, e.NotDue = &plan.Chance{Group: "lamps", MeanDays: 5, MinDays: 1}, notDue
	return e
}

func TestChance(t *testing.T) {
	once := func() plan.Experiment { return byChance(experiment("x", off("a", 0, 5*time.Second, "a")), "") }
	for _, c := range []scene{
		{
			name: "the turn is written down before the fault", plan: planOf(once()),
			setup: func(d *day) {
				d.options.Turn = func(_ context.Context, e *plan.Experiment) error {
					d.say("  turn of %s, off are %v", e.Spec.Name, d.off())
					return nil
				}
			}, want: judge.Held,
		},
		{
			name: "another run has had it", plan: planOf(once(), dependsOn(experiment("y", off("b", 0, 5*time.Second, "b")), "x")),
			setup: func(d *day) {
				d.options.Turn = func(context.Context, *plan.Experiment) error {
					return &run.NotDue{Reason: "not due again: it had its turn in run r0"}
				}
			}, want: judge.NotDue,
		},
		{
			name: "the ledger cannot be written", plan: planOf(once()),
			setup: func(d *day) {
				d.options.Turn = func(context.Context, *plan.Experiment) error { return errors.New("no space left on device") }
			}, want: judge.Errored,
		},
		{
			name: "an abort while the ledger is locked", plan: planOf(once()),
			setup: func(d *day) {
				d.options.Turn = func(ctx context.Context, _ *plan.Experiment) error { return pass(ctx, time.Hour) }
				d.after(4*time.Second, func() { d.abort(errOperator) })
			}, want: judge.Aborted,
		},
		{name: "one is not due, another runs", plan: planOf(byChance(experiment("x", off("a", 0, 5*time.Second, "a")), "not due today: it is Sunday"), experiment("y", off("b", 0, 5*time.Second, "b"))), want: judge.Held},
		{name: "none is due", plan: planOf(byChance(experiment("x", off("a", 0, 5*time.Second, "a")), "not due today: it is Sunday")), want: judge.NotDue},
	} {
		c.play(t)
	}
}

func TestChanceWithoutALedger(t *testing.T) {
	play(t, planOf(byChance(experiment("x", off("a", 0, time.Second, "a")), "")), nil, func(t *testing.T, d *day) {
		if d.err == nil {
			t.Error("a run by chance began with nobody to write down its turn")
		}
	})
}
