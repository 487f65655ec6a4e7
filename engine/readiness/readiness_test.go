package readiness

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/engine/plan"
	"github.com/faultline-go/faultline/engine/scenario"
)

var noon = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)

// well is a game day that may begin.
func well() Facts {
	return Facts{
		Now: noon, Path: "day",
		Scenario: &scenario.Scenario{Name: "day", Runbook: "https://wiki/day", Owner: "shop", Checklist: []string{"On-call knows"}},
		Plugins:  []Plugin{{Name: "http", Version: "1.2.0", SHA256: "0123456789abcdef"}},
		Plan: &plan.Plan{Experiments: []plan.Experiment{{
			Spec:  journal.ExperimentSpec{Name: "x"},
			Steps: []plan.Step{{Name: "kill.web", Target: "web", Discovered: 3, Targets: make([]plan.Target, 1)}},
			Needs: []judge.Needs{{Objective: "a.b", Phase: journal.During, Expected: 500, ForHeld: 299, Concludes: true}},
		}}},
		Drill:    &Drill{At: noon.Add(-50 * time.Hour), By: "ada", Took: 200 * time.Millisecond, Runs: 1},
		Baseline: []*judge.Experiment{{Objectives: []judge.ObjectiveResult{{Objective: "a.b", N: 100, Bad: 1, Verdict: judge.Inconclusive}}}},
		Ticks:    map[string]Tick{"on-call-knows": {By: "commander", At: noon.Add(-time.Hour)}},
	}
}

func TestChecklist(t *testing.T) {
	items := Checklist(well())
	if !Ready(items) {
		t.Errorf("not ready: %+v", items)
	}
	for _, i := range items {
		if i.Evidence == "" || i.Next != "" {
			t.Errorf("%s: evidence %q, next %q", i.ID, i.Evidence, i.Next)
		}
	}
	for name, c := range map[string]struct {
		change func(*Facts)
		item   string
		state  State
		says   string
	}{
		"a plugin that is missing":   {func(f *Facts) { f.Plugins[0].Err = errors.New("not found") }, "plugins", Failed, "http: not found"},
		"a plugin that is unchecked": {func(f *Facts) { f.Plugins[0].Note = "plugin http was not checked: so" }, "plugins", Failed, "http 1.2.0 (sha256 0123456789ab…), plugin http was not checked: so"},
		"no plan":                    {func(f *Facts) { f.Plan, f.PlanErr = nil, errors.New("no target matches") }, "targets", Failed, "no target matches"},
		"no plan, and what to do": {func(f *Facts) {
			f.Plan, f.PlanErr = nil, errors.New("day.hcl:3: a is denied\n  By p.\nday.hcl:4: b is denied\n  By p.")
		}, "targets", Failed, "day.hcl:3: a is denied. By p. day.hcl:4: b is denied. By p."},
		"a target that is skipped":    {func(f *Facts) { f.Plan.Experiments[0].Skip = "nothing matches" }, "targets", Failed, "x: nothing matches"},
		"a run without an end":        {func(f *Facts) { f.Pending = []string{"r1"} }, "residue", Failed, "r1"},
		"residue":                     {func(f *Facts) { f.Findings = make([]journal.Finding, 3) }, "residue", Failed, "and 2 more"},
		"a scan that fails":           {func(f *Facts) { f.ScanErr = errors.New("no engine") }, "residue", Open, "no engine"},
		"a halt":                      {func(f *Facts) { f.Halt = "by bob: smoke" }, "halt", Failed, "by bob: smoke"},
		"too few samples":             {func(f *Facts) { f.Plan.Experiments[0].Needs[0].Concludes = false }, "samples", Failed, "500 of 299"},
		"a broken baseline":           {func(f *Facts) { f.Baseline[0].Objectives[0].Verdict = judge.Broken }, "baseline", Failed, "1 of 100 bad"},
		"a baseline without data":     {func(f *Facts) { f.Baseline[0].Objectives[0].N = 0 }, "baseline", Failed, "a.b: no data"},
		"a guard that trips":          {func(f *Facts) { f.Trips = []judge.GuardTrip{{Guard: "g", Reason: "dark"}} }, "baseline", Failed, "guard g tripped: dark"},
		"a baseline not measured":     {func(f *Facts) { f.Baseline, f.Why = nil, "there is no plan" }, "baseline", Open, "there is no plan"},
		"no runbook":                  {func(f *Facts) { f.Scenario.Runbook = "" }, "runbook", Failed, "names none"},
		"no owner":                    {func(f *Facts) { f.Scenario.Owner = "" }, "owner", Failed, "no owner"},
		"no drill":                    {func(f *Facts) { f.Drill = nil }, "drill", Failed, "never"},
		"a drill of long ago":         {func(f *Facts) { f.Drill.At = noon.Add(-DrillLasts - 24*time.Hour) }, "drill", Failed, "91 days ago"},
		"a drill that stopped no run": {func(f *Facts) { f.Drill.Runs = 0 }, "drill", Failed, "with 0 runs on"},
		"nobody ticked":               {func(f *Facts) { f.Ticks = nil }, "on-call-knows", Open, "nobody"},
		"ticked for an earlier day": {func(f *Facts) { f.Ticks["on-call-knows"] = Tick{By: "commander", At: noon.Add(-2 * TickLasts)} },
			"on-call-knows", Open, "was ticked by commander 2 days ago"},
	} {
		t.Run(name, func(t *testing.T) {
			f := well()
			c.change(&f)
			items := Checklist(f)
			if Ready(items) {
				t.Error("it is ready")
			}
			for _, i := range items {
				if i.ID == c.item {
					if i.State != c.state || !strings.Contains(i.Evidence, c.says) {
						t.Errorf("it is %s: %s", i.State, i.Evidence)
					}
				} else if i.State != OK && !(c.item == "targets" && f.Plan == nil && i.ID == "samples") {
					t.Errorf("%s is %s, too: %s", i.ID, i.State, i.Evidence)
				}
			}
		})
	}
}

// A plugin that was not started, or ran already, has no checksum to show.
func TestPluginWithoutChecksum(t *testing.T) {
	f := well()
	f.Plugins[0].SHA256 = ""
	if i := Checklist(f)[0]; i.Evidence != "http 1.2.0" {
		t.Errorf("it says %q", i.Evidence)
	}
}

func TestTicks(t *testing.T) {
	state := t.TempDir()
	if all, err := Ticks(state, "day/one"); err != nil || all != nil {
		t.Errorf("before anybody ticked: %v, %v", all, err)
	}
	for item, by := range map[string]string{"a": "on-call", "b": "commander"} {
		if err := PutTick(state, "day/one", item, Tick{By: by, At: noon}); err != nil {
			t.Fatal(err)
		}
	}
	all, err := Ticks(state, "day/one")
	if err != nil || len(all) != 2 || all["b"].By != "commander" || !all["a"].At.Equal(noon) {
		t.Errorf("ticks %v, %v", all, err)
	}
	if other, err := Ticks(state, "another"); err != nil || other != nil {
		t.Errorf("of another scenario: %v, %v", other, err)
	}
	if err := os.WriteFile(filepath.Join(state, "checks", "day-one.json"), []byte(`{"format": 9}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := PutTick(state, "day/one", "c", Tick{}); err == nil || !strings.Contains(err.Error(), "newer") {
		t.Errorf("of a newer faultline: %v", err)
	}
}
