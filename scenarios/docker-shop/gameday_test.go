// Package dockershop_test runs the game day of this folder on the real Docker engine,
// with faultline and its plugins as the processes that users have. What a run says of
// itself is held against what the engine says.
package dockershop_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/events"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
)

// deed is what one experiment is to do to its target: what the engine is to say, and
// what the report.
type deed struct {
	experiment string
	actions    []string      // of the engine
	lasts      time.Duration // from the first to the last of them, at least
	cause      string
	outcome    journal.Outcome
	by         string
	effect     string
}

func TestGameDay(t *testing.T) {
	s, o := newSystem(t), newOperator(t)
	// Seldom, so that a busy machine is not too late for a sample, and with a target that
	// its slowness does not miss. A shop that loses one web container in three, or does
	// not get well, misses it by far.
	args := []string{"-seed", "7", "-var", "rate=5", "-var", "target=0.75"}
	planned := o.plans(t, s, ".", args...)
	g := o.starts(t, s, ".", args...)
	code := g.code(t)
	s.close(t)
	r := o.report(t)

	if code != judge.ExitHeld || r.Verdict != judge.Held || len(r.Residue) > 0 {
		t.Errorf("exit code %d, verdict %s, residue %v; want 0, held, none", code, r.Verdict, r.Residue)
	}
	deeds := []deed{
		{"lose-one-web", []string{"die", "start"}, 10 * time.Second, "duration", journal.Reverted, "engine", "ended with exit code 137"},
		{"store-hangs", []string{"pause", "unpause"}, 5 * time.Second, "duration", journal.Reverted, "engine", "paused"},
		{"restart-a-zone", []string{"die", "start"}, 0, "target", journal.AlreadyGone, "target", "came back by itself"},
	}
	if len(r.Experiments) != len(deeds) {
		t.Fatalf("the report has %d experiments, want %d", len(r.Experiments), len(deeds))
	}
	expected := map[string][]string{}
	for i, d := range deeds {
		role := s.roles[planned[d.experiment]]
		expected[role] = append(expected[role], d.actions...)
		d.check(t, s, role, r.Experiments[i])
	}
	killed, restarted := s.roles[planned["lose-one-web"]], s.roles[planned["restart-a-zone"]]
	s.checkKill(t, killed)
	s.checkRestart(t, restarted, r.Experiments[2])

	// Nothing but that has happened, to nobody else.
	for role := range s.before {
		life, networks := s.happened(role)
		if got := actions(life); !slices.Equal(got, expected[role]) {
			t.Errorf("the engine says that %s did %q, want %q", role, got, expected[role])
		}
		lost := strings.Count(strings.Join(expected[role], " "), "die") // its networks, each time
		if got := actions(networks); !slices.Equal(got, slices.Repeat([]string{"disconnect", "connect"}, lost)) {
			t.Errorf("the networks of %s: %q, want them lost and back %d times", role, got, lost)
		}
	}
	s.restored(t, killed, restarted)
}

// check holds an experiment's report against the plan and the engine.
func (d deed) check(t *testing.T, s *system, role string, x judge.Experiment) {
	t.Helper()
	if x.Name != d.experiment || x.Verdict != judge.Held || x.Ending != journal.Completed {
		t.Errorf("experiment %s: %s, %s: %v; want %s held, completed", x.Name, x.Verdict, x.Ending, x.Reasons, d.experiment)
	}
	if len(x.Faults) != 1 || len(x.Faults[0].Targets) != 1 {
		t.Fatalf("%s: faults %+v, want one with one target", x.Name, x.Faults)
	}
	f, target := x.Faults[0], x.Faults[0].Targets[0]
	if s.roles[target.ID] != role {
		t.Errorf("%s was planned for %s and reports %s", f.Name, role, target.Name)
	}
	if !f.Bites || !target.Bites || !strings.Contains(target.Effect, d.effect) {
		t.Errorf("%s: effect %q (bites: %t), want %q", f.Name, target.Effect, target.Bites, d.effect)
	}
	if f.State != judge.FaultReverted || f.Cause != d.cause || target.Outcome != d.outcome || target.By != d.by || target.Proof == "" {
		t.Errorf("%s: %s because of %s; %s by %s, proof %q; want %s, %s by %s", f.Name, f.State, f.Cause, target.Outcome, target.By, target.Proof, d.cause, d.outcome, d.by)
	}
	// All of it between the moments where the report has the intent on disk and the
	// revert verified.
	i := slices.IndexFunc(x.Phases, func(p judge.PhaseSpan) bool { return p.Phase == journal.During })
	if i < 0 {
		t.Fatalf("%s: no phase with a fault", x.Name)
	}
	life := s.between(role, x.Phases[i].From, x.Phases[i].To)
	if !slices.Equal(actions(life), d.actions) {
		t.Fatalf("%s: while it was on, the engine says %q of %s, want %q", f.Name, actions(life), role, d.actions)
	}
	if took := when(life[len(life)-1]).Sub(when(life[0])); took < d.lasts {
		t.Errorf("%s: by the engine it was on for %s, want at least %s", f.Name, took, d.lasts)
	}
}

// checkKill looks at how a container died the first time.
func (s *system) checkKill(t *testing.T, role string) {
	t.Helper()
	request, asked := s.first(role, events.ActionKill)
	died, _ := s.first(role, events.ActionDie)
	if signal := request.Actor.Attributes["signal"]; !asked || signal != "9" {
		t.Errorf("%s was sent signal %q, want 9", role, signal)
	}
	if code := died.Actor.Attributes["exitCode"]; code != "137" {
		t.Errorf("%s died with exit code %q, want 137", role, code)
	}
}

// checkRestart compares how long the container was away, by the report and by the
// engine.
func (s *system) checkRestart(t *testing.T, role string, x judge.Experiment) {
	t.Helper()
	if _, asked := s.first(role, events.ActionRestart); !asked {
		t.Errorf("%s was not restarted: %s", role, s.record)
	}
	now := s.look(t)[role]
	away := now.StartedAt.Sub(now.FinishedAt).Seconds()
	if down := x.Faults[0].Targets[0].Measures["down_s"]; down <= 0 || down != away {
		t.Errorf("the report says that %s was away for %g s, the engine %g s", role, down, away)
	}
}

func TestGameDayWithoutRetry(t *testing.T) {
	s, o := newSystem(t, "-retry=false"), newOperator(t)
	day := only(t, "lose-one-web", "")
	killed := s.roles[o.plans(t, s, day, "-seed", "7")["lose-one-web"]]
	code := o.starts(t, s, day, "-seed", "7").code(t)
	s.close(t)
	r := o.report(t)

	if code != judge.ExitBroken || r.Verdict != judge.Broken || len(r.Experiments) != 1 {
		t.Fatalf("exit code %d, verdict %s of %d experiments; want 1, broken of 1", code, r.Verdict, len(r.Experiments))
	}
	x := r.Experiments[0]
	if len(x.Lost) != 1 || x.Lost[0].Failed == 0 || x.Lost[0].Failed >= x.Lost[0].Sent {
		t.Errorf("lost requests: %+v, want some", x.Lost)
	}
	if x.Ending != journal.StoppedEarly || x.EarlyStop == nil || x.EarlyStop.Objective != "checkout.available" || len(x.Faults) != 1 || x.Faults[0].Cause != "early_stop" {
		t.Errorf("%s, early stop %+v, faults %+v; want it stopped early", x.Ending, x.EarlyStop, x.Faults)
	}
	life, _ := s.happened(killed)
	if !slices.Equal(actions(life), []string{"die", "start"}) {
		t.Fatalf("the engine says that %s did %q, want die, start", killed, actions(life))
	}
	if down := when(life[1]).Sub(when(life[0])); down >= 10*time.Second {
		t.Errorf("%s was down for %s, which is no early stop of 10 s", killed, down)
	}
	s.checkKill(t, killed)
	if got := s.touched(); !slices.Equal(got, []string{killed}) {
		t.Errorf("touched %q, want %s only", got, killed)
	}
	s.restored(t, killed)
}
