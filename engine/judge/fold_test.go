package judge

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
)

var update = flag.Bool("update", false, "write the golden files")

// story is a journal written by hand: every call adds what happened next.
type story struct {
	now    time.Time
	seq    int64
	events []journal.Event
}

func newStory(experiments ...journal.ExperimentSpec) *story {
	s := &story{now: day}
	s.add(&journal.RunStarted{Run: "20261102T090000-a1b2", Scenario: journal.Scenario{Name: "checkout", Title: "Checkout game day"},
		Seed: 42, PlanHash: "cafe", Engine: journal.Engine{Version: "0.1.0"},
		Plugins: []journal.PluginUsed{{Name: "docker", Version: "0.1.0"}}, Experiments: experiments})
	return s
}

func (s *story) add(data ...journal.Data) *story {
	for _, d := range data {
		s.seq++
		s.events = append(s.events, journal.Event{Seq: s.seq, Time: s.now, Epoch: 1, Data: d})
	}
	return s
}

func (s *story) wait(d time.Duration) *story { s.now = s.now.Add(d); return s }

// probe lets the probe send at 100 a second for so long; every one of nth samples
// is bad, none when it is 0. The batch comes when the time is over.
func (s *story) probe(length time.Duration, nth int) *story {
	b := &journal.Samples{Probe: "http.checkout", Start: s.now, Good: map[string]string{}}
	var status, good strings.Builder
	for i := range int(length / (10 * time.Millisecond)) {
		b.Offset = append(b.Offset, int64(i)*10_000)
		b.Latency = append(b.Latency, 20_000+int64(i%50)*1000)
		if nth > 0 && i%nth == 0 {
			status.WriteByte(journal.StatusFailed)
			good.WriteByte(journal.GoodNo)
			b.Errors = map[string]int{"connection refused": i/nth + 1}
			continue
		}
		status.WriteByte(journal.StatusOK)
		good.WriteByte(journal.GoodYes)
	}
	b.Status, b.Good["checkout.available"] = status.String(), good.String()
	return s.wait(length).add(b)
}

// gaps makes every nth sample of the last batch missing.
func (s *story) gaps(nth int) *story {
	b := s.events[len(s.events)-1].Data.(*journal.Samples)
	status, good := []byte(b.Status), []byte(b.Good["checkout.available"])
	for i := 0; i < len(status); i += nth {
		status[i], good[i], b.Latency[i] = journal.StatusMissing, journal.GoodMissing, -1
	}
	b.Status, b.Good["checkout.available"] = string(status), string(good)
	b.Errors = map[string]int{"could not send in time": (len(status) + nth - 1) / nth}
	return s
}

func (s *story) phase(p journal.Phase) *story {
	return s.add(&journal.PhaseStarted{Experiment: "lose-one-web", Phase: p})
}

func (s *story) start() *story {
	return s.add(&journal.ExperimentStarted{Experiment: "lose-one-web"}).phase(journal.Baseline).probe(5*time.Second, 0)
}

func (s *story) intent() *story {
	return s.add(&journal.FaultIntent{ID: "f1", Experiment: "lose-one-web", Fault: "docker_kill.web", Type: "docker_kill", Plugin: "docker", Hold: "journal",
		Targets: []journal.TargetIntent{{ID: "c1", Name: "web1", Kind: "docker_container"}}}).phase(journal.During)
}

func (s *story) kill(bites bool) *story {
	s.intent().wait(100 * time.Millisecond).add(&journal.FaultActive{ID: "f1", Targets: []journal.TargetState{{ID: "c1", OK: true, At: s.now}}})
	s.wait(50 * time.Millisecond)
	detail := "exited with 137"
	if !bites {
		detail = "still running"
	}
	return s.add(&journal.FaultObserved{ID: "f1", Effects: []journal.Effect{{Target: "c1", Bites: bites, Detail: detail, At: s.now,
		Measures: map[string]float64{"exit_code": 137}}}})
}

func (s *story) revert(cause string, o journal.Outcome) *story {
	out := journal.TargetOutcome{ID: "c1", Outcome: o, By: "engine", Proof: "running again", At: s.now}
	if o == journal.RevertFailed {
		out.Error, out.Residue = "no such image", true
	}
	return s.add(&journal.FaultReverted{ID: "f1", Cause: cause, Targets: []journal.TargetOutcome{out}})
}

func (s *story) ended(e journal.Ending, reason string) *story {
	return s.add(&journal.ExperimentEnded{Experiment: "lose-one-web", Ending: e, Reason: reason})
}

func (s *story) finish() *story {
	return s.add(&journal.Residue{When: "after"}, &journal.RunEnded{By: "engine"})
}

func loseOneWeb() journal.ExperimentSpec {
	return journal.ExperimentSpec{
		Name: "lose-one-web", Hypothesis: "customers notice nothing", Expect: journal.Tolerate,
		Baseline: 5 * time.Second, Planned: 20 * time.Second, Observe: 20 * time.Second, RecoverWithin: 10 * time.Second,
		Objectives: []journal.ObjectiveSpec{{Name: "checkout.available", Probe: "http.checkout", Good: "sample.ok",
			Target: 0.99, DuringTarget: 0.95, MinSamples: 30, Judge: "exact", Rate: 100}},
		Faults: []journal.FaultSpec{{Name: "docker_kill.web", Type: "docker_kill", Targets: []string{"web1"}, Duration: 20 * time.Second}},
	}
}

// usual is the way of a run through baseline, fault and after, with every nth
// sample bad in them.
func usual(spec journal.ExperimentSpec, during, after int) *story {
	return newStory(spec).start().kill(true).probe(20*time.Second, during).
		revert("duration", journal.Reverted).phase(journal.After).probe(20*time.Second, after).ended(journal.Completed, "").finish()
}

var stories = map[string]func() *story{
	"held":               func() *story { return usual(loseOneWeb(), 0, 0) },
	"broken-during":      func() *story { return usual(loseOneWeb(), 3, 0) },
	"broken-after":       func() *story { return usual(loseOneWeb(), 0, 2) },
	"inconclusive-close": func() *story { return usual(loseOneWeb(), 0, 90) },
	"recover-held":       func() *story { s := loseOneWeb(); s.Expect = journal.Recover; return usual(s, 1, 0) },
	"recover-never":      func() *story { s := loseOneWeb(); s.Expect = journal.Recover; return usual(s, 1, 2) },
	"recover-not-long-enough": func() *story {
		s := loseOneWeb()
		s.Expect, s.RecoverWithin = journal.Recover, time.Minute
		return usual(s, 1, 2)
	},
	"recover-late": func() *story {
		s := loseOneWeb()
		s.Expect = journal.Recover
		return newStory(s).start().kill(true).probe(20*time.Second, 1).revert("duration", journal.Reverted).phase(journal.After).
			probe(12*time.Second, 2).probe(20*time.Second, 0).ended(journal.Completed, "").finish()
	},
	"recovered-while-on": func() *story {
		return newStory(loseOneWeb()).start().kill(true).add(&journal.Mark{What: "detected", By: "ada"}).probe(2*time.Second, 2).probe(58*time.Second, 0).
			revert("target", journal.AlreadyGone).phase(journal.After).probe(20*time.Second, 0).ended(journal.Completed, "").finish()
	},
	"mitigated": func() *story {
		return newStory(loseOneWeb()).start().kill(true).probe(time.Second, 2).add(&journal.Mark{What: "detected", By: "ada"}).probe(time.Second, 2).
			add(&journal.Mark{What: "mitigated", By: "bob"}).probe(58*time.Second, 0).
			revert("target", journal.AlreadyGone).phase(journal.After).probe(20*time.Second, 0).ended(journal.Completed, "").finish()
	},
	"not-exercised": func() *story {
		return newStory(loseOneWeb()).start().kill(false).probe(20*time.Second, 0).revert("duration", journal.Reverted).
			phase(journal.After).probe(20*time.Second, 0).ended(journal.Completed, "").finish()
	},
	"no-targets": func() *story {
		return newStory(loseOneWeb()).add(&journal.ExperimentStarted{Experiment: "lose-one-web"}).ended(journal.NoTargets, "").finish()
	},
	"not-started": func() *story {
		return newStory(loseOneWeb()).add(&journal.ExperimentStarted{Experiment: "lose-one-web"}).phase(journal.Baseline).probe(5*time.Second, 2).
			ended(journal.BaselineFailed, "checkout.available is broken before any fault").finish()
	},
	"missing-data": func() *story {
		s := newStory(loseOneWeb()).start().kill(true).probe(10*time.Second, 0)
		b := &journal.Samples{Probe: "http.checkout", Start: s.now, Errors: map[string]int{"could not send in time": 100}}
		for i := range 100 {
			b.Offset, b.Latency, b.Status = append(b.Offset, int64(i)*100_000), append(b.Latency, -1), b.Status+"m"
		}
		return s.wait(10*time.Second).add(b).revert("duration", journal.Reverted).phase(journal.After).probe(20*time.Second, 0).
			ended(journal.Completed, "").finish()
	},
	"missing-after": func() *story {
		return newStory(loseOneWeb()).start().kill(true).probe(20*time.Second, 0).revert("duration", journal.Reverted).phase(journal.After).
			probe(20*time.Second, 0).gaps(10).ended(journal.Completed, "").finish()
	},
	"no-after": func() *story {
		return newStory(loseOneWeb()).start().kill(true).probe(20*time.Second, 0).revert("duration", journal.Reverted).ended(journal.Completed, "").finish()
	},
	"stopped-early": func() *story {
		return newStory(loseOneWeb()).start().kill(true).probe(3*time.Second, 2).
			add(&journal.EarlyStop{Experiment: "lose-one-web", Objective: "checkout.available", E: 1e9, Samples: 300, Bad: 150, Critical: 124, Rule: "E = 1e9 reached 100"}).
			revert("early_stop", journal.Reverted).phase(journal.After).probe(20*time.Second, 0).ended(journal.StoppedEarly, "").finish()
	},
	"aborted": func() *story {
		return newStory(loseOneWeb()).start().kill(true).probe(5*time.Second, 0).
			add(&journal.GuardTripped{Guard: "payments", Experiment: "lose-one-web", Reason: "value 0.3"}, &journal.Aborted{Cause: "guard", Reason: "payments"}).
			revert("abort", journal.Reverted).ended(journal.EndedAborted, "guard payments: value 0.3").finish()
	},
	"broken-then-aborted": func() *story {
		return newStory(loseOneWeb()).start().kill(true).probe(10*time.Second, 2).
			add(&journal.Aborted{Cause: "operator", Reason: "interrupt"}).
			revert("abort", journal.Reverted).ended(journal.EndedAborted, "").finish()
	},
	"aborted-with-residue": func() *story {
		return newStory(loseOneWeb()).start().kill(true).probe(10*time.Second, 2).add(&journal.Aborted{Cause: "operator", Reason: "interrupt"}).
			revert("abort", journal.RevertFailed).ended(journal.EndedAborted, "").
			add(&journal.Residue{When: "after", Findings: []journal.Finding{{Plugin: "docker", Fault: "f1", Target: "c1", Kind: "still_matches_undo", Detail: "still stopped"}}},
				&journal.RunEnded{By: "engine"})
	},
	"residue-then-recovered": func() *story {
		return newStory(loseOneWeb()).start().kill(true).probe(20*time.Second, 0).
			revert("duration", journal.RevertFailed).phase(journal.After).probe(20*time.Second, 0).ended(journal.Completed, "").
			add(&journal.Residue{When: "after", Findings: []journal.Finding{{Plugin: "docker", Fault: "f1", Target: "c1", Detail: "still stopped"}}}, &journal.RunEnded{By: "engine"}).
			wait(time.Minute).add(&journal.Takeover{By: "recover", PID: 7, Why: "residue"}).revert("recover", journal.Reverted).add(&journal.RunEnded{By: "recover"})
	},
	"errored": func() *story {
		s := newStory(loseOneWeb()).start().intent().wait(time.Second)
		return s.add(&journal.FaultFailed{ID: "f1", Error: "permission denied", Targets: []journal.TargetState{{ID: "c1", Error: "permission denied", At: s.now}}}).
			revert("error", journal.AlreadyGone).ended(journal.EndedErrored, "docker_kill.web: permission denied").add(&journal.RunEnded{By: "engine"})
	},
	"errored-and-broken": func() *story {
		return usualUntilAfter().add(&journal.FaultAmbiguous{ID: "f1", Error: "no answer in 5s"}).probe(20*time.Second, 0).ended(journal.Completed, "").finish()
	},
	"run-errored": func() *story {
		s := usual(loseOneWeb(), 0, 0)
		s.events = s.events[:len(s.events)-1]
		return s.add(&journal.RunEnded{By: "engine", Error: "write the report: no space left on device"})
	},
	"unfinished": func() *story { return newStory(loseOneWeb()).start().kill(true).probe(5*time.Second, 3) },
	"finished-by-guardian": func() *story {
		return newStory(loseOneWeb()).start().kill(true).probe(5*time.Second, 0).wait(2*time.Second).
			add(&journal.Takeover{By: "guardian", PID: 8, Why: "the engine died"}).revert("recover", journal.Reverted).add(&journal.RunEnded{By: "guardian"})
	},
	"foreign-change": func() *story {
		s := usualUntilAfter()
		for _, e := range s.events {
			if r, ok := e.Data.(*journal.FaultReverted); ok {
				r.Targets[0].Outcome = journal.ForeignChange
			}
		}
		return s.probe(20*time.Second, 0).ended(journal.Completed, "").finish()
	},
	"check-held":   func() *story { return check(0) },
	"check-broken": func() *story { return check(5) },
	"second-not-run": func() *story {
		second := loseOneWeb()
		second.Name = "lose-the-store"
		s := newStory(loseOneWeb(), second).start().kill(true).probe(5*time.Second, 0).add(&journal.Aborted{Cause: "halt", Reason: "ada"}).
			revert("abort", journal.Reverted).ended(journal.EndedAborted, "")
		return s.add(&journal.ExperimentEnded{Experiment: "lose-the-store", Ending: journal.NotRun, Reason: "the run was stopped"}).finish()
	},
	"nothing": func() *story { return newStory().finish() },
}

func usualUntilAfter() *story {
	return newStory(loseOneWeb()).start().kill(true).probe(20*time.Second, 3).revert("duration", journal.Reverted).phase(journal.After)
}

func check(nth int) *story {
	s := loseOneWeb()
	s.Faults, s.Planned = nil, 0
	return newStory(s).start().phase(journal.During).probe(20*time.Second, nth).ended(journal.Completed, "").finish()
}

// digest is what a reader would look at first, as text.
func digest(r *Result) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("run %s, exit %d, lenient %d, unfinished %v, %.2f s", r.Verdict, r.Exit(false), r.Exit(true), r.Unfinished, r.Run.Duration)
	for _, x := range r.Reasons {
		line("  because %s: %s", x.Verdict, x.Text)
	}
	for _, e := range r.Experiments {
		line("%s %s, residue %v", e.Name, e.Verdict, e.Residue)
		for _, x := range e.Reasons {
			line("  because %s: %s", x.Verdict, x.Text)
		}
		for _, o := range e.Objectives {
			line("  %s %s: %s, judged %v, %d bad of %d, %d missing, expected %d, needed %d, D %.2f assumed %v%s%s%s (%s)", o.Phase, o.Objective, o.Verdict, o.Judged,
				o.Bad, o.N, o.Missing, o.Expected, o.Needed, o.D, o.DAssumed, float(", P", o.P), float(", E", o.E), float(", bound", o.BadHigh), o.Note)
		}
		for _, l := range e.Latencies {
			line("  %s latency of %d: p50 %g [%g, %g], p99 %v %g", l.Phase, l.N, l.Quantiles[0].Value, l.Quantiles[0].Low, l.Quantiles[0].High, l.Quantiles[2].Defined, l.Quantiles[2].Value)
		}
		for _, l := range e.Lost {
			line("  lost %d of %d, %d missing", l.Failed, l.Sent, l.Missing)
		}
		for _, f := range e.Faults {
			line("  fault %s %s, bites %v, %.2f s, %s %s", f.Name, f.State, f.Bites, f.Active, f.Cause, f.Error)
			for _, t := range f.Targets {
				line("    %s: %q %s by %s (%s) residue %v", t.Name, t.Effect, t.Outcome, t.By, t.Proof, t.Residue)
			}
		}
		t := e.Times
		for _, i := range []struct {
			name string
			at   Instant
		}{{"t0", t.Bites}, {"t1", t.Broke}, {"t2", t.Detected}, {"t4", t.Gone}, {"t5", t.Steady}} {
			if i.at.Seen {
				line("  %s %.2f to %.2f (%s)", i.name, i.at.From.Sub(day).Seconds(), i.at.To.Sub(day).Seconds(), i.at.Where)
			} else if i.at.Until != nil {
				line("  %s not seen until %.2f", i.name, i.at.Until.Sub(day).Seconds())
			}
		}
		line("  impact %+v, detect %+v, recover %+v %s", t.ToImpact, t.ToDetect, t.ToRecover, t.Recovered)
	}
	for _, l := range r.Residue {
		line("residue %s %s: %s → %s", l.Fault, l.Target, l.Why, l.Retry)
	}
	for _, w := range r.Warnings {
		line("warning %s: %s", w.Experiment, w.Text)
	}
	for _, p := range r.Probes {
		line("probe %s: %d, %d failed, %d missing, %d seconds, %v", p.Probe, p.Samples, p.Failed, p.Missing, len(p.Series.OK), p.Errors)
	}
	return b.String()
}

func float(name string, v *float64) string {
	if v == nil {
		return ""
	}
	return fmt.Sprintf("%s %.3g", name, *v)
}

func TestFoldStories(t *testing.T) {
	for name, tell := range stories {
		t.Run(name, func(t *testing.T) {
			r, err := FoldEvents(tell().events)
			if err != nil {
				t.Fatal(err)
			}
			got := digest(r)
			golden := filepath.Join("testdata", "fold", name+".golden")
			if *update {
				if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			raw, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			var back Result
			if err := json.Unmarshal(raw, &back); err != nil {
				t.Fatal(err)
			}
			if again, err := json.Marshal(&back); err != nil || !bytes.Equal(raw, again) {
				t.Errorf("the result does not survive JSON: %v", err)
			}
		})
	}
}

// The order in which batches come, and how they are cut, changes nothing.
func TestFoldDoesNotDependOnBatches(t *testing.T) {
	for _, name := range []string{"broken-during", "recover-late", "aborted", "recovered-while-on"} {
		events := stories[name]().events
		want, err := FoldEvents(events)
		if err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(9, 9))
		f := NewFolder()
		for _, e := range events {
			s, ok := e.Data.(*journal.Samples)
			if !ok {
				f.Add(e)
				continue
			}
			for _, i := range rng.Perm(len(s.Offset)) {
				one := &journal.Samples{Probe: s.Probe, Start: s.Start, Offset: s.Offset[i : i+1], Status: s.Status[i : i+1], Latency: s.Latency[i : i+1], Good: map[string]string{}}
				for o, letters := range s.Good {
					one.Good[o] = letters[i : i+1]
				}
				if i == len(s.Offset)-1 {
					one.Errors = s.Errors
				}
				f.Add(journal.Event{Time: e.Time, Data: one})
			}
			f.Result() // looking on the way changes nothing either
		}
		if got := digest(f.Result()); got != digest(want) {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, digest(want))
		}
	}
}

func TestFoldRefusesAJournalWithoutItsBeginning(t *testing.T) {
	if _, err := FoldEvents(nil); err == nil {
		t.Error("no events give a result")
	}
	broken := fmt.Errorf("line 7 is changed")
	_, err := Fold(func(yield func(journal.Event, error) bool) { yield(journal.Event{}, broken) })
	if err == nil || !strings.Contains(err.Error(), "line 7") {
		t.Errorf("error %v, want the reader's", err)
	}
}

func TestProgress(t *testing.T) {
	f := NewFolder()
	s := newStory(loseOneWeb()).start().kill(true).probe(10*time.Second, 4)
	for _, e := range s.events {
		f.Add(e)
	}
	p := f.Progress()
	if p.Experiment != "lose-one-web" || p.Phase != journal.During || p.Planned != 20*time.Second || p.Done != 0 || p.Of != 1 {
		t.Errorf("progress %+v", p)
	}
	if len(p.Objectives) != 1 || p.Objectives[0] != (ObjectiveProgress{"checkout.available", 0.95, 1000, 250, 0}) {
		t.Errorf("objectives %+v", p.Objectives)
	}
	if len(p.Faults) != 1 || p.Faults[0].Name != "docker_kill.web" || p.Faults[0].Targets[0] != "web1" {
		t.Errorf("faults %+v", p.Faults)
	}
	s.events = nil
	s.revert("duration", journal.Reverted).ended(journal.Completed, "")
	for _, e := range s.events {
		f.Add(e)
	}
	if p := f.Progress(); p.Phase != "" || len(p.Faults) != 0 || p.Done != 1 {
		t.Errorf("progress at the end %+v", p)
	}
}

// FuzzFold plays the events of the stories in an order, with gaps, copies and
// changed times that the fuzzer chooses.
func FuzzFold(f *testing.F) {
	var all []journal.Event
	for _, name := range []string{"broken-then-aborted", "residue-then-recovered", "stopped-early", "errored", "second-not-run", "missing-data", "recovered-while-on"} {
		all = append(all, stories[name]().events...)
	}
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9})
	f.Add([]byte{9, 200, 7, 6, 255, 4, 3, 2, 1, 0, 0, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		folder := NewFolder()
		for i, b := range script {
			e := all[int(b)%len(all)]
			if i%3 == 2 {
				e.Time = e.Time.Add(time.Duration(int(b)-128) * time.Second)
			}
			folder.Add(e)
			folder.Progress()
		}
		r := folder.Result()
		if _, err := json.Marshal(r); err != nil {
			t.Fatal(err)
		}
		for _, e := range r.Experiments {
			if len(e.Reasons) == 0 {
				t.Errorf("%s is %s without a reason", e.Name, e.Verdict)
			}
			if e.Verdict == Held && len(e.Objectives) == 0 {
				t.Errorf("%s is held without data", e.Name)
			}
		}
		if r.Verdict == Held && r.Unfinished {
			t.Error("an unfinished run is held")
		}
	})
}
