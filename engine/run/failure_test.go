package run_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/engine/plan"
	"github.com/faultline-go/faultline/sdk"
)

// TestPluginDies kills the plugin in every phase of a run.
func TestPluginDies(t *testing.T) {
	full := func() *plan.Plan {
		return planOf(experiment("x", off("a", 0, 4*time.Second, "a"), note("n", time.Second)), experiment("y"))
	}
	die := func(at time.Duration) func(*day) {
		return func(d *day) { d.world.after(at, d.process.dies) }
	}
	for _, c := range []scene{
		{name: "before it begins, and is started anew to scan", plan: full(), setup: func(d *day) { d.process.dies() }, want: judge.Held},
		{name: "in the baseline", plan: full(), setup: die(time.Second), want: judge.Errored},
		{
			name: "while it prepares", plan: full(),
			setup: func(d *day) {
				die(3 * time.Second)(d)
				d.prepare = func(ctx context.Context, _ string) error { return pass(ctx, 10*time.Second) }
			}, want: judge.Errored,
		},
		{
			name: "while it injects", plan: full(),
			setup: func(d *day) {
				die(3 * time.Second)(d)
				d.inject = func(ctx context.Context, _ string) error { return pass(ctx, 20*time.Second) }
			}, want: judge.Errored,
		},
		{name: "during the fault", plan: full(), setup: die(4 * time.Second), want: judge.Errored},
		{
			name: "while it reverts", plan: full(),
			setup: func(d *day) {
				die(6500 * time.Millisecond)(d)
				d.revert = func(ctx context.Context, _ string) error {
					if time.Since(d.world.start) < 6500*time.Millisecond {
						return pass(ctx, 10*time.Second)
					}
					return nil
				}
			}, want: judge.Errored,
		},
		{name: "after the fault", plan: full(), setup: die(8 * time.Second), want: judge.Errored},
		{
			name: "and cannot be started for a while", plan: full(),
			setup: func(d *day) {
				die(4 * time.Second)(d)
				d.restart = func() error {
					if time.Since(d.world.start) < 10*time.Second {
						return errors.New("no memory")
					}
					return nil
				}
			}, want: judge.Errored,
		},
		{
			name: "and can never be started again", plan: full(),
			setup: func(d *day) {
				die(4 * time.Second)(d)
				d.restart = func() error { return errors.New("no memory") }
			}, want: judge.Residue, off: []string{"a"},
		},
		{
			name: "twice", plan: full(),
			setup: func(d *day) {
				die(4 * time.Second)(d)
				d.revert = func(ctx context.Context, _ string) error {
					if len(d.processes) == 2 {
						d.processes[1].dies()
					}
					return nil
				}
			}, want: judge.Errored,
		},
	} {
		c.play(t)
	}
}

func TestInjections(t *testing.T) {
	for _, c := range []scene{
		{
			name: "one of three fails", plan: planOf(experiment("x", off("a", 0, 4*time.Second, "a", "b", "c")), experiment("y")),
			setup: func(d *day) {
				d.inject = func(_ context.Context, id string) error {
					if id == "b" {
						return errors.New("it is glued")
					}
					return nil
				}
			}, want: judge.Errored,
		},
		{
			name: "no answer", plan: planOf(experiment("x", off("a", 0, 4*time.Second, "a"))),
			setup: func(d *day) {
				d.inject = func(_ context.Context, id string) error { return pass(context.Background(), 40*time.Second) }
			}, want: judge.Errored,
		},
		{
			name: "a failed one takes effect later", plan: planOf(experiment("x", off("a", 0, 4*time.Second, "a"))),
			setup: func(d *day) {
				d.inject = func(context.Context, string) error {
					d.world.after(time.Since(d.world.start)+1200*time.Millisecond, func() {
						d.with("a", func(l *lamp) { l.off, l.wasOff = true, true })
						d.world.say("    a off, late")
					})
					return errors.New("no answer from the switch")
				}
			}, want: judge.Errored,
		},
		{
			name: "a slow one stays inside its lease's hard end",
			plan: planOf(experiment("x", off("a", 0, 5*time.Second, "a", "b"))),
			setup: func(d *day) {
				d.inject = func(ctx context.Context, id string) error {
					if id == "b" {
						return pass(ctx, 5*time.Second)
					}
					return nil
				}
			}, want: judge.Held,
		},
		{
			name: "cannot be prepared", plan: planOf(experiment("x", off("a", 0, 4*time.Second, "a", "b"))),
			setup: func(d *day) { d.prepare = func(context.Context, string) error { return errors.New("no ladder") } },
			want:  judge.Errored,
		},
		{
			name: "fails while another is on", plan: planOf(experiment("x", off("a", 0, 8*time.Second, "a"), off("b", 3*time.Second, 2*time.Second, "b"))),
			setup: func(d *day) {
				d.inject = func(_ context.Context, id string) error {
					if id == "b" {
						return errors.New("it is glued")
					}
					return nil
				}
			}, want: judge.Errored,
		},
	} {
		c.play(t)
	}
}

func TestReverts(t *testing.T) {
	failing := func(id string, times int) func(*day) {
		return func(d *day) {
			left := times
			d.revert = func(_ context.Context, x string) error {
				if x == id && left != 0 {
					left--
					return errors.New("the switch is stuck")
				}
				return nil
			}
		}
	}
	two := func() *plan.Plan {
		return planOf(experiment("x", off("a", 0, 4*time.Second, "a", "b"), off("c", 200*time.Millisecond, 4*time.Second, "c")), experiment("y"))
	}
	for _, c := range []scene{
		{name: "fails three times", plan: two(), setup: failing("a", 3), want: judge.Held},
		{name: "fails for ever", plan: two(), setup: failing("a", -1), want: judge.Residue, off: []string{"a"}},
		{
			name: "hangs once", plan: two(),
			setup: func(d *day) {
				hung := false
				d.revert = func(ctx context.Context, id string) error {
					if id == "a" && !hung {
						hung = true
						return pass(ctx, time.Hour)
					}
					return nil
				}
			}, want: judge.Held,
		},
		{
			name: "the scan finds what a revert has overlooked",
			plan: planOf(experiment("x", off("a", 0, 4*time.Second, "a"))),
			setup: func(d *day) {
				d.world.after(10*time.Second, func() { d.with("a", func(l *lamp) { l.off = true }) })
			}, want: judge.Residue, off: []string{"a"},
		},
	} {
		c.play(t)
	}
}

func TestLeases(t *testing.T) {
	day1 := func() *plan.Plan {
		return planOf(experiment("x", off("a", 0, 20*time.Second, "a")), experiment("y"))
	}
	for _, c := range []scene{
		{name: "are renewed", plan: day1(), want: judge.Held},
		{
			name: "session broken", plan: day1(),
			setup: func(d *day) { d.world.after(5*time.Second, d.process.breakSessions) }, want: judge.Errored,
		},
		{
			name: "the plugin hangs", plan: day1(),
			setup: func(d *day) {
				d.world.after(5*time.Second, func() {
					goOn := d.process.hangs()
					d.world.after(30*time.Second, goOn)
				})
			}, want: judge.Errored,
		},
		{
			name: "acknowledgements get lost", plan: day1(),
			setup: func(d *day) {
				d.world.after(5*time.Second, func() {
					d.process.mu.Lock()
					defer d.process.mu.Unlock()
					d.process.deafness = true
				})
			}, want: judge.Errored,
		},
		{
			name: "the owner hangs", plan: day1(),
			setup: func(d *day) {
				hung := false
				d.options.Watch = func(e journal.Event) {
					if _, ok := e.Data.(*journal.Samples); ok && !hung && time.Since(d.world.start) > 5*time.Second {
						hung = true
						_ = pass(context.Background(), 15*time.Second)
					}
				}
			}, want: judge.Errored,
		},
		{
			name: "the plugin's own revert is told by its outcome file", plan: day1(),
			setup: func(d *day) {
				d.keepsOutcomes()
				d.world.after(5*time.Second, d.process.breakSessions)
			}, want: judge.Errored,
		},
		{
			name: "the session is never opened", plan: day1(),
			setup: func(d *day) {
				d.process.hangs()
			}, want: judge.Errored,
		},
	} {
		c.play(t)
	}
}

func TestProbes(t *testing.T) {
	for _, c := range []scene{
		{
			name: "one that stalls is missing data, not good data",
			plan: planOf(experiment("x", off("a", 0, 5*time.Second, "a"))),
			setup: func(d *day) {
				d.options.Plugins["lamp"] = stalling{d.process, d.world.start.Add(5 * time.Second)}
			}, want: judge.Inconclusive,
		},
		{
			name: "one that fails", plan: planOf(experiment("x", off("a", 0, 5*time.Second, "a")), experiment("y")),
			setup: func(d *day) {
				d.options.Plugins["lamp"] = failing{d.process, d.world.start.Add(4 * time.Second)}
			}, want: judge.Errored,
		},
	} {
		c.play(t)
	}
}

// TestJournalFails breaks the journal at every place of a run. Nothing is injected
// without a record, and whatever is on is put back.
func TestJournalFails(t *testing.T) {
	full := syscall.ENOSPC
	one := func() *plan.Plan { return planOf(experiment("x", off("a", 0, 5*time.Second, "a")), experiment("y")) }
	for _, c := range []struct {
		name    string
		setup   func(*day)
		touched bool
	}{
		{name: "at the start", setup: func(d *day) { d.diary.onAppend = func(journal.Data) error { return full } }},
		{name: "at the intent", setup: func(d *day) {
			d.diary.onAppend = func(x journal.Data) error {
				if _, ok := x.(*journal.FaultIntent); ok {
					return full
				}
				return nil
			}
		}},
		{name: "at the sync of the intent", setup: func(d *day) {
			d.diary.onSync = func() error {
				if time.Since(d.world.start) > time.Second {
					return full
				}
				return nil
			}
		}},
		{name: "at the reserve", setup: func(d *day) { d.diary.onReserve = func(int64) error { return full } }},
		{name: "at the samples during the fault", touched: true, setup: func(d *day) {
			d.diary.onAppend = func(x journal.Data) error {
				if _, ok := x.(*journal.Samples); ok && time.Since(d.world.start) > 4*time.Second {
					return full
				}
				return nil
			}
		}},
		{name: "for good during the fault", touched: true, setup: func(d *day) {
			d.diary.onAppend = func(journal.Data) error {
				if time.Since(d.world.start) > 4*time.Second {
					return full
				}
				return nil
			}
		}},
		{name: "at the sync of the revert", touched: true, setup: func(d *day) {
			d.diary.onSync = func() error {
				if time.Since(d.world.start) > 6*time.Second {
					return full
				}
				return nil
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, one(), c.setup, func(t *testing.T, d *day) {
				if !errors.Is(d.err, full) {
					t.Errorf("the run returned %v", d.err)
				}
				if d.lamps["a"].wasOff != c.touched {
					t.Errorf("injected: %v", d.lamps["a"].wasOff)
				}
				if len(d.off()) > 0 {
					t.Error("it was not put back")
				}
				for _, e := range d.diary.all() {
					if x, ok := e.Data.(*journal.RunEnded); ok && (x.Residue > 0 || x.ExitCode != judge.ExitErrored) {
						t.Errorf("the run ended %+v", x)
					}
				}
				golden(t, d)
			})
		})
	}
}

// stalling is a plugin whose probe says nothing any more from a time on.
type stalling struct {
	*process
	from time.Time
}

func (s stalling) Probe(ctx context.Context, q probeRequest, take func(batch) error) error {
	return s.process.Probe(ctx, q, func(b batch) error {
		if time.Now().After(s.from) {
			return nil
		}
		return take(b)
	})
}

// failing is a plugin whose probe ends with an error.
type failing struct {
	*process
	from time.Time
}

func (s failing) Probe(ctx context.Context, q probeRequest, take func(batch) error) error {
	return s.process.Probe(ctx, q, func(b batch) error {
		if time.Now().After(s.from) {
			return errors.New("the eye is shut")
		}
		return take(b)
	})
}

// TestSamplesAreWhole makes sure that what ends a phase leaves out no sample for being
// slow: a journal that had only the fast ones would tell a better story.
func TestSamplesAreWhole(t *testing.T) {
	p := planOf(experiment("x", off("a", 0, 5*time.Second, "a")))
	play(t, p, func(d *day) {
		n := 0
		d.sample = func(w *world) (sdk.Sample, time.Duration) {
			if n++; n%10 == 0 {
				return sdk.Bad("slow"), 700 * time.Millisecond
			}
			return sdk.Good(), time.Millisecond
		}
		d.world.after(5*time.Second, func() { d.abort(errOperator) })
	}, func(t *testing.T, d *day) {
		var times []time.Time
		for _, e := range d.diary.all() {
			if s, ok := e.Data.(*journal.Samples); ok {
				for _, o := range s.Offset {
					times = append(times, s.Start.Add(time.Duration(o)*time.Microsecond))
				}
			}
		}
		for i, at := range times {
			if i > 0 && at.Sub(times[i-1]) != interval {
				t.Fatalf("sample %d is %s after the one before", i, at.Sub(times[i-1]))
			}
		}
		if len(times) < 100 {
			t.Errorf("only %d samples", len(times))
		}
	})
}

var seeds = flag.Int("seeds", 100, "how many days of random trouble to play")

// TestRandomTrouble plays many days with trouble of all kinds at random times, and
// checks the invariants: a failing seed is printed and can be played alone.
func TestRandomTrouble(t *testing.T) {
	n := *seeds
	if testing.Short() {
		n = 20
	}
	for seed := range n {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) { troubled(t, uint64(seed)) })
	}
}

func verdicts(r *judge.Result) string {
	var out []string
	for _, e := range r.Experiments {
		out = append(out, e.Name+":"+string(e.Verdict))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// TestUnguarded: what nobody would put back if the engine died is not broken.
func TestUnguarded(t *testing.T) {
	play(t, planOf(experiment("x", off("a", 0, 5*time.Second, "a"))), func(d *day) {
		d.options.Guarded = func(context.Context) (string, error) { return "", errors.New("nobody watches") }
	}, func(t *testing.T, d *day) {
		if d.result.Verdict != judge.Errored {
			t.Errorf("the verdict is %s, want %s", d.result.Verdict, judge.Errored)
		}
		d.world.with("a", func(l *lamp) {
			if l.wasOff {
				t.Error("the lamp was switched off")
			}
		})
		if !strings.Contains(d.world.trace(), "nobody watches") {
			t.Error("the journal does not say why")
		}
	})
}
