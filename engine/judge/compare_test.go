package judge

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
)

// The examples of Newcombe's paper, table II, method 10.
func TestShareDifference(t *testing.T) {
	for _, c := range []struct{ x1, n1, x2, n2, low, high float64 }{
		{56, 70, 48, 80, 0.0524, 0.3339},
		{9, 10, 3, 10, 0.1705, 0.8090},
		{6, 7, 2, 7, 0.0582, 0.8062},
		{5, 56, 0, 29, -0.0381, 0.1926},
		{0, 10, 0, 20, -0.1611, 0.2775},
		{0, 10, 0, 10, -0.2775, 0.2775},
		{10, 10, 0, 20, 0.6791, 1},
		{10, 10, 0, 10, 0.6075, 1},
	} {
		d, low, high := ShareDifference(Effective{c.n2, c.x2}, Effective{c.n1, c.x1})
		if math.Abs(d-(c.x1/c.n1-c.x2/c.n2)) > 1e-12 || math.Abs(low-c.low) > 6e-5 || math.Abs(high-c.high) > 6e-5 {
			t.Errorf("%v of %v − %v of %v: %.4f (%.4f to %.4f), want %.4f to %.4f", c.x1, c.n1, c.x2, c.n2, d, low, high, c.low, c.high)
		}
		// The other way round it is the mirror image.
		_, l2, h2 := ShareDifference(Effective{c.n1, c.x1}, Effective{c.n2, c.x2})
		if math.Abs(l2+high) > 1e-12 || math.Abs(h2+low) > 1e-12 {
			t.Errorf("not symmetric: %v %v, %v %v", low, high, l2, h2)
		}
	}
}

// With nothing changed an interval excludes 0 about as seldom as it says.
func TestShareDifferenceKeepsItsLevel(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, p := range []float64{0.001, 0.01, 0.2} {
		wrong := 0
		const rounds, n = 4000, 1000
		bad := func() (x float64) {
			for range n {
				if r.Float64() < p {
					x++
				}
			}
			return x
		}
		for range rounds {
			if _, low, high := ShareDifference(Effective{n, bad()}, Effective{n, bad()}); low > 0 || high < 0 {
				wrong++
			}
		}
		if share := float64(wrong) / rounds; share > 0.06 {
			t.Errorf("share %v: %.3f of the intervals exclude the truth", p, share)
		}
	}
}

var morning = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)

// pair is two results of the same experiment, to be made different.
func pair() (before, after *Result) {
	one := func(id string) *Result {
		web := Fault{Name: "docker_kill.web", Type: "docker_kill", Config: json.RawMessage(`{"signal":"KILL"}`), Planned: 20, Bites: true, Targets: []FaultTarget{{ID: "c", Name: "web1", Bites: true}}}
		of := func(p journal.Phase, judged bool) ObjectiveResult {
			return ObjectiveResult{Objective: "checkout.available", Probe: "http.checkout", Good: "sample.ok", Phase: p, Judged: judged, Verdict: Held, Target: 0.95, N: 2000, Bad: 20, D: 1.5}
		}
		q := func(ms float64) []QuantileOf {
			var out []QuantileOf
			for _, v := range Quantiles {
				out = append(out, QuantileOf{Q: v, Defined: true, Value: ms / 1e3, Low: 0.95 * ms / 1e3, High: 1.05 * ms / 1e3})
			}
			return out
		}
		r := &Result{Verdict: Held, Run: Run{ID: id, Scenario: journal.Scenario{Name: "shop"}, PlanHash: "cafe", Engine: journal.Engine{Version: "1"},
			Sources: []journal.Source{{Path: "shop.hcl", SHA256: "1"}}, Plugins: []Plugin{{Name: "docker", Version: "1", SHA256: "1"}}}}
		r.Experiments = []Experiment{{Name: "lose-one", Verdict: Held, Expect: journal.Tolerate, Faults: []Fault{web},
			Phases:     []PhaseSpan{{Phase: journal.During, From: morning, To: morning.Add(20 * time.Second)}},
			Objectives: []ObjectiveResult{of(journal.Baseline, false), of(journal.During, true), of(journal.After, true)},
			Latencies:  []LatencyResult{{Probe: "http.checkout", Phase: journal.During, N: 2000, Quantiles: q(100)}},
			Lost:       []Loss{{Probe: "http.checkout", Sent: 4000, Failed: 40}},
			Times:      Times{ToRecover: Span{Known: true, Min: 3, Max: 4}, ToImpact: Span{Known: true, Max: 1}},
		}}
		return r
	}
	return one("before"), one("after")
}

func whats(c Comparison) (out []string) {
	for _, r := range c.Regressions {
		out = append(out, r.What+" "+string(r.Phase))
	}
	return out
}

func TestCompareTheSame(t *testing.T) {
	c := Compare(pair())
	if len(c.Notes) != 0 || len(c.Regressions) != 0 || len(c.Experiments) != 1 {
		t.Fatalf("%+v", c)
	}
	x := c.Experiments[0]
	if !x.Comparable || x.Edge != "" || len(x.Notes) != 0 || len(x.Objectives) != 3 || len(x.Latencies) != 3 || len(x.Times) != 2 || len(x.Lost) != 1 {
		t.Errorf("%+v", x)
	}
	for _, o := range x.Objectives {
		if o.Change != Unclear || *o.Difference != 0 || !(*o.Low < 0 && *o.High > 0) {
			t.Errorf("%+v", o)
		}
	}
}

func TestRegressions(t *testing.T) {
	during := func(r *Result) *ObjectiveResult { return &r.Experiments[0].Objectives[1] }
	latency := func(r *Result, i int) *QuantileOf { return &r.Experiments[0].Latencies[0].Quantiles[i] }
	recovery := func(r *Result) *Span { return &r.Experiments[0].Times.ToRecover }
	for name, c := range map[string]struct {
		change func(before, after *Result)
		want   []string
	}{
		"loss beyond chance and margin":         {func(_, a *Result) { during(a).Bad = 80 }, []string{"loss during"}},
		"loss beyond chance, not beyond margin": {func(_, a *Result) { during(a).Bad = 45 }, nil},
		"loss that bursts explain":              {func(_, a *Result) { during(a).Bad, during(a).D = 80, 20 }, nil},
		"loss with bursts of one side believed": {func(b, a *Result) { during(b).D = 20; during(a).Bad, during(a).DAssumed = 80, true }, nil},
		"few lost, bursts unknown": {func(b, a *Result) {
			during(b).Bad, during(b).DAssumed = 0, true
			during(a).N, during(a).Bad, during(a).DAssumed = 300, 9, true
		}, nil},
		"many lost, bursts unknown": {func(b, a *Result) {
			during(b).Bad, during(b).DAssumed = 0, true
			during(a).N, during(a).Bad, during(a).DAssumed = 300, 200, true
		}, []string{"loss during"}},
		"loss in the baseline":               {func(_, a *Result) { a.Experiments[0].Objectives[0].Bad = 500 }, nil},
		"loss in a phase that is not judged": {func(_, a *Result) { during(a).Bad, during(a).Judged = 800, false }, nil},
		"fewer lost":                         {func(b, _ *Result) { during(b).Bad = 500 }, nil},
		"cut early":                          {func(_, a *Result) { during(a).Bad = 800; a.Experiments[0].Phases[0].Cut = true }, nil},
		"another condition":                  {func(_, a *Result) { during(a).Bad, during(a).Good = 800, "true" }, nil},
		"other faults":                       {func(_, a *Result) { during(a).Bad = 800; a.Experiments[0].Faults[0].Name = "docker_kill.db" }, nil},
		"another configuration":              {func(_, a *Result) { during(a).Bad = 800; a.Experiments[0].Faults[0].Config = json.RawMessage(`{}`) }, nil},
		"more targets": {func(_, a *Result) {
			during(a).Bad = 800
			f := &a.Experiments[0].Faults[0]
			f.Targets = append(f.Targets, FaultTarget{Name: "web2"})
		}, nil},
		"the neighbour, which is as good":       {func(_, a *Result) { during(a).Bad = 800; a.Experiments[0].Faults[0].Targets[0].Name = "web2" }, []string{"loss during"}},
		"inconclusive":                          {func(_, a *Result) { during(a).Bad, a.Experiments[0].Verdict = 800, Inconclusive }, nil},
		"p95 above":                             {func(_, a *Result) { latency(a, 1).Low, latency(a, 1).High = 0.14, 0.16 }, []string{"latency during"}},
		"p95 above by less than the margin":     {func(_, a *Result) { latency(a, 1).Low = 0.12 }, nil},
		"p99 above":                             {func(_, a *Result) { latency(a, 2).Low = 9 }, nil},
		"p50 above by less than ten ms":         {func(b, a *Result) { latency(b, 0).High = 0.001; latency(a, 0).Low = 0.009 }, nil},
		"p50 not defined":                       {func(b, a *Result) { *latency(b, 0) = QuantileOf{Q: 0.5}; latency(a, 0).Low = 0.9 }, nil},
		"recovery longer":                       {func(_, a *Result) { *recovery(a) = Span{Known: true, Min: 7, Max: 8} }, []string{"recovery "}},
		"recovery longer by less than a margin": {func(_, a *Result) { *recovery(a) = Span{Known: true, Min: 5.5, Max: 8} }, nil},
		"recovery not seen, for long":           {func(_, a *Result) { *recovery(a) = Span{Known: true, Min: 50, Censored: true} }, []string{"recovery "}},
		"recovery not seen, not long":           {func(_, a *Result) { *recovery(a) = Span{Known: true, Min: 2, Censored: true} }, nil},
		"recovery was not seen before": {func(b, a *Result) {
			*recovery(b) = Span{Known: true, Min: 3, Censored: true}
			*recovery(a) = Span{Known: true, Min: 50, Max: 51}
		}, nil},
		"there was nothing to recover from": {func(b, a *Result) { *recovery(b) = Span{}; *recovery(a) = Span{Known: true, Min: 50, Max: 51} }, nil},
	} {
		before, after := pair()
		c.change(before, after)
		if got := whats(Compare(before, after)); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestCompareNotes(t *testing.T) {
	before, after := pair()
	after.Run.Sources[0].SHA256, after.Run.Plugins[0].SHA256, after.Run.Engine.Version, after.Run.Scenario.Environment = "2", "2", "2", "staging"
	after.Experiments[0].Objectives[1].Target = 0.9
	after.Experiments[0].Objectives[2].Probe = "http.other"
	after.Experiments[0].Expect = journal.Recover
	after.Experiments = append(after.Experiments, Experiment{Name: "new", Verdict: Held})
	before.Experiments = append(before.Experiments, Experiment{Name: "old", Verdict: Broken})
	before.Experiments[0].Verdict, after.Experiments[0].Verdict = Held, Broken
	before.Experiments[0].Objectives = append(before.Experiments[0].Objectives, ObjectiveResult{Objective: "gone.by", Phase: journal.During, N: 1})
	c := Compare(before, after)
	all := strings.Join(c.Notes, "\n")
	for _, want := range []string{"the environment was none, and is staging", "text is another one: shop.hcl", "faultline was 1, and is 2", "the plugin docker is another build"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in\n%s", want, all)
		}
	}
	x := c.Experiments[0]
	if x.Edge != IssueFound || x.Comparable || x.Objectives[2].Difference != nil || !strings.Contains(x.Objectives[2].Note, "another probe") {
		t.Errorf("%+v", x)
	}
	all = strings.Join(x.Notes, "\n")
	for _, want := range []string{"it was to tolerate, and is to recover", "the target was 95 %, and is 90 %", "gone.by is no longer there"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in\n%s", want, all)
		}
	}
	if c.Experiments[1].Name != "new" || c.Experiments[1].Before != "" || c.Experiments[2].Name != "old" || c.Experiments[2].After != "" {
		t.Errorf("%+v", c.Experiments[1:])
	}
	after.Run.Sources[0].SHA256, after.Run.PlanHash = "1", "f00d"
	if all := strings.Join(Compare(before, after).Notes, "\n"); !strings.Contains(all, "the plan is another one, from the same text") {
		t.Error(all)
	}
}

func TestRegressionExit(t *testing.T) {
	for _, c := range []struct {
		v         Verdict
		regressed bool
		want      int
	}{
		{Held, false, 0}, {Held, true, 1}, {Inconclusive, false, 3}, {Inconclusive, true, 1}, {Broken, true, 1},
		{Aborted, true, 1}, {Aborted, false, 4}, {Errored, true, 6}, {Residue, true, 5},
	} {
		if got := (&Result{Verdict: c.v}).RegressionExit(c.regressed, false); got != c.want {
			t.Errorf("%s, regressed %t: %d, want %d", c.v, c.regressed, got, c.want)
		}
	}
	if got := (&Result{Verdict: Inconclusive}).RegressionExit(true, true); got != 1 {
		t.Errorf("lenient: %d", got)
	}
}
