package coverage

import (
	"slices"
	"testing"
	"time"

	"github.com/faultline-go/faultline/engine/history"
	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/engine/scenario"
	"github.com/faultline-go/faultline/sdk/schema"
)

var now = time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)

func daysAgo(n int) time.Time { return now.AddDate(0, 0, -n) }

func day(name, environment string, steps map[string][]*scenario.Step, targets ...*scenario.Target) *scenario.Scenario {
	s := &scenario.Scenario{Name: name, Environment: environment, Targets: targets}
	for e, of := range steps {
		s.Experiments = append(s.Experiments, &scenario.Experiment{Name: e, Steps: of})
	}
	return s
}

func TestOf(t *testing.T) {
	web := &scenario.Target{Name: "docker_container.web", Type: "docker_container"}
	db := &scenario.Target{Name: "docker_container.db", Type: "docker_container"}
	lamp := &scenario.Target{Name: "lamp.street", Type: "lamp"}
	fault := func(typ string, on *scenario.Target) *scenario.Step {
		return &scenario.Step{Kind: scenario.FaultStep, Type: typ, Target: on}
	}
	scenarios := []*scenario.Scenario{
		day("shop", "", map[string][]*scenario.Step{"lose-one": {fault("docker_kill", web)}, "slow": {fault("net_delay", web), {Kind: scenario.ActionStep, Type: "exec"}}}, web, db),
		day("other", "", map[string][]*scenario.Step{"lose-one": {fault("docker_kill", web)}}, web, lamp),
		day("live", "production", map[string][]*scenario.Step{"lose-one": {fault("docker_kill", web)}}, web),
	}
	plugins := []*schema.Description{
		{Name: "docker", Targets: []schema.Target{{Type: "docker_container", Interfaces: []string{"container", "netns"}}}, Faults: []schema.Fault{
			{Type: "docker_kill", Accepts: []schema.Accept{{Interface: "container"}}}, {Type: "docker_pause", Accepts: []schema.Accept{{Interface: "container"}}},
			{Type: "docker_zoned", Accepts: []schema.Accept{{Interface: "container", Attributes: []string{"nobody-reports-this"}}}}}},
		{Name: "net", Faults: []schema.Fault{{Type: "net_delay", Accepts: []schema.Accept{{Interface: "netns"}}}, {Type: "net_dns", Accepts: []schema.Accept{{Interface: "process"}}}}},
	}
	tried := []history.Tried{
		{Scenario: "shop", Experiment: "lose-one", Type: "docker_kill", TargetBlock: web.Name, Last: daysAgo(9), Verdict: judge.Held, LastHeld: daysAgo(9), Runs: 3},
		{Scenario: "removed", Experiment: "x", Type: "docker_kill", TargetBlock: web.Name, Last: daysAgo(1), Verdict: judge.Broken, LastHeld: daysAgo(30), Runs: 2},
		{Scenario: "live", Environment: "production", Experiment: "lose-one", Type: "docker_kill", TargetBlock: web.Name, Last: daysAgo(2), Verdict: judge.Broken, Runs: 1},
		{Scenario: "shop", Experiment: "slow", Type: "net_delay", Last: daysAgo(4), Verdict: judge.Inconclusive, Runs: 1}, // of an early journal
		{Scenario: "shop", Experiment: "gone", Type: "docker_pause", TargetBlock: web.Name, Last: daysAgo(4), Verdict: judge.Held, LastHeld: daysAgo(4), Runs: 1},
	}
	c := Of(scenarios, plugins, tried, now)
	if c.Format != Format || c.Scenarios != 3 || len(c.Rows) != 3 || len(c.Groups) != 4 {
		t.Fatalf("%+v", c)
	}
	kill := c.Rows[0]
	if kill.Fault != "docker_kill" || kill.Environment != "" || kill.Runs != 5 || kill.Verdict != judge.Broken || !kill.LastTried.Equal(daysAgo(1)) ||
		!kill.LastHeld.Equal(daysAgo(9)) || *kill.DaysSinceHeld != 9 || !slices.Equal(kill.Experiments, []string{"other/lose-one", "shop/lose-one"}) {
		t.Errorf("%+v", kill)
	}
	if delay := c.Rows[1]; delay.Fault != "net_delay" || delay.Verdict != judge.Inconclusive || delay.LastHeld != nil || delay.DaysSinceHeld != nil || delay.Runs != 1 {
		t.Errorf("%+v", delay)
	}
	if live := c.Rows[2]; live.Environment != "production" || live.Verdict != judge.Broken || live.LastHeld != nil || live.Runs != 1 {
		t.Errorf("%+v", live)
	}
	for i, want := range []struct {
		group   string
		untried []string
	}{
		{"docker_container.db", []string{"docker_kill", "docker_pause", "net_delay"}}, // declared, and never used
		{"docker_container.web", []string{"docker_pause"}},
		{"docker_container.web", []string{"docker_pause", "net_delay"}},
		{"lamp.street", []string{}}, // its plugin is not here
	} {
		if g := c.Groups[i]; g.Group != want.group || !slices.Equal(g.Untried, want.untried) {
			t.Errorf("%+v, want %+v", g, want)
		}
	}
}
