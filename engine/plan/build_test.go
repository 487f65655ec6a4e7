package plan

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/faultline-go/faultline/engine/scenario"
	"github.com/faultline-go/faultline/sdk/schema"
	"github.com/faultline-go/faultline/sdk/wire"
)

var update = flag.Bool("update", false, "write the golden files anew")

// lamps is a plugin that planning talks to.
type lamps struct {
	may      []schema.Capability // of lamp_off
	found    []schema.Candidate
	discover error
	prepare  func(wire.Prepare) ([]wire.Prepared, error) // nil: all is well

	mu       sync.Mutex
	prepared []string
}

func (l *lamps) Description(name string) (*schema.Description, error) {
	if name != "lamp" {
		return nil, fmt.Errorf("plugin %s is not there", name)
	}
	return &schema.Description{Name: "lamp", Version: "1.2.3", Faults: []schema.Fault{
		{Type: "lamp_off", Hold: schema.HoldJournal, Reversibility: schema.Reversible, RevertMS: 2000, SettleMS: 500, Concurrency: 2, Capabilities: l.may},
		{Type: "lamp_dim", Hold: schema.HoldKernel, Reversibility: schema.SelfHealing, RevertMS: 100, Concurrency: 16},
	}}, nil
}

func (l *lamps) Planner(string) (Planner, error) { return l, nil }

func (l *lamps) Discover(context.Context, string, json.RawMessage) ([]schema.Candidate, error) {
	return l.found, l.discover
}

func (l *lamps) Prepare(_ context.Context, q wire.Prepare) ([]wire.Prepared, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.prepared = append(l.prepared, q.Type)
	if l.prepare != nil {
		return l.prepare(q)
	}
	return wellPrepared(q), nil
}

func wellPrepared(q wire.Prepare) (out []wire.Prepared) {
	for _, c := range q.Targets {
		out = append(out, wire.Prepared{Target: c.ID, Undo: json.RawMessage(`{}`), Incarnation: "1", Resources: []string{"lamp:" + c.ID + "/switch"}})
	}
	return out
}

// good is a condition on a sample that is never asked here.
type good string

func (good) Eval(*schema.Sample) scenario.Answer { return scenario.Yes }
func (g good) Source() string                    { return string(g) }
func (good) Pos() string                         { return "day.hcl:3" }

// gameDay is a scenario of one experiment over lamps; tests change what they need.
func gameDay() *scenario.Scenario {
	config := func(s string) scenario.Config {
		return scenario.Config{Full: json.RawMessage(`{"secret":"` + s + `"}`), Redacted: json.RawMessage(`{"secret":"(sensitive)"}`)}
	}
	seed := int64(42)
	probe := &scenario.Probe{Name: "lamp.light", Type: "lamp", Plugin: "lamp", Interval: 10 * time.Millisecond, Timeout: time.Second, Config: config("p")}
	unused := &scenario.Probe{Name: "lamp.unused", Type: "lamp", Plugin: "lamp", Interval: time.Second, Timeout: time.Second, Config: config("u")}
	target := &scenario.Target{Name: "lamp.all", Type: "lamp", Plugin: "lamp", Match: config("m"), Pick: scenario.Pick{Count: 1}, OnEmpty: "fail", Pos: "day.hcl:10"}
	return &scenario.Scenario{
		Name: "street", Title: "The street stays lit", Environment: "staging", Seed: &seed, Source: "day.hcl",
		Files:     []scenario.File{{Path: "day.hcl", SHA256: "aa"}},
		Plugins:   []scenario.Plugin{{Name: "lamp", Settings: config("s")}},
		Probes:    []*scenario.Probe{probe, unused},
		Targets:   []*scenario.Target{target},
		Variables: map[string]json.RawMessage{"environment": json.RawMessage(`"staging"`)},
		Experiments: []*scenario.Experiment{{
			Name: "lose-one", Hypothesis: "Nobody stumbles when one lamp is out", Expect: "tolerate",
			Objectives: []*scenario.Objective{{
				Name: "street.lit", Probe: probe, Good: good("sample.ok"), Target: 0.99, DuringTarget: 0.95, MinSamples: 30, Judge: "exact",
			}},
			Baseline: 10 * time.Second, RecoverWithin: 30 * time.Second,
			Steps: []*scenario.Step{faultStep(target, "lamp_off.one", 0, 20*time.Second)},
			Pos:   "day.hcl:20",
		}},
	}
}

func faultStep(target *scenario.Target, name string, start, duration time.Duration, after ...string) *scenario.Step {
	typ, _, _ := strings.Cut(name, ".")
	return &scenario.Step{
		Kind: scenario.FaultStep, Name: name, Type: typ, Plugin: "lamp", Start: start, Duration: duration, After: after,
		Lease: 15 * time.Second, Target: target, OnEmpty: target.OnEmpty, Pos: "day.hcl:" + name,
		Config: scenario.Config{Full: json.RawMessage(`{"full":true}`), Redacted: json.RawMessage(`{}`)},
	}
}

func mustBuild(t *testing.T, s *scenario.Scenario, l *lamps, o Options) *Plan {
	t.Helper()
	p, err := Build(t.Context(), s, l, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestBuild(t *testing.T) {
	s := gameDay()
	s.Guards = []*scenario.Guard{{Name: "dark", Probe: s.Probes[0], Good: good("sample.value < 3"), For: 2 * time.Second, NoDataAfter: 10 * time.Second}}
	l := &lamps{found: fleet(3, "a", "b", "c")}
	p := mustBuild(t, s, l, Options{Seed: 7, GitCommit: "abc", Workdir: "/w"})

	if p.Seed != 42 || p.Scenario.GitCommit != "abc" || p.Plugins[0].Version != "1.2.3" || len(p.Hash) != 64 {
		t.Errorf("%+v", p)
	}
	if len(p.Probes) != 1 || p.Probes[0].Name != "lamp.light" || string(p.Probes[0].Full) != `{"secret":"p"}` {
		t.Errorf("probes that nothing uses are not started: %+v", p.Probes)
	}
	if len(p.Guards) != 1 || p.Guards[0].Predicate == nil || p.Guards[0].Good != "sample.value < 3" {
		t.Errorf("guards: %+v", p.Guards)
	}
	x := p.Experiments[0]
	step := x.Steps[0]
	if len(step.Targets) != 1 || step.Discovered != 3 || step.Targets[0].Zone == "" || len(step.Targets[0].Resources) != 1 || len(step.ZoneOf) != 3 {
		t.Errorf("step: %+v", step)
	}
	if step.RevertBudget != 2*time.Second || step.Settle != 500*time.Millisecond || step.Hold != schema.HoldJournal {
		t.Errorf("step: %+v", step)
	}
	spec := x.Spec
	if spec.Planned != 20*time.Second || spec.Objectives[0].Rate != 100 || spec.Faults[0].Hold != "journal" {
		t.Errorf("spec: %+v", spec)
	}
	// 299 samples at 100/s take 3 s, and a fifth more; no shorter than a steady window.
	if spec.Observe != 5*time.Second {
		t.Errorf("observe is %s", spec.Observe)
	}
	if want := 10*time.Second + 20*time.Second + spec.Observe; p.Longest != want {
		t.Errorf("the run lasts %s, want %s", p.Longest, want)
	}
	if len(x.Needs) != 2 || !x.Needs[0].Concludes || len(p.Warnings) != 0 {
		t.Errorf("needs: %+v, warnings %q", x.Needs, p.Warnings)
	}
	if s.Seed = nil; mustBuild(t, s, l, Options{Seed: 7}).Seed != 7 {
		t.Error("the option's seed is not used")
	}
}

func TestBuildTimes(t *testing.T) {
	for _, c := range []struct {
		name     string
		change   func(*scenario.Scenario)
		planned  time.Duration
		observe  time.Duration
		longest  time.Duration
		warnings []string
	}{
		{
			name: "a slow probe makes after longer", planned: 20 * time.Second, observe: 36 * time.Second, longest: 66 * time.Second,
			change: func(s *scenario.Scenario) { s.Probes[0].Interval = 100 * time.Millisecond },
		},
		{
			name: "and never longer than a minute, with a warning", planned: 20 * time.Second, observe: time.Minute, longest: 90 * time.Second,
			change: func(s *scenario.Scenario) { s.Probes[0].Interval = time.Second },
			warnings: []string{
				"experiment lose-one: objective street.lit cannot be shown to hold during the fault: 20 samples expected, 59 needed without a bad one",
				"experiment lose-one: objective street.lit cannot be shown to hold after the fault: 60 samples expected, 299 needed without a bad one",
			},
		},
		{
			name: "what the scenario says", planned: 20 * time.Second, observe: 7 * time.Second, longest: 37 * time.Second,
			change: func(s *scenario.Scenario) { s.Experiments[0].Observe = 7 * time.Second },
		},
		{
			name: "and no shorter than it takes to call it steady", planned: 20 * time.Second, observe: 5 * time.Second, longest: 35 * time.Second,
			change: func(s *scenario.Scenario) { s.Experiments[0].Observe = 2 * time.Second },
		},
		{
			name: "a fault that starts late is under fault no longer", planned: 20 * time.Second, observe: 5 * time.Second, longest: 45 * time.Second,
			change: func(s *scenario.Scenario) { s.Experiments[0].Steps[0].Start = 10 * time.Second },
		},
		{
			name: "a check has no baseline", planned: 0, observe: 5 * time.Second, longest: 8 * time.Second,
			change: func(s *scenario.Scenario) {
				s.Experiments[0].Steps = []*scenario.Step{{Kind: scenario.ActionStep, Name: "lamp_note.n", Type: "lamp_note", Plugin: "lamp", Start: 8 * time.Second}}
			},
		},
		{
			name: "recover is judged after only", planned: 20 * time.Second, observe: 5 * time.Second, longest: 35 * time.Second,
			change: func(s *scenario.Scenario) {
				s.Experiments[0].Expect, s.Experiments[0].Steps[0].Duration = "recover", 20*time.Second
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := gameDay()
			c.change(s)
			p := mustBuild(t, s, &lamps{found: fleet(3)}, Options{})
			spec := p.Experiments[0].Spec
			if spec.Planned != c.planned || spec.Observe != c.observe || p.Longest != c.longest {
				t.Errorf("planned %s, observe %s, longest %s", spec.Planned, spec.Observe, p.Longest)
			}
			if !slices.Equal(p.Warnings, c.warnings) {
				t.Errorf("warnings %q", p.Warnings)
			}
		})
	}
}

func TestBuildProblems(t *testing.T) {
	second := func(s *scenario.Scenario, start time.Duration, after ...string) {
		e := s.Experiments[0]
		e.Steps = append(e.Steps, faultStep(s.Targets[0], "lamp_dim.two", start, 5*time.Second, after...))
	}
	for _, c := range []struct {
		name   string
		lamps  *lamps
		change func(*scenario.Scenario)
		policy *Policy
		want   string // of the error; empty: there is none
		broken bool   // the plugin failed: no Problems
	}{
		{name: "nothing found", lamps: &lamps{}, want: "day.hcl:10: target lamp.all matches nothing\n  Check its `match`"},
		{
			name: "nothing left by the filters", lamps: &lamps{found: fleet(2)},
			change: func(s *scenario.Scenario) {
				s.Targets[0].Filters = []scenario.Filter{keeps(func(schema.Candidate) (bool, error) { return false, nil })}
			},
			want: "day.hcl:10: target lamp.all matches nothing: 2 found by its match, none left by its filters",
		},
		{
			name: "nothing found, and that is skipped", lamps: &lamps{},
			change: func(s *scenario.Scenario) { s.Experiments[0].Steps[0].OnEmpty = "skip" },
		},
		{
			name: "too many to pick", lamps: &lamps{found: fleet(1)},
			change: func(s *scenario.Scenario) { s.Targets[0].Pick.Count = 2 },
			want:   "day.hcl:10: target lamp.all cannot be picked: 2 are to be picked and only 1 match\n  Change its `pick`",
		},
		{
			name: "discovery fails", lamps: &lamps{discover: errors.New("no street")},
			want: "day.hcl:10: target lamp.all could not be discovered\n  no street",
		},
		{
			name: "steps in a circle", lamps: &lamps{found: fleet(3)},
			change: func(s *scenario.Scenario) {
				second(s, 0, "lamp_off.one")
				s.Experiments[0].Steps[0].After = []string{"lamp_dim.two"}
			},
			want: "day.hcl:20: experiment lose-one: the steps wait for each other in a circle by `after`",
		},
		{
			name: "a limit", lamps: &lamps{found: fleet(3)},
			change: func(s *scenario.Scenario) { s.Limits.MaxPercent = 10 },
			want:   "day.hcl:lamp_off.one: lamp_off.one would touch 33 % of what target lamp.all discovered (1 of 3)\n  The limit is max_percent = 10.",
		},
		{
			name: "a limit of the policy", lamps: &lamps{found: fleet(3)},
			policy: &Policy{Source: "p.hcl", Environment: "staging", Limits: scenario.Limits{MaxPercent: 10}},
			want:   "day.hcl:lamp_off.one: lamp_off.one would touch 33 %",
		},
		{
			name: "a plugin that is not allowed", lamps: &lamps{found: fleet(3)},
			policy: &Policy{Source: "p.hcl", Environment: "staging", Plugins: []string{"http"}},
			want:   "plugin lamp is not allowed in environment staging\n  Allowed by p.hcl: http.",
		},
		{
			name: "a fault that is not allowed", lamps: &lamps{found: fleet(3)},
			policy: &Policy{Source: "p.hcl", Environment: "staging", Plugins: []string{"lamp"}, Faults: []string{"lamp_dim"}},
			want:   "day.hcl:lamp_off.one: fault lamp_off is not allowed in environment staging\n  Allowed by p.hcl: lamp_dim.",
		},
		{
			name: "a capability that is denied", lamps: &lamps{discover: errors.New("it was touched"), may: []schema.Capability{schema.CapRoot, schema.CapDocker}},
			policy: &Policy{Source: "p.hcl", Environment: "staging", DenyCapabilities: []schema.Capability{schema.CapExec, schema.CapDocker}},
			want:   "day.hcl:lamp_off.one: fault lamp_off.one needs the capability docker, which environment staging denies\n  It commands a Docker engine, which is as good as being root on its machine. Denied by p.hcl.",
		},
		{
			name: "another capability is denied", lamps: &lamps{found: fleet(3), may: []schema.Capability{schema.CapRoot}},
			policy: &Policy{Source: "p.hcl", Environment: "staging", DenyCapabilities: []schema.Capability{schema.CapExec}},
		},
		{
			name: "two faults on one thing", lamps: &lamps{found: fleet(1)},
			change: func(s *scenario.Scenario) { second(s, 5*time.Second) },
			want:   "day.hcl:lamp_dim.two: lamp_off.one and lamp_dim.two would both act on lamp:id-00/switch at the same time\n  Let one follow the other: after = [fault.lamp_off.one].",
		},
		{
			name: "two faults on one thing, in turn", lamps: &lamps{found: fleet(1)},
			change: func(s *scenario.Scenario) { second(s, 0, "lamp_off.one") },
		},
		{
			name: "a target that cannot be prepared",
			lamps: &lamps{found: fleet(1), prepare: func(q wire.Prepare) ([]wire.Prepared, error) {
				return []wire.Prepared{{Target: "id-00", Err: "it is glued"}}, nil
			}},
			want: "day.hcl:lamp_off.one: fault lamp_off.one of experiment lose-one cannot be injected into lamp-0\n  it is glued",
		},
		{
			name:  "a fault that cannot be prepared",
			lamps: &lamps{found: fleet(1), prepare: func(wire.Prepare) ([]wire.Prepared, error) { return nil, errors.New("no ladder") }},
			want:  "day.hcl:lamp_off.one: fault lamp_off.one of experiment lose-one cannot be prepared\n  no ladder",
		},
		{
			name:  "a plugin that dies",
			lamps: &lamps{found: fleet(1), prepare: func(wire.Prepare) ([]wire.Prepared, error) { return nil, wire.ErrGone }},
			want:  "prepare lamp_off.one: the plugin is gone", broken: true,
		},
		{
			name: "an answer for somebody else",
			lamps: &lamps{found: fleet(1), prepare: func(q wire.Prepare) ([]wire.Prepared, error) {
				return append(wellPrepared(q), wire.Prepared{Target: "moon"}), nil
			}},
			want: "prepare lamp_off.one: the plugin answered for a target that it was not asked about: moon", broken: true,
		},
		{
			name:  "no answer",
			lamps: &lamps{found: fleet(1), prepare: func(wire.Prepare) ([]wire.Prepared, error) { return nil, nil }},
			want:  "prepare lamp_off.one: the plugin gave no answer for lamp-0", broken: true,
		},
		{
			name: "a plugin without the fault", lamps: &lamps{found: fleet(1)},
			change: func(s *scenario.Scenario) { s.Experiments[0].Steps[0].Type = "lamp_melt" },
			want:   "plugin lamp has no fault lamp_melt any more", broken: true,
		},
		{
			name: "a plugin that is missing", lamps: &lamps{found: fleet(1)},
			change: func(s *scenario.Scenario) { s.Plugins = append(s.Plugins, scenario.Plugin{Name: "http"}) },
			want:   "plugin http is not there", broken: true,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := gameDay()
			if c.change != nil {
				c.change(s)
			}
			_, err := Build(t.Context(), s, c.lamps, Options{Policy: c.policy})
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Fatalf("got %v\nwant %s", err, c.want)
			}
			var problems Problems
			if errors.As(err, &problems) == c.broken {
				t.Errorf("the error is %T", err)
			}
			if byPolicy := strings.Contains(c.want, " environment staging"); problems.Refused() != byPolicy {
				t.Errorf("refused by the policy: %v", problems.Refused())
			}
		})
	}
}

// All that is wrong is told at once.
func TestBuildTellsAllProblems(t *testing.T) {
	s := gameDay()
	second := *s.Targets[0]
	second.Name, second.Pos, second.Pick = "lamp.others", "day.hcl:12", scenario.Pick{Count: 9}
	s.Targets = append(s.Targets, &second)
	s.Targets[0].Filters = []scenario.Filter{keeps(func(schema.Candidate) (bool, error) { return false, nil })}
	s.Experiments[0].Steps = append(s.Experiments[0].Steps, faultStep(&second, "lamp_dim.two", 0, time.Second))
	_, err := Build(t.Context(), s, &lamps{found: fleet(3)}, Options{})
	var problems Problems
	if !errors.As(err, &problems) || len(problems) != 2 {
		t.Errorf("got %v", err)
	}
}

func TestSkippedExperimentTakesNoTime(t *testing.T) {
	s := gameDay()
	s.Experiments[0].Steps[0].OnEmpty = "skip"
	l := &lamps{}
	p := mustBuild(t, s, l, Options{})
	if p.Experiments[0].Skip != "target lamp.all matches nothing" || p.Longest != 0 || len(l.prepared) != 0 {
		t.Errorf("%+v", p.Experiments[0])
	}
}

// Nothing sensitive is in the form that is written down, and the same inputs make
// the same plan.
func TestEncode(t *testing.T) {
	p := mustBuild(t, gameDay(), &lamps{found: fleet(9)}, Options{Workdir: "/w"})
	raw, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{`"secret":"p"`, `"secret":"m"`, `"secret":"s"`, `"full"`} {
		if bytes.Contains(raw, []byte(secret)) {
			t.Errorf("the plan says %s", secret)
		}
	}
	again, err := mustBuild(t, gameDay(), &lamps{found: fleet(9)}, Options{Workdir: "/w"}).Encode()
	if err != nil || !bytes.Equal(raw, again) {
		t.Error("the same inputs make another plan")
	}
	back, err := Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	if drift := Drift(back, p); drift != "" {
		t.Error(drift)
	}
	if twice, err := back.Encode(); err != nil || !bytes.Equal(raw, twice) {
		t.Errorf("decoding loses something: %v", err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	p := mustBuild(t, gameDay(), &lamps{found: fleet(9)}, Options{})
	raw, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	change := func(from, to string) []byte {
		if !bytes.Contains(raw, []byte(from)) {
			t.Fatalf("the plan has no %s", from)
		}
		return bytes.Replace(raw, []byte(from), []byte(to), 1)
	}
	for _, c := range []struct {
		name string
		raw  []byte
		want string
	}{
		{"nothing", nil, "read plan: unexpected end of JSON input"},
		{"no JSON", []byte("scenario"), "read plan: invalid character"},
		{"something else", []byte(`{"v":1}`), "read plan: this is no faultline plan"},
		{"a newer format", change(`"format": 1`, `"format": 2`), "the plan has format 2, newer than this faultline reads (1): upgrade faultline"},
		{"another target", change(p.Experiments[0].Steps[0].Targets[0].ID, "id-77"), "read plan: it was changed after it was saved"},
		{"another duration", change(`"duration_ns": 20000000000`, `"duration_ns": 90000000000`), "read plan: it was changed"},
		{"more than we know", change(`"format": 1`, `"format": 1, "more": 1`), "read plan: json: unknown field"},
		{"cut off", raw[:len(raw)/2], "read plan: unexpected end"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := Decode(c.raw); err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestHashIsOfWhatWouldHappen(t *testing.T) {
	was := mustBuild(t, gameDay(), &lamps{found: fleet(9)}, Options{Workdir: "/w", GitCommit: "a"})
	same := gameDay()
	same.Source = "/elsewhere/day.hcl"
	if is := mustBuild(t, same, &lamps{found: fleet(9)}, Options{Workdir: "/elsewhere", GitCommit: "a-dirty"}); is.Hash != was.Hash {
		t.Error("the place of the scenario changes the plan")
	}
	for name, change := range map[string]func(*scenario.Scenario){
		"seed":     func(s *scenario.Scenario) { *s.Seed = 43 },
		"duration": func(s *scenario.Scenario) { s.Experiments[0].Steps[0].Duration++ },
		"target":   func(s *scenario.Scenario) { s.Experiments[0].Objectives[0].Target = 0.98 },
		"limits":   func(s *scenario.Scenario) { s.Limits.MaxTargets = 9 },
		"windows":  func(s *scenario.Scenario) { s.Limits.Windows = []scenario.Window{{To: 24 * time.Hour}} },
		"file":     func(s *scenario.Scenario) { s.Files[0].SHA256 = "bb" },
	} {
		s := gameDay()
		change(s)
		if mustBuild(t, s, &lamps{found: fleet(9)}, Options{Workdir: "/w"}).Hash == was.Hash {
			t.Errorf("another %s makes the same plan", name)
		}
	}
}

func TestDrift(t *testing.T) {
	found := fleet(3)
	was := mustBuild(t, gameDay(), &lamps{found: found}, Options{})
	picked := was.Experiments[0].Steps[0].Targets[0]
	rest := slices.DeleteFunc(slices.Clone(found), func(c schema.Candidate) bool { return c.ID == picked.ID })
	other := slices.Clone(found)
	for i := range other {
		if other[i].ID == picked.ID {
			other[i].ID += "-new"
		}
	}
	for _, c := range []struct {
		name   string
		change func(*scenario.Scenario)
		found  []schema.Candidate
		want   string
	}{
		{name: "none", found: found},
		{name: "a new incarnation is none", found: reincarnated(found)},
		{name: "a file", found: found, change: func(s *scenario.Scenario) { s.Files[0].SHA256 = "bb" }, want: "file day.hcl has changed"},
		{name: "a new file", found: found, change: func(s *scenario.Scenario) { s.Files = append(s.Files, scenario.File{Path: "x.hcl"}) }, want: "file x.hcl is new"},
		{name: "a file that is gone", found: found, change: func(s *scenario.Scenario) { s.Files = nil }, want: "file day.hcl is gone"},
		{name: "the target is gone", found: rest, want: "the targets of lamp_off.one were " + picked.Name + " and are now "},
		{name: "the target is another", found: other, want: "the targets of lamp_off.one have the same names and are others"},
		{name: "the policy", found: found, change: func(s *scenario.Scenario) { s.Limits.MaxTargets = 7 }, want: "its variables, limits or inventory have changed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := gameDay()
			if c.change != nil {
				c.change(s)
			}
			got := Drift(was, mustBuild(t, s, &lamps{found: c.found}, Options{}))
			if c.want == "" && got != "" || !strings.HasPrefix(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	newer := *was
	newer.Plugins = []Plugin{{Name: "lamp", Version: "2.0.0"}}
	newer.Hash = "other"
	if got := Drift(was, &newer); got != "plugin lamp was version 1.2.3 and is now 2.0.0" {
		t.Errorf("got %q", got)
	}
}

func TestDriftOfBinaries(t *testing.T) {
	sum := func(c string) Options { return Options{Checksums: map[string]string{"lamp": strings.Repeat(c, 64)}} }
	build := func(o Options) *Plan { return mustBuild(t, gameDay(), &lamps{found: fleet(4)}, o) }
	was, again, other, unknown := build(sum("a")), build(sum("a")), build(sum("b")), build(Options{})
	if was.Hash != other.Hash {
		t.Errorf("another binary makes another plan: it would not be compared with runs of before")
	}
	if got := Drift(was, again); got != "" {
		t.Errorf("the same binary: %q", got)
	}
	if got, want := Drift(was, other), "the binary of plugin lamp was replaced (it was SHA-256 aaaaaaaaaaaa and is now SHA-256 bbbbbbbbbbbb)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := Drift(was, unknown), "the binary of plugin lamp was replaced (it was SHA-256 aaaaaaaaaaaa and is now a process that was attached)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := Drift(unknown, other); got != "" {
		t.Errorf("a plan that does not know its binaries: %q", got)
	}
	raw, err := was.Encode()
	if err != nil {
		t.Fatal(err)
	}
	saved, err := Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	if got := Drift(saved, again); got != "" {
		t.Errorf("a plan that was saved and read: %q", got)
	}
}

// A plan that is reviewed on one platform and run on another knows the binary there if the
// lock file did.
func TestDriftBetweenPlatforms(t *testing.T) {
	laptop, server, evil := strings.Repeat("a", 64), strings.Repeat("b", 64), strings.Repeat("e", 64)
	build := func(platform, sum string, locked ...string) *Plan {
		return mustBuild(t, gameDay(), &lamps{found: fleet(4)}, Options{
			Platform: platform, Checksums: map[string]string{"lamp": sum}, Locked: map[string][]string{"lamp": locked},
		})
	}
	reviewed := build("darwin_arm64", laptop, laptop, server)
	raw, err := reviewed.Encode()
	if err != nil {
		t.Fatal(err)
	}
	saved, err := Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	const unknown = "it was made on darwin_arm64 and knows no binary of plugin lamp for linux_amd64"
	for _, c := range []struct {
		name       string
		saved, now *Plan
		want       string
	}{
		{"the same release", saved, build("linux_amd64", server, laptop, server), ""},
		{"locked anew", saved, build("linux_amd64", evil, laptop, evil), unknown},
		{"replaced on the same platform", saved, build("darwin_arm64", evil, laptop, evil), "the binary of plugin lamp was replaced"},
		{"without a lock file", build("darwin_arm64", laptop), build("linux_amd64", server), unknown},
		{"a lock file that did not vouch for it", build("darwin_arm64", evil, laptop, server), build("linux_amd64", server, laptop, server), unknown},
	} {
		if c.saved.Hash != c.now.Hash {
			t.Errorf("%s: the platform makes another plan", c.name)
		}
		if got := Drift(c.saved, c.now); c.want == "" && got != "" || !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func reincarnated(all []schema.Candidate) []schema.Candidate {
	out := slices.Clone(all)
	for i := range out {
		out[i].Incarnation = "2"
	}
	return out
}

func TestShow(t *testing.T) {
	wide := gameDay()
	wide.Limits = scenario.Limits{MaxTargets: 5, MaxPercent: 50, KeepPerZone: 1, Windows: []scenario.Window{{Days: []time.Weekday{time.Monday, time.Tuesday}, From: 9 * time.Hour, To: 16 * time.Hour, Zone: time.UTC}}}
	wide.Guards = []*scenario.Guard{{Name: "dark", Probe: wide.Probes[0], Good: good("sample.value < 3 && sample.latency < 0.5"), For: 2 * time.Second, NoDataAfter: 10 * time.Second}}
	e := wide.Experiments[0]
	wide.Targets[0].Pick.Count = 4
	e.Hypothesis = "When a third of the street is dark nobody stumbles, because the lamps that are left shine brighter"
	e.Steps[0].Start = 90 * time.Second
	e.Steps = append(e.Steps, faultStep(wide.Targets[0], "lamp_dim.two", 5*time.Second, 10*time.Minute, "lamp_off.one"),
		&scenario.Step{Kind: scenario.ActionStep, Name: "lamp_note.n", Type: "lamp_note", Plugin: "lamp", Start: time.Second})
	slow := gameDay()
	slow.Title, slow.Environment = "", ""
	slow.Probes[0].Interval = time.Second
	slow.Experiments = append(slow.Experiments, &scenario.Experiment{Name: "left-out", Steps: []*scenario.Step{faultStep(&scenario.Target{Name: "lamp.none", OnEmpty: "skip"}, "lamp_off.none", 0, time.Second)}},
		&scenario.Experiment{Name: "check", Objectives: slow.Experiments[0].Objectives, Observe: 5 * time.Minute})
	slow.Targets = append(slow.Targets, &scenario.Target{Name: "lamp.none", Plugin: "lamp", Filters: []scenario.Filter{keeps(func(schema.Candidate) (bool, error) { return false, nil })}, OnEmpty: "skip"})
	for name, s := range map[string]*scenario.Scenario{"narrow": gameDay(), "wide": wide, "doubtful": slow} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := mustBuild(t, s, &lamps{found: fleet(12, "a", "b", "c")}, Options{}).Show(&b); err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(b.String()) {
				if len(strings.TrimRight(line, "\n")) > 100 || strings.TrimRight(line, " \n") != strings.TrimRight(line, "\n") {
					t.Errorf("too wide, or with blanks at its end: %q", line)
				}
			}
			path := filepath.Join("testdata", "show", name+".txt")
			if *update {
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, b.Bytes(), 0o644)); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if b.String() != string(want) {
				t.Errorf("got\n%s\nwant\n%s", b.String(), want)
			}
		})
	}
}

// failingWriter is a terminal that is gone.
type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errors.New("gone") }

func TestShowFails(t *testing.T) {
	if err := mustBuild(t, gameDay(), &lamps{found: fleet(2)}, Options{}).Show(failingWriter{}); err == nil {
		t.Error("nothing was said")
	}
}

func TestRound(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 90 * time.Second: "1m30s", 2 * time.Minute: "2m", time.Hour: "1h", time.Hour + time.Minute: "1h1m", 1234 * time.Millisecond: "1.2s", 250 * time.Millisecond: "250ms",
	} {
		if got := round(d); got != want {
			t.Errorf("%s is %s, want %s", d, got, want)
		}
	}
}
