package plan

import (
	"strings"
	"testing"
	"time"

	"github.com/faultline-go/faultline/engine/scenario"
	"github.com/faultline-go/faultline/sdk/schema"
)

// on gives a fault targets among what a block discovered.
func on(s Step, set []schema.Candidate, picked ...int) Step {
	s.Target, s.Discovered = "lamp.all", len(set)
	for _, i := range picked {
		c := set[i]
		s.Targets = append(s.Targets, Target{Kind: c.Kind, ID: c.ID, Name: c.Name, Zone: attribute(c, ZoneAttribute), Candidate: c})
	}
	return s
}

func TestLimits(t *testing.T) {
	nine, noZones := fleet(9, "a", "b", "c"), fleet(9)
	for _, c := range []struct {
		name   string
		limits Limits
		steps  []Step
		set    []schema.Candidate
		want   []string // beginnings of the problems
	}{
		{name: "none", steps: []Step{on(faultAt("x", 0, 9), nine, 0, 1, 2, 3, 4, 5, 6, 7, 8)}},
		{name: "as many as allowed", limits: Limits{MaxTargets: 2}, steps: []Step{on(faultAt("x", 0, 9), nine, 0, 1)}},
		{
			name: "too many in one fault", limits: Limits{MaxTargets: 2}, steps: []Step{on(faultAt("x", 0, 9), nine, 0, 1, 2)},
			want: []string{"day.hcl:x: x would be on with others so that 3 targets are touched at once"},
		},
		{
			name: "too many at once", limits: Limits{MaxTargets: 2}, steps: []Step{on(faultAt("x", 0, 9), nine, 0), on(faultAt("y", 5, 9), nine, 1, 2)},
			want: []string{"day.hcl:y: y would be on with others so that 3 targets"},
		},
		{name: "the same target twice is one", limits: Limits{MaxTargets: 1}, steps: []Step{on(faultAt("x", 0, 9), nine, 0), on(faultAt("y", 5, 9), nine, 0)}},
		{name: "not at once", limits: Limits{MaxTargets: 2}, steps: []Step{on(faultAt("x", 0, 9), nine, 0), on(faultAt("y", 0, 9, "x"), nine, 1, 2)}},
		{
			name: "two that do not meet each other meet a third", limits: Limits{MaxTargets: 2},
			steps: []Step{on(faultAt("x", 0, 4), nine, 0), on(faultAt("y", 6, 4), nine, 1), on(faultAt("z", 2, 6), nine, 2)},
		},
		{
			name: "three at the same moment", limits: Limits{MaxTargets: 2},
			steps: []Step{on(faultAt("x", 0, 9), nine, 0), on(faultAt("y", 0, 9), nine, 1), on(faultAt("z", 0, 9), nine, 2)},
			want:  []string{"day.hcl:x: x", "day.hcl:y: y", "day.hcl:z: z"},
		},
		{name: "a share as large as allowed", limits: Limits{MaxPercent: 34}, steps: []Step{on(faultAt("x", 0, 9), nine, 0, 1, 2)}},
		{
			name: "too large a share", limits: Limits{MaxPercent: 33}, steps: []Step{on(faultAt("x", 0, 9), nine, 0, 1, 2)},
			want: []string{"day.hcl:x: x would touch 33 % of what target lamp.all discovered (3 of 9)"},
		},
		{name: "some of each zone stay", limits: Limits{KeepPerZone: 2}, steps: []Step{on(faultAt("x", 0, 9), nine, 0, 1, 2)}, set: nine},
		{
			name: "the last of a zone", limits: Limits{KeepPerZone: 1}, steps: []Step{on(faultAt("x", 0, 9), nine, 0, 3, 6)}, set: nine,
			want: []string{"day.hcl:x: x would leave fewer than 1 untouched in zone a"},
		},
		{
			name: "two faults take the last of a zone", limits: Limits{KeepPerZone: 1},
			steps: []Step{on(faultAt("x", 0, 9), nine, 0, 3), on(faultAt("y", 5, 9), nine, 6)}, set: nine,
			want: []string{"day.hcl:y: y would leave fewer than 1 untouched in zone a"},
		},
		{
			name: "an unknown zone", limits: Limits{KeepPerZone: 1}, steps: []Step{on(faultAt("x", 0, 9), noZones, 0)}, set: noZones,
			want: []string{"day.hcl:x: the zone of lamp-0 is not known"},
		},
		{
			name: "a zone that nobody touches may be small", limits: Limits{KeepPerZone: 2},
			steps: []Step{on(faultAt("x", 0, 9), fleet(7, "a", "b", "a"), 0)}, set: fleet(7, "a", "b", "a"),
		},
		{name: "actions have no targets", limits: Limits{MaxTargets: 1, MaxPercent: 1, KeepPerZone: 1}, steps: []Step{actionAt("n", 0)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := &Experiment{Steps: c.steps}
			if err := layOut(e.Steps); err != nil {
				t.Fatal(err)
			}
			ps := checkLimits(c.limits, e, map[string]targetSet{"lamp.all": {passed: c.set}}, func(s string) string { return "day.hcl:" + s })
			if len(ps) != len(c.want) {
				t.Fatalf("got %v, want %q", ps, c.want)
			}
			for i, p := range ps {
				if !strings.HasPrefix(p.Pos+": "+p.Summary, c.want[i]) {
					t.Errorf("got %s: %s, want %s", p.Pos, p.Summary, c.want[i])
				}
				if p.Detail == "" {
					t.Errorf("%s does not say what to do", p.Summary)
				}
			}
		})
	}
}

func TestWindows(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	office := scenario.Window{Days: []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday}, From: 9 * time.Hour, To: 16 * time.Hour, Zone: berlin}
	night := scenario.Window{To: 24 * time.Hour, From: 22 * time.Hour, Zone: time.UTC}
	allDay := scenario.Window{To: 24 * time.Hour, Zone: time.UTC, Days: []time.Weekday{time.Monday, time.Tuesday}}
	utc := func(s string) time.Time {
		at, err := time.Parse("2006-01-02 15:04:05", s)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	for _, c := range []struct {
		name    string
		windows []scenario.Window
		policy  []scenario.Window
		at      time.Time
		lasts   time.Duration
		want    bool
	}{
		{name: "no windows", at: utc("2026-11-22 03:00:00"), lasts: 100 * time.Hour, want: true},
		{name: "monday noon", windows: []scenario.Window{office}, at: utc("2026-11-23 11:00:00"), lasts: time.Hour, want: true},
		{name: "sunday noon", windows: []scenario.Window{office}, at: utc("2026-11-22 11:00:00"), lasts: time.Hour},
		{name: "nine in Berlin is eight in UTC", windows: []scenario.Window{office}, at: utc("2026-11-23 08:00:00"), lasts: time.Hour, want: true},
		{name: "a second before nine", windows: []scenario.Window{office}, at: utc("2026-11-23 07:59:59"), lasts: time.Hour},
		{name: "in summer it is seven", windows: []scenario.Window{office}, at: utc("2026-07-06 07:00:00"), lasts: time.Hour, want: true},
		{name: "it ends just inside", windows: []scenario.Window{office}, at: utc("2026-11-23 14:00:00"), lasts: time.Hour, want: true},
		{name: "it would end outside", windows: []scenario.Window{office}, at: utc("2026-11-23 14:00:01"), lasts: time.Hour},
		{name: "inside again the next day is not inside", windows: []scenario.Window{office}, at: utc("2026-11-23 14:00:00"), lasts: 20 * time.Hour},
		{name: "one of two", windows: []scenario.Window{office, night}, at: utc("2026-11-22 22:30:00"), lasts: time.Hour, want: true},
		{name: "not from one into the other", windows: []scenario.Window{office, night}, at: utc("2026-11-23 14:30:00"), lasts: 8 * time.Hour},
		{name: "up to midnight", windows: []scenario.Window{night}, at: utc("2026-11-22 23:00:00"), lasts: time.Hour, want: true},
		{name: "past midnight", windows: []scenario.Window{night}, at: utc("2026-11-22 23:00:00"), lasts: 2 * time.Hour},
		{name: "a window lies within one day", windows: []scenario.Window{allDay}, at: utc("2026-11-23 23:30:00"), lasts: time.Hour},
		{name: "both the scenario's and the policy's", windows: []scenario.Window{allDay}, policy: []scenario.Window{office}, at: utc("2026-11-23 09:00:00"), lasts: time.Hour, want: true},
		{name: "only the scenario's", windows: []scenario.Window{allDay}, policy: []scenario.Window{office}, at: utc("2026-11-23 03:00:00"), lasts: time.Hour},
		{name: "only the policy's", windows: []scenario.Window{night}, policy: []scenario.Window{office}, at: utc("2026-11-23 09:00:00"), lasts: time.Hour},
		{name: "by the wall clock when clocks change", windows: []scenario.Window{{From: 9 * time.Hour, To: 10 * time.Hour, Zone: berlin}}, at: utc("2026-10-25 08:30:00"), lasts: time.Minute, want: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &Plan{Longest: c.lasts, Limits: Limits{windows: c.windows, policyWindows: c.policy}}
			if got := p.InWindow(c.at); got != c.want {
				t.Errorf("in the window: %v", got)
			}
		})
	}
}

func TestDescribeWindow(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for want, w := range map[string]scenario.Window{
		"mon,fri 09:30-16:00 Europe/Berlin": {Days: []time.Weekday{time.Monday, time.Friday}, From: 9*time.Hour + 30*time.Minute, To: 16 * time.Hour, Zone: berlin},
		"00:00-24:00":                       {To: 24 * time.Hour},
	} {
		if got := describeWindow(w); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestPolicyOnlyTightens(t *testing.T) {
	for _, c := range []struct{ scenario, policy, want Limits }{
		{Limits{}, Limits{MaxTargets: 1, MaxPercent: 10, KeepPerZone: 1}, Limits{MaxTargets: 1, MaxPercent: 10, KeepPerZone: 1}},
		{Limits{MaxTargets: 3, MaxPercent: 50, KeepPerZone: 2}, Limits{}, Limits{MaxTargets: 3, MaxPercent: 50, KeepPerZone: 2}},
		{Limits{MaxTargets: 3, MaxPercent: 5, KeepPerZone: 2}, Limits{MaxTargets: 2, MaxPercent: 10, KeepPerZone: 1}, Limits{MaxTargets: 2, MaxPercent: 5, KeepPerZone: 2}},
	} {
		p := &Policy{Limits: scenario.Limits{MaxTargets: c.policy.MaxTargets, MaxPercent: c.policy.MaxPercent, KeepPerZone: c.policy.KeepPerZone}}
		got := limitsOf(scenario.Limits{MaxTargets: c.scenario.MaxTargets, MaxPercent: c.scenario.MaxPercent, KeepPerZone: c.scenario.KeepPerZone}, p)
		if got.MaxTargets != c.want.MaxTargets || got.MaxPercent != c.want.MaxPercent || got.KeepPerZone != c.want.KeepPerZone {
			t.Errorf("%+v under %+v is %+v", c.scenario, c.policy, got)
		}
	}
}
