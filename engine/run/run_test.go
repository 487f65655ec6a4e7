package run_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/engine/plan"
	"github.com/faultline-go/faultline/engine/run"
	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
)

// scene is a game day with its expected verdict; the golden trace tells the rest.
type scene struct {
	name  string
	plan  *plan.Plan
	setup func(*day)
	want  judge.Verdict
	off   []string // lamps that are off when the run is over and its processes have ended
}

func (c scene) play(t *testing.T) {
	t.Run(c.name, func(t *testing.T) {
		play(t, c.plan, c.setup, func(t *testing.T, d *day) {
			if d.err != nil {
				t.Error(d.err)
			}
			if d.result.Verdict != c.want {
				t.Errorf("the verdict is %s, want %s", d.result.Verdict, c.want)
				for _, e := range d.result.Experiments {
					t.Logf("%s: %+v", e.Name, e.Reasons)
				}
			}
			if got := d.off(); !slices.Equal(got, c.off) {
				t.Errorf("off are %v, want %v", got, c.off)
			}
			golden(t, d)
		})
	})
}

// TestDays plays whole game days and compares what happened, line by line.
func TestDays(t *testing.T) {
	for _, c := range []scene{
		{name: "held", plan: planOf(experiment("x", off("a", 0, 5*time.Second, "a"))), want: judge.Held},
		{
			name: "broken with early stop", plan: planOf(experiment("x", off("a", 0, 10*time.Second, "a"))),
			setup: func(d *day) { d.sample = fragile }, want: judge.Broken,
		},
		{
			name: "early stop leaves out what is pending",
			plan: planOf(experiment("x", off("a", 0, 10*time.Second, "a"), after(off("b", time.Second, time.Second, "b"), "lamp_off.a"), off("c", 8*time.Second, time.Second, "c"))),
			setup: func(d *day) {
				d.sample = fragile
			}, want: judge.Broken,
		},
		{
			name: "recovers", plan: planOf(expectRecovery(experiment("x", off("a", 0, 5*time.Second, "a")))),
			setup: func(d *day) { d.sample = slowToRecover(3 * time.Second) }, want: judge.Held,
		},
		{
			name: "recovers too late", plan: planOf(expectRecovery(experiment("x", off("a", 0, 5*time.Second, "a")))),
			setup: func(d *day) { d.sample = slowToRecover(30 * time.Second) }, want: judge.Broken,
		},
		{
			name: "recovers between two faults, measured from the last",
			plan: planOf(expectRecovery(experiment("x", off("a", 0, 2*time.Second, "a"), after(off("b", 8*time.Second, 2*time.Second, "b"), "lamp_off.a")))),
			setup: func(d *day) {
				d.sample = slowToRecover(2 * time.Second)
			}, want: judge.Held,
		},
		{name: "check", plan: planOf(experiment("x")), want: judge.Held},
		{name: "check with an action", plan: planOf(experiment("x", note("n", time.Second))), want: judge.Held},
		{
			name: "check broken", plan: planOf(experiment("x")),
			setup: func(d *day) {
				d.sample = func(*world) (sdk.Sample, time.Duration) { return sdk.Bad("dark"), time.Millisecond }
			}, want: judge.Broken,
		},
		{
			name: "several faults, overlapping and in turn",
			plan: planOf(experiment("x", off("a", 0, 4*time.Second, "a"), off("b", 2*time.Second, 4*time.Second, "b"),
				after(off("c", time.Second, 2*time.Second, "c"), "lamp_off.a", "lamp_off.b"))),
			want: judge.Held,
		},
		{
			name:  "actions before, during and after",
			plan:  planOf(experiment("x", note("n", 0), after(off("a", 0, 3*time.Second, "a"), "lamp_note.n"), note("m", time.Second), after(note("o", time.Second), "lamp_off.a"))),
			setup: func(d *day) { d.act = func(ctx context.Context) error { return pass(ctx, 500*time.Millisecond) } },
			want:  judge.Held,
		},
		{
			name:  "a long action does not keep the system from being looked at",
			plan:  planOf(experiment("x", off("a", 0, 3*time.Second, "a"), note("n", time.Second))),
			setup: func(d *day) { d.act = func(ctx context.Context) error { return pass(ctx, 20*time.Second) } },
			want:  judge.Held,
		},
		{
			name: "an action fails", plan: planOf(experiment("x", off("a", 0, 5*time.Second, "a"), note("n", time.Second)), experiment("y")),
			setup: func(d *day) { d.act = func(context.Context) error { return errors.New("no pen") } },
			want:  judge.Errored,
		},
		{
			name: "baseline broken, the next experiment runs", plan: planOf(experiment("x", off("a", 0, time.Second, "a")), experiment("y", off("b", 0, 4*time.Second, "b"))),
			setup: func(d *day) {
				d.sample = func(w *world) (sdk.Sample, time.Duration) {
					if time.Since(w.start) < 2*time.Second {
						return sdk.Bad("dark"), time.Millisecond
					}
					return sdk.Good(), time.Millisecond
				}
			}, want: judge.NotStarted,
		},
		{
			name: "baseline without data", plan: planOf(experiment("x", off("a", 0, time.Second, "a"))),
			setup: func(d *day) {
				d.sample = func(*world) (sdk.Sample, time.Duration) { return sdk.Missing("blind"), time.Millisecond }
			}, want: judge.NotStarted,
		},
		{
			name: "missing data during is not held", plan: planOf(experiment("x", off("a", 0, 5*time.Second, "a"))),
			setup: func(d *day) {
				d.sample = func(w *world) (sdk.Sample, time.Duration) {
					if len(w.off()) > 0 && time.Now().UnixMilli()%200 < 20 {
						return sdk.Missing("blind"), time.Millisecond
					}
					return sdk.Good(), time.Millisecond
				}
			}, want: judge.Inconclusive,
		},
		{
			name: "a successor does not run when its predecessor broke",
			plan: planOf(experiment("x", off("a", 0, 5*time.Second, "a")), dependsOn(experiment("y"), "x"), experiment("z")),
			setup: func(d *day) {
				d.sample = fragile
			}, want: judge.Broken,
		},
		{
			name: "no targets", plan: planOf(skipped(experiment("x", off("a", 0, time.Second))), experiment("y")),
			want: judge.NotExercised,
		},
		{
			name: "slow samples belong to the phase of their scheduled time",
			plan: planOf(experiment("x", off("a", 0, 6*time.Second, "a"))),
			setup: func(d *day) {
				d.sample = func(w *world) (sdk.Sample, time.Duration) { return sdk.Good(), 900 * time.Millisecond }
			}, want: judge.Held,
		},
	} {
		c.play(t)
	}
}

func expectRecovery(e plan.Experiment) plan.Experiment {
	e.Spec.Expect = journal.Recover
	e.Spec.Observe = 10 * time.Second // steady begins with as many bad samples as the target allows
	return e
}

func dependsOn(e plan.Experiment, names ...string) plan.Experiment {
	e.DependsOn = names
	return e
}

func skipped(e plan.Experiment) plan.Experiment {
	e.Skip = "target lamp.all matches nothing"
	return e
}

// slowToRecover is a system that fails while a lamp is off, and for a while after.
func slowToRecover(takes time.Duration) func(*world) (sdk.Sample, time.Duration) {
	var last time.Time
	return func(w *world) (sdk.Sample, time.Duration) {
		if len(w.off()) > 0 {
			last = time.Now()
		}
		if !last.IsZero() && time.Since(last) < takes {
			return sdk.Bad("dark"), time.Millisecond
		}
		return sdk.Good(), time.Millisecond
	}
}

// guarded adds a guard on the lamps that are off.
func guarded(p *plan.Plan, atMost float64, bad, noData time.Duration) *plan.Plan {
	p.Guards = []plan.Guard{{
		Name: "dark", Probe: "lamp.all", Good: "sample.value <= most", For: bad, NoDataAfter: noData,
		Predicate: condition{text: "sample.value <= most", is: func(s *schema.Sample) bool { return s.Value <= atMost }},
	}}
	return p
}

func TestGuards(t *testing.T) {
	two := func() plan.Experiment {
		return experiment("x", off("a", 0, 8*time.Second, "a"), off("b", 2*time.Second, 4*time.Second, "b"))
	}
	for _, c := range []scene{
		{name: "trips at once", plan: guarded(planOf(two(), experiment("y")), 1, 0, 5*time.Second), want: judge.Aborted},
		{name: "trips after a while", plan: guarded(planOf(two()), 1, 2*time.Second, 5*time.Second), want: judge.Aborted},
		{name: "does not trip when it is short", plan: guarded(planOf(two()), 1, 5*time.Second, 5*time.Second), want: judge.Held},
		{
			name: "trips without data", plan: guarded(planOf(two()), 9, 0, 3*time.Second),
			setup: func(d *day) {
				d.sample = func(w *world) (sdk.Sample, time.Duration) {
					if len(w.off()) > 0 {
						return sdk.Missing("blind"), time.Millisecond
					}
					return tolerant(w)
				}
			}, want: judge.Aborted,
		},
		{
			name: "trips in the baseline", plan: guarded(planOf(two()), -1, 0, 3*time.Second),
			want: judge.NotStarted,
		},
		{
			name: "trips after the fault", plan: guarded(planOf(experiment("x", off("a", 0, 3*time.Second, "a"))), 9, 0, 3*time.Second),
			setup: func(d *day) {
				d.sample = func(w *world) (sdk.Sample, time.Duration) {
					if s := time.Since(w.start); s > 8*time.Second {
						return sdk.Good().WithValue(10), time.Millisecond
					}
					return tolerant(w)
				}
			}, want: judge.Aborted,
		},
		{name: "trips in a check", plan: guarded(planOf(experiment("x")), -1, 0, 3*time.Second), want: judge.Aborted},
	} {
		c.play(t)
	}
}

// TestAborts stops a run in every phase of it.
func TestAborts(t *testing.T) {
	full := func() *plan.Plan {
		return planOf(experiment("x", off("a", 0, 4*time.Second, "a"), note("n", time.Second)), experiment("y"))
	}
	stop := func(at time.Duration) func(*day) {
		return func(d *day) { d.world.after(at, func() { d.abort(errOperator) }) }
	}
	for _, c := range []scene{
		{name: "before it begins", plan: full(), setup: func(d *day) { d.abort(errOperator) }, want: judge.Aborted},
		{name: "in the baseline", plan: full(), setup: stop(time.Second), want: judge.Aborted},
		{
			name: "while it prepares", plan: full(),
			setup: func(d *day) {
				stop(3 * time.Second)(d)
				d.prepare = func(ctx context.Context, _ string) error { return pass(ctx, 10*time.Second) }
			}, want: judge.Aborted,
		},
		{
			name: "while the intent is written", plan: full(),
			setup: func(d *day) {
				d.diary.onSync = func() error {
					if time.Since(d.world.start) > 2*time.Second && time.Since(d.world.start) < 3*time.Second {
						d.abort(errOperator)
						return pass(context.Background(), 2*time.Second)
					}
					return nil
				}
			}, want: judge.Aborted,
		},
		{
			name: "while it injects", plan: full(),
			setup: func(d *day) {
				stop(3 * time.Second)(d)
				d.inject = func(ctx context.Context, _ string) error { return pass(ctx, 20*time.Second) }
			}, want: judge.Aborted,
		},
		{name: "during the fault", plan: full(), setup: stop(4 * time.Second), want: judge.Aborted},
		{
			name: "during an action", plan: full(),
			setup: func(d *day) {
				stop(4 * time.Second)(d)
				d.act = func(ctx context.Context) error { return pass(ctx, 20*time.Second) }
			}, want: judge.Aborted,
		},
		{
			name: "while it reverts", plan: full(),
			setup: func(d *day) {
				stop(6500 * time.Millisecond)(d)
				d.revert = func(ctx context.Context, _ string) error { return pass(ctx, time.Second) }
			}, want: judge.Aborted,
		},
		{name: "after the fault", plan: full(), setup: stop(8 * time.Second), want: judge.Aborted},
		{name: "in a check", plan: planOf(experiment("y")), setup: stop(2 * time.Second), want: judge.Aborted},
		{
			name: "when all is over it changes nothing", plan: planOf(experiment("x", off("a", 0, 4*time.Second, "a"))),
			setup: func(d *day) {
				scans := 0
				d.scan = func() []sdk.Residue {
					if scans++; scans == 2 {
						d.abort(errOperator)
						_ = pass(context.Background(), time.Second)
					}
					return nil
				}
			}, want: judge.Held,
		},
	} {
		c.play(t)
	}
}

func TestTargets(t *testing.T) {
	for _, c := range []scene{
		{
			name: "all gone before", plan: planOf(experiment("x", off("a", 0, 4*time.Second, "a"))),
			setup: func(d *day) { d.with("a", func(l *lamp) { l.gone = true }) }, want: judge.NotExercised,
		},
		{
			name: "one gone before", plan: planOf(experiment("x", off("a", 0, 4*time.Second, "a", "b"))),
			setup: func(d *day) { d.with("a", func(l *lamp) { l.gone = true }) }, want: judge.Held,
		},
		{
			name: "one goes between prepare and inject", plan: planOf(experiment("x", off("a", 0, 4*time.Second, "a", "b"))),
			setup: func(d *day) {
				d.inject = func(context.Context, string) error { d.with("a", func(l *lamp) { l.gone = true }); return nil }
			}, want: judge.Held,
		},
		{
			name: "all go between prepare and inject", plan: planOf(experiment("x", off("a", 0, 4*time.Second, "a"))),
			setup: func(d *day) {
				d.inject = func(context.Context, string) error { d.with("a", func(l *lamp) { l.gone = true }); return nil }
			}, want: judge.NotExercised,
		},
		{
			name: "it comes back by itself", plan: planOf(experiment("x", off("a", 0, 20*time.Second, "a"))),
			setup: func(d *day) {
				d.world.after(6*time.Second, func() { d.with("a", func(l *lamp) { l.off = false }) })
			}, want: judge.Held,
		},
		{
			name: "one of two comes back by itself", plan: planOf(experiment("x", off("a", 0, 5*time.Second, "a", "b"))),
			setup: func(d *day) {
				d.world.after(4*time.Second, func() { d.with("a", func(l *lamp) { l.off = false }) })
			}, want: judge.Held,
		},
		{
			name: "limits hold at the moment of injection",
			plan: limited(planOf(experiment("x", off("a", 0, 2*time.Second, "a"), off("b", 5*time.Second, 2*time.Second, "b"))), 1),
			setup: func(d *day) { // the revert of a takes longer than was planned
				d.revert = func(ctx context.Context, id string) error { return pass(ctx, 6*time.Second) }
			}, want: judge.Errored,
		},
		{
			name: "limits count what is just being prepared",
			plan: limited(planOf(experiment("x", off("a", 0, 2*time.Second, "a"), off("b", 0, 2*time.Second, "b"))), 1),
			want: judge.Errored,
		},
		{
			name: "zones are kept at the moment of injection",
			plan: zoned(planOf(experiment("x", off("a", 0, 2*time.Second, "a"), off("b", 5*time.Second, 2*time.Second, "b"))), 1),
			setup: func(d *day) {
				d.revert = func(ctx context.Context, id string) error { return pass(ctx, 6*time.Second) }
			}, want: judge.Errored,
		},
		{
			name: "another run holds what the fault occupies",
			plan: planOf(experiment("x", off("a", 0, 2*time.Second, "a"))),
			setup: func(d *day) {
				d.options.Lock = func(r []string) (func(), error) { return nil, errors.New("run r0 holds " + r[0]) }
			}, want: judge.Errored,
		},
	} {
		c.play(t)
	}
}

func limited(p *plan.Plan, most int) *plan.Plan {
	p.Limits.MaxTargets = most
	return p
}

// zoned has the lamps a and b in a zone of their own.
func zoned(p *plan.Plan, keep int) *plan.Plan {
	p.Limits.KeepPerZone = keep
	for i := range p.Experiments {
		for j := range p.Experiments[i].Steps {
			p.Experiments[i].Steps[j].ZoneOf = map[string]string{"a": "north", "b": "north", "c": "south"}
		}
	}
	return p
}

func TestResidueBeforeRefuses(t *testing.T) {
	play(t, planOf(experiment("x", off("a", 0, time.Second, "a"))), func(d *day) {
		d.scan = func() []sdk.Residue { return []sdk.Residue{{Target: "lamp b", Kind: "marked", Detail: "it is off"}} }
	}, func(t *testing.T, d *day) {
		if !errors.Is(d.err, run.ErrResidue) {
			t.Errorf("the run was not refused: %v", d.err)
		}
		if d.lamps["a"].wasOff {
			t.Error("something was injected all the same")
		}
		golden(t, d)
	})
}

func TestMissingPluginIsRefused(t *testing.T) {
	p := planOf(experiment("x", off("a", 0, time.Second, "a")))
	p.Probes[0].Plugin = "http"
	play(t, p, nil, func(t *testing.T, d *day) {
		if d.err == nil || d.err.Error() != "plugin http, which probe lamp.all needs, was not started" {
			t.Errorf("got %v", d.err)
		}
		if len(d.diary.all()) > 0 {
			t.Error("something was recorded")
		}
	})
}
