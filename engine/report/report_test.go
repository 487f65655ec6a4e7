package report

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/faultline-go/faultline/engine/coverage"
	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
)

var update = flag.Bool("update", false, "write the golden files")

var day = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)

func at(s float64) *time.Time {
	t := day.Add(time.Duration(s * float64(time.Second)))
	return &t
}

func ptr(v float64) *float64 { return &v }

func instant(from, to float64, where string) judge.Instant {
	return judge.Instant{Seen: true, From: at(from), To: at(to), Resolution: to - from, Where: where}
}

func objective(p journal.Phase, v judge.Verdict, judged bool, bad, n int, target, bound float64) judge.ObjectiveResult {
	return judge.ObjectiveResult{Objective: "checkout.available", Probe: "http.checkout", Good: "sample.ok", Phase: p, Judged: judged, Verdict: v,
		Target: target, N: n, Bad: bad, Share: ptr(1 - float64(bad)/float64(n)), BadHigh: ptr(bound), BadLow: ptr(0), D: 1, DAssumed: bad < 10, Confidence: 0.95}
}

func killed(name string) judge.Fault {
	return judge.Fault{ID: "f1", Name: "docker_kill.web", Type: "docker_kill", Plugin: "docker", State: judge.FaultReverted, Bites: true,
		TargetBlock: "docker_container.web", Discovered: 3, Injected: at(10), Reverted: at(30), Active: 20, Cause: "duration", Targets: []judge.FaultTarget{{ID: "c1", Name: name, Kind: "docker_container",
			Injected: at(10), Bites: true, Effect: "exited with 137", Outcome: journal.Reverted, By: "engine", Proof: "running", Reverted: at(30)}}}
}

func held() judge.Experiment {
	return judge.Experiment{
		Name: "lose-one-web", Hypothesis: "When one of three web containers dies, customers notice nothing", Expect: journal.Tolerate, Verdict: judge.Held,
		Reasons: []judge.Reason{{Verdict: judge.Held, Text: "every objective held in every phase it was judged in"}},
		Started: at(0), Ended: at(50),
		Objectives: []judge.ObjectiveResult{
			objective(journal.Baseline, judge.Held, false, 0, 1000, 0.99, 0.003), objective(journal.During, judge.Held, true, 0, 1204, 0.95, 0.002485),
			objective(journal.After, judge.Held, true, 1, 2000, 0.99, 0.00237),
		},
		Lost:   []judge.Loss{{Probe: "http.checkout", Sent: 3204, Failed: 1}},
		Faults: []judge.Fault{killed("web1")},
		Times:  judge.Times{Bites: instant(10, 10.15, "docker_kill.web"), Broke: judge.Instant{Until: at(50)}, Gone: instant(30, 30, "docker_kill.web")},
		Latencies: []judge.LatencyResult{
			{Probe: "http.checkout", Phase: journal.During, N: 1204, Quantiles: []judge.QuantileOf{
				{Q: 0.5, Defined: true, Value: 0.0123, Low: 0.012, High: 0.0126, Needs: 6}, {Q: 0.95, Defined: true, Value: 0.2, Low: 0.19, High: 0.24, Needs: 72},
				{Q: 0.99, Defined: true, Value: 1.5, Low: 1.2, High: 1.9, Needs: 368}}},
			{Probe: "http.checkout", Phase: journal.After, N: 80, Quantiles: []judge.QuantileOf{
				{Q: 0.5, Defined: true, Value: 0.0008, Low: 0.00071, High: 0.00092, Needs: 6}, {Q: 0.95, Defined: true, Value: 0.002, Low: 0.0017, High: 0.0031, Needs: 72}, {Q: 0.99, Needs: 368}}},
		},
	}
}

func broken() judge.Experiment {
	e := held()
	e.Name, e.Verdict, e.Residue = "lose-two-web-containers-and-pause-the-store", judge.Broken, true
	e.Reasons = []judge.Reason{
		{Verdict: judge.Broken, Text: "checkout.available was broken while the fault was on: 402 of 1,204 samples bad (33.389 %), allowed 5 %", Objective: "checkout.available", Phase: journal.During},
		{Verdict: judge.Aborted, Text: "stopped by operator: interrupt"},
	}
	during := objective(journal.During, judge.Broken, true, 402, 1204, 0.95, 0)
	during.BadHigh, during.BadLow, during.E, during.StoppedBy = nil, nil, ptr(1e9), true
	slow := objective(journal.During, judge.Inconclusive, true, 12, 1204, 0.99, 0.0312)
	slow.Objective, slow.BadLow, slow.Missing, slow.D, slow.DAssumed, slow.Note = "checkout.fast_enough_for_people_on_a_train", ptr(0.00411), 7, 4.2, false, "the phase was cut short"
	e.Objectives = []judge.ObjectiveResult{objective(journal.Baseline, judge.Held, false, 3, 1000, 0.99, 0.0077), during, slow}
	e.Lost = []judge.Loss{{Probe: "http.checkout", Sent: 1204, Failed: 402, Missing: 7}, {Probe: "tcp.store", Sent: 20, Failed: 3}}
	second := killed("store")
	second.TargetBlock, second.Discovered = "docker_container.store", 1
	second.Name, second.Type, second.State = "docker_pause.store", "docker_pause", judge.FaultResidue
	second.Targets[0].Residue, second.Targets[0].Outcome, second.Targets[0].Error = true, journal.RevertFailed, "no such container"
	second.Targets[0].Effect, second.Targets[0].Measures = "paused", map[string]float64{"processes": 4, "answered_after_s": 1.23456}
	first := killed("web1")
	more := first.Targets[0]
	more.Name, more.Ended, more.By = "web2", at(10.3), "target"
	first.Targets = append(first.Targets, more)
	e.Faults = []judge.Fault{first, second}
	e.EarlyStop = &judge.EarlyStop{At: *at(14), Objective: "checkout.available", E: 1e9, Samples: 1204, Bad: 402, Rule: "the evidence against it is over 1,000,000 to 1 (100 to 1 suffices) after 1,204 samples, 402 of them bad"}
	e.Actions = []judge.Action{{Name: "exec.warm_up", At: day, Took: 0.4, Error: "exit status 1"}}
	e.Times = judge.Times{Bites: instant(10, 10.15, "docker_kill.web"), Broke: instant(10.1, 10.2, "checkout.available"), Detected: instant(12, 12, "ada"),
		Gone: judge.Instant{Until: at(50)}, Steady: judge.Instant{Until: at(50), Where: "checkout.available"},
		ToImpact: judge.Span{Known: true, Min: 0, Max: 0.2}, ToDetect: judge.Span{Known: true, Min: 1.8, Max: 1.9}, ToRecover: judge.Span{Known: true, Min: 39.8, Censored: true}}
	return e
}

func open(name string, v judge.Verdict, text string) judge.Experiment {
	e := judge.Experiment{Name: name, Expect: journal.Tolerate, Verdict: v, Reasons: []judge.Reason{{Verdict: v, Text: text}}, Started: at(0), Ended: at(1)}
	e.Objectives = []judge.ObjectiveResult{objective(journal.During, judge.Inconclusive, true, 0, 120, 0.99, 0.0247)}
	e.Objectives[0].Note = "needs 299 good samples, had 120"
	return e
}

func result(experiments ...judge.Experiment) *judge.Result {
	r := &judge.Result{Format: judge.Format, Verdict: judge.Held, Experiments: experiments, Run: judge.Run{ID: "20261102T090000-a1b2",
		Scenario: journal.Scenario{Name: "checkout", Title: "Checkout survives losing a web instance", Owner: "team-checkout"}, Seed: 42, PlanHash: "cafe",
		Engine: journal.Engine{Version: "0.1.0", Host: "ci"}, Started: day, Ended: at(50), Duration: 50.2}}
	r.Probes = []judge.ProbeSummary{{Probe: "http.checkout", Samples: 4204, Failed: 1, Errors: map[string]int{"connection refused": 1},
		Series: judge.Series{Start: day, OK: []int{100}, Failed: []int{1}, Missing: []int{0}, Median: []float64{0.01}, Max: []float64{0.2}}}}
	return r
}

func everything() *judge.Result {
	r := result(broken(), held(),
		open("lose-a-zone", judge.Inconclusive, "checkout.available, while the fault was on: needs 299 good samples, had 120"),
		open("lose-nobody", judge.NotExercised, "there was no target to inject a fault into"),
		open("lose-the-store", judge.NotStarted, "nothing was injected: checkout.available is broken before any fault"),
		open("lose-the-net", judge.Aborted, "stopped by operator: interrupt"),
		open("lose-it", judge.Errored, "the docker plugin died: \x1b[31mexit | status\n2 <&>"))
	r.Verdict, r.ExitCode = judge.Residue, 5
	r.Reasons = []judge.Reason{{Verdict: judge.Residue, Text: "1 thing could not be put back"}, {Verdict: judge.Errored, Text: "the journal could not be closed"}}
	r.Residue = []judge.LeftBehind{{Experiment: "x", Fault: "docker_pause.store", Plugin: "docker", Target: "store", Why: "no such container", Retry: "faultline recover 20261102T090000-a1b2"}}
	r.Guards = []judge.GuardTrip{{At: day, Guard: "payments", Reason: "prometheus.payment_errors was 0.3 for 2 s"}}
	r.Abort = &judge.Abort{At: day, Cause: "operator", Reason: "interrupt"}
	r.Marks = []judge.Mark{{At: day, What: "detected", Text: "pager rang", By: "ada"}, {At: day, What: "note"}}
	r.Takeovers = []judge.Takeover{{At: day, By: "recover", Why: "something was left"}}
	r.Warnings = []judge.Warning{{Experiment: "lose-one-web", Text: "web1 was changed by somebody else during docker_kill.web and was left as it is"}, {Text: "the clock stood still"}}
	r.Probes[0].Errors = map[string]int{"connection refused": 300, "timeout after 1s": 100, "EOF": 1, "reset by peer": 1, "http 503": 2}
	return r
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

func write(t *testing.T, f func(io.Writer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := f(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

var colour = regexp.MustCompile("\x1b\\[[0-9;]*m")

// fits fails for lines that are too long or leave spaces at their end.
func fits(t *testing.T, text []byte, width int) {
	t.Helper()
	for _, l := range strings.Split(colour.ReplaceAllString(string(text), ""), "\n") {
		if n := runes(l); n > width {
			t.Errorf("%d columns, at most %d fit: %q", n, width, l)
		}
		if strings.TrimRight(l, " ") != l {
			t.Errorf("spaces at the end of %q", l)
		}
	}
}

func TestTerminal(t *testing.T) {
	for name, r := range map[string]*judge.Result{"terminal-held": result(held()), "terminal-everything": everything()} {
		plain := write(t, func(w io.Writer) error { return Terminal(w, r, Options{}) })
		golden(t, name, plain)
		fits(t, plain, 80)
		if bytes.ContainsRune(plain, '\x1b') {
			t.Errorf("%s: an escape sequence without colour", name)
		}
		painted := write(t, func(w io.Writer) error { return Terminal(w, r, Options{Color: true}) })
		if got := colour.ReplaceAll(painted, nil); !bytes.Equal(got, plain) {
			t.Errorf("%s: colour changes more than the colour:\n%s", name, got)
		}
		if bytes.Equal(painted, plain) {
			t.Errorf("%s: no colour", name)
		}
		for _, width := range []int{60, 100, 140} {
			fits(t, write(t, func(w io.Writer) error { return Terminal(w, r, Options{Width: width}) }), width)
		}
	}
}

func TestMarkdown(t *testing.T) {
	got := write(t, func(w io.Writer) error { return Markdown(w, everything()) })
	golden(t, "markdown", got)
	columns := 0
	for _, l := range strings.Split(string(got), "\n") {
		if !strings.HasPrefix(l, "|") {
			columns = 0
			continue
		}
		n := strings.Count(l, "|") - strings.Count(l, `\|`)
		if columns != 0 && n != columns {
			t.Errorf("a row with %d bars in a table with %d: %s", n, columns, l)
		}
		columns = n
	}
}

func TestJSONSurvivesARoundTrip(t *testing.T) {
	for name, r := range map[string]*judge.Result{"json": result(held()), "": everything()} {
		got := write(t, func(w io.Writer) error { return JSON(w, r) })
		if name != "" {
			golden(t, name, got)
		}
		var back judge.Result
		d := json.NewDecoder(bytes.NewReader(got))
		d.DisallowUnknownFields()
		if err := d.Decode(&back); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(&back, r) {
			t.Errorf("%s: the result has changed on its way through JSON", name)
		}
	}
}

func TestJUnit(t *testing.T) {
	r := placed()
	for name, o := range map[string]JUnitOptions{"junit": {Places: PlacesOf(&r.Run, repository)}, "junit-strict": {Strict: true}} {
		got := write(t, func(w io.Writer) error { return JUnit(w, r, o) })
		golden(t, name, got)
		checkJUnit(t, got)
	}
	ok := write(t, func(w io.Writer) error { return JUnit(w, result(held()), JUnitOptions{}) })
	checkJUnit(t, ok)
	if bytes.Contains(ok, []byte("<failure")) || bytes.Contains(ok, []byte("<error")) || bytes.Contains(ok, []byte("<skipped")) {
		t.Errorf("a run that held is not clean:\n%s", ok)
	}
}

func TestHistory(t *testing.T) {
	runs := []RunSummary{
		Summary(everything()), Summary(result(held())),
		{Run: "20261101T120000-ffff", Started: day.Add(-21 * time.Hour), Scenario: "a-scenario-with-a-name-that-is-much-too-long-for-a-table", Verdict: judge.NotExercised, ExitCode: new(3), Duration: 4000},
		{Run: "20261101T130000-0000", Verdict: "unreadable"},
	}
	runs[0].Found, runs[1].Fixed = []string{"lose-two-web-containers-and-pause-the-store"}, []string{"lose-one-web", "lose-a-zone"}
	got := write(t, func(w io.Writer) error { return History(w, runs, Options{}) })
	golden(t, "history", got)
	fits(t, got, 80)
	fits(t, write(t, func(w io.Writer) error { return History(w, runs, Options{Width: 132}) }), 132)
	golden(t, "history-json", write(t, func(w io.Writer) error { return HistoryJSON(w, runs) }))
	if none := write(t, func(w io.Writer) error { return HistoryJSON(w, nil) }); string(none) != "[]\n" {
		t.Errorf("no runs are %q in JSON", none)
	}
	if none := write(t, func(w io.Writer) error { return History(w, nil, Options{}) }); string(none) != "No runs yet.\n" {
		t.Errorf("no runs are %q", none)
	}
}

func TestExperiments(t *testing.T) {
	all := []ExperimentSummary{
		{Scenario: "checkout", Environment: "staging", Experiment: "lose-one-web", Verdict: judge.Held, Run: "r2", Started: day, Streak: 12, Runs: 1204, LastHeld: &day, LastHeldRun: "r2", DaysSince: ptr(0.2)},
		{Scenario: "checkout", Experiment: "lose-two", Verdict: judge.Broken, Reason: "x", Run: "r2", Started: day, Streak: 1, Runs: 2, LastHeld: &day, LastHeldRun: "r1", DaysSince: ptr(41.9)},
		{Scenario: "checkout", Experiment: "lose-all", Verdict: judge.NotExercised, Run: "r2", Started: day, Streak: 1, Runs: 1},
	}
	got := write(t, func(w io.Writer) error { return Experiments(w, all, Options{}) })
	golden(t, "experiments", got)
	fits(t, got, 80)
	golden(t, "experiments-json", write(t, func(w io.Writer) error { return ExperimentsJSON(w, all) }))
	if none := write(t, func(w io.Writer) error { return ExperimentsJSON(w, nil) }); string(none) != "[]\n" {
		t.Errorf("no experiments are %q in JSON", none)
	}
}

// earlier is a comparison of a run with one of two days before, with everything in it.
func earlier(r *judge.Result) *Before {
	was := result(held(), broken(), open("lose-a-shard", judge.Held, "x"))
	was.Run.ID, was.Run.Started, was.Run.Engine.Version = "20261031T090000-0001", day.Add(-48*time.Hour), "0.0.9"
	was.Experiments[0].Name, was.Experiments[1].Name = "lose-two-web-containers-and-pause-the-store", "lose-one-web"
	was.Experiments[0].Faults, was.Experiments[1].Faults = broken().Faults, held().Faults
	was.Experiments[1].Verdict = judge.Broken
	slow := was.Experiments[1].Latencies[0].Quantiles
	slow[0], slow[1] = judge.QuantileOf{Q: 0.5, Defined: true, Value: 0.001, Low: 0.0009, High: 0.0011}, judge.QuantileOf{Q: 0.95, Defined: true, Value: 0.9, Low: 0.8, High: 1.1}
	c := judge.Compare(was, r)
	return &Before{Last: &c, Experiments: map[string]Past{
		"lose-two-web-containers-and-pause-the-store": {judge.Held, day.Add(-48 * time.Hour)},
		"lose-one-web": {judge.Broken, day.Add(-900 * time.Hour)}, "lose-a-zone": {Verdict: judge.Broken},
	}}
}

func TestCompare(t *testing.T) {
	for name, c := range map[string]*judge.Comparison{"compare": earlier(everything()).Last, "compare-regression": regressed()} {
		got := write(t, func(w io.Writer) error { return Compare(w, c, Options{}) })
		golden(t, name, got)
		fits(t, got, 80)
		golden(t, name+"-markdown", write(t, func(w io.Writer) error { return CompareMarkdown(w, c) }))
	}
	golden(t, "compare-json", write(t, func(w io.Writer) error { return CompareJSON(w, regressed()) }))
}

// regressed is a comparison with something that became worse.
func regressed() *judge.Comparison {
	was, is := result(held()), result(held())
	was.Run.ID, was.Run.Started = "20261031T090000-0001", day.Add(-48*time.Hour)
	is.Experiments[0].Objectives[2].Bad, is.Experiments[0].Objectives[2].DAssumed = 300, false
	q := is.Experiments[0].Latencies[0].Quantiles
	q[1].Value, q[1].Low, q[1].High = 0.8, 0.7, 0.9
	broke := judge.Span{Known: true, Min: 1, Max: 2}
	was.Experiments[0].Times.ToRecover, is.Experiments[0].Times.ToRecover = broke, judge.Span{Known: true, Min: 12, Max: 13}
	c := judge.Compare(was, is)
	return &c
}

func TestChanges(t *testing.T) {
	r := everything()
	got := write(t, func(w io.Writer) error { return Terminal(w, r, Options{Before: earlier(r)}) })
	text, _, _ := strings.Cut(string(got), "\nBROKEN")
	golden(t, "changes", []byte(text))
	fits(t, got, 80)
	same := result(held())
	c := judge.Compare(result(held()), same)
	for want, b := range map[string]*Before{
		"This is the first run of this scenario that is known here.\n": {},
		"  · no change beyond chance\n":                                {Last: &c, Experiments: map[string]Past{"lose-one-web": {Verdict: judge.Held}}},
	} {
		if got := write(t, func(w io.Writer) error { return Terminal(w, same, Options{Before: b}) }); !strings.Contains(string(got), want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

func TestSentences(t *testing.T) {
	with := func(e judge.Experiment, change func(*judge.Experiment)) judge.Experiment { change(&e); return e }
	for _, tc := range []struct {
		name string
		e    judge.Experiment
		want string
	}{
		{"held", held(), "Checkout survived the loss of 1 of 3 web containers: 1 of 3,204 requests failed; steady state held, 95 % bound 0.25 %."},
		{"one request", with(held(), func(e *judge.Experiment) { e.Lost = []judge.Loss{{Probe: "http.checkout", Sent: 1}} }),
			"Checkout survived the loss of 1 of 3 web containers: 0 of 1 request failed; steady state held, 95 % bound 0.25 %."},
		{"check", with(held(), func(e *judge.Experiment) { e.Check, e.Faults = true, nil }), "Checkout is steady: 1 of 3,204 requests failed; steady state held, 95 % bound 0.25 %."},
		{"recovered", with(held(), func(e *judge.Experiment) {
			e.Expect, e.Times.Broke, e.Times.ToRecover = journal.Recover, instant(10, 11, "x"), judge.Span{Known: true, Min: 1, Max: 1.24}
		}), "Checkout recovered from the loss of 1 of 3 web containers within 1.24 s: 1 of 3,204 requests failed; steady state held afterwards, 95 % bound 0.25 %."},
		{"nothing sent", with(held(), func(e *judge.Experiment) { e.Lost, e.Objectives = nil, nil }), "The system survived the loss of 1 of 3 web containers: steady state held."},
		{"broken", broken(), "Checkout did not withstand the loss of 2 of 3 web containers and a pause of store: 402 of 1,204 requests failed; checkout.available missed its target while the fault was on with 33 % bad, allowed 5 %; the fault was ended early to spare the rest. Not everything could be put back."},
		{"not recovered", with(broken(), func(e *judge.Experiment) {
			e.Expect, e.EarlyStop, e.Residue = journal.Recover, nil, false
			e.Reasons = []judge.Reason{{Verdict: judge.Broken, Text: "checkout.available was not steady again within 30 s", Objective: "checkout.available", Phase: journal.After}}
		}), "Checkout did not recover from the loss of 2 of 3 web containers and a pause of store: 402 of 1,204 requests failed; checkout.available was not steady again within 30 s."},
		{"open", open("x", judge.Inconclusive, "needs 299 good samples, had 120"), "It is open whether checkout survives the fault: needs 299 good samples, had 120."},
		{"not exercised", with(held(), func(e *judge.Experiment) {
			e.Verdict, e.Reasons = judge.NotExercised, []judge.Reason{{Verdict: judge.NotExercised, Text: "docker_kill.web had no measured effect"}}
		}), "Nothing was learnt about checkout: docker_kill.web had no measured effect."},
		{"aborted", with(held(), func(e *judge.Experiment) {
			e.Verdict, e.Reasons = judge.Aborted, []judge.Reason{{Verdict: judge.Aborted, Text: "stopped by operator: interrupt"}}
		}), "Ended before it could show a result: stopped by operator: interrupt. Everything was put back."},
		{"not due", open("x", judge.NotDue, "not due today: Saturday 2026-11-28 is no work day"), "Not due today: Saturday 2026-11-28 is no work day."},
		{"no targets", open("x", judge.NotExercised, "there was no target to inject a fault into"), "Nothing was tested: there was no target to inject a fault into."},
		{"empty", judge.Experiment{}, "The test itself did not work: no reason given."},
	} {
		if got := Sentence(&tc.e); got != tc.want {
			t.Errorf("%s: got\n%s\nwant\n%s", tc.name, got, tc.want)
		}
	}
}

func TestWhomAFaultHit(t *testing.T) {
	of := func(block, kind string, discovered int, names ...string) judge.Fault {
		f := judge.Fault{Type: "docker_kill", TargetBlock: block, Discovered: discovered}
		for _, n := range names {
			f.Targets = append(f.Targets, judge.FaultTarget{Name: n, Kind: kind, Gone: n == "gone"})
		}
		return f
	}
	for want, f := range map[string]judge.Fault{
		"1 of 3 web containers":    of("docker_container.web", "docker_container", 3, "web1"),
		"2 of 1,204 web processes": of("process.web", "process", 1204, "a (pid 1)", "b (pid 2)", "gone"),
		"all 3 web containers":     of("docker_container.web", "docker_container", 3, "a", "b", "c"),
		"web1":                     of("process.web", "process", 1, "web1 (pid 4)"),
		"1 of 3 containers":        of("monkey.docker_container.instances", "docker_container", 3, "web1"),
		"web1, web2 and web3":      of("", "docker_container", 0, "web1", "web2", "web3"),
		"4 targets":                of("", "docker_container", 0, "a", "b", "c", "d"),
		"lamp1 and lamp2":          of("lamp.street", "lamp", 9, "lamp1", "lamp2"),
		"":                         of("docker_container.web", "docker_container", 3, "gone"),
	} {
		if got := hit(f); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for _, tc := range []struct{ got, want string }{
		{number(0), "0"}, {number(999), "999"}, {number(1204), "1,204"}, {number(-1234567), "-1,234,567"},
		{counted(1, "request"), "1 request"}, {counted(0, "request"), "0 requests"}, {counted(2000, "thing"), "2,000 things"},
		{goodShare(1), "100 %"}, {goodShare(0.999999), "99.999 %"}, {goodShare(0.95), "95 %"}, {goodShare(0.6666666), "66.666 %"},
		{bounds(0.92784, 1), "92 % to 100 %"}, {bounds(0.3072, 0.3658), "30 % to 37 %"}, {bounds(0.00411, 0.0312), "0.4 % to 3.2 %"},
		{bounds(0.0000031, 0.0312), "0.00031 % to 3.2 %"}, {bounds(0, 0.03), "0 % to 3 %"}, {bounds(0.5, 0.5), "50 % to 50 %"},
		{badShare(0), "0 %"}, {badShare(0.00249), "0.25 %"}, {badShare(0.0015), "0.15 %"}, {badShare(0.00000231), "0.00024 %"}, {badShare(1), "100 %"}, {badShare(0.999), "100 %"},
		{roughly(0.17391), "17 %"}, {roughly(0.995), "99.5 %"}, {roughly(0), "0 %"}, {roughly(0.000321), "0.032 %"}, {roughly(1), "100 %"},
		{sharePercent(0.01), "1 %"}, {sharePercent(1 - 0.999), "0.1 %"},
		{length(0), "0 s"}, {length(0.0001), "< 1 ms"}, {length(0.1504), "150 ms"}, {length(1.2345), "1.23 s"}, {length(20), "20 s"}, {length(59.96), "1 min"},
		{length(125), "2 min 5 s"}, {length(3600), "1 h"}, {length(3790), "1 h 3 min"}, {length(90000), "1 d 1 h"}, {length(-3), "-3 s"},
		{millis(0.0008), "0.8"}, {millis(0.0123), "12.3"}, {millis(1.5), "1,500"},
		{list(nil), ""}, {list([]string{"a"}), "a"}, {list([]string{"a", "b", "c"}), "a, b and c"},
	} {
		if tc.got != tc.want {
			t.Errorf("got %q, want %q", tc.got, tc.want)
		}
	}
}

func FuzzWrap(f *testing.F) {
	f.Add("one two  three", 5)
	f.Add("averyveryverylongword.with-joints/and:more", 7)
	f.Add("\x1b[31mcolour\x00\x9b", 1)
	f.Fuzz(func(t *testing.T, s string, width int) {
		width = 1 + (width%100+100)%100
		for _, l := range wrap(s, width) {
			if runes(l) > width || strings.ContainsAny(l, "\x1b\n\r") {
				t.Errorf("line %q of %q is wider than %d or has control characters", l, s, width)
			}
		}
	})
}

func TestCoverage(t *testing.T) {
	c := &coverage.Coverage{Format: coverage.Format, Scenarios: 2, Rows: []coverage.Row{
		{Group: "docker_container.web", Environment: "staging", Fault: "docker_kill", Experiments: []string{"checkout/lose-one-web", "checkout/lose-two-web-containers-and-pause-the-store"}, Runs: 12, LastTried: &day, Verdict: judge.Held, LastHeld: &day, DaysSinceHeld: ptr(0.5)},
		{Group: "docker_container.web", Environment: "staging", Fault: "net_delay", Experiments: []string{"checkout/slow"}},
		{Group: "process.web", Fault: "process_kill", Experiments: []string{"small/lose-one"}, Runs: 1, LastTried: &day, Verdict: judge.Broken, LastHeld: &day, DaysSinceHeld: ptr(40)},
	}, Groups: []coverage.Group{
		{Group: "docker_container.web", Environment: "staging", Kind: "docker_container", Untried: []string{"docker_pause", "docker_stop", "host_cpu", "proxy_a", "proxy_b", "proxy_c", "proxy_d"}},
		{Group: "process.web", Kind: "process", Untried: []string{}},
	}, Unread: []coverage.Unread{{Path: "days/new.hcl", Error: "days/new.hcl:3: no such attribute"}}}
	got := write(t, func(w io.Writer) error { return WriteCoverage(w, c, Options{}) })
	golden(t, "coverage", got)
	fits(t, got, 80)
	golden(t, "coverage-markdown", write(t, func(w io.Writer) error { return CoverageMarkdown(w, c) }))
	golden(t, "coverage-json", write(t, func(w io.Writer) error { return CoverageJSON(w, c) }))
}

func bounds(low, high float64) string {
	from, to := shareBounds(low, high)
	return from + " to " + to
}
