package live

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/plan"
	"github.com/faultline-go/faultline/engine/run"
	"github.com/faultline-go/faultline/sdk/schema"
)

var update = flag.Bool("update", false, "write the golden files")

// day is a plan with a fault and a guard.
func day() *plan.Plan {
	spec := journal.ExperimentSpec{
		Name: "lose-one-web", Expect: journal.Tolerate, Baseline: 10 * time.Second, Planned: 20 * time.Second, Observe: 10 * time.Second,
		Objectives: []journal.ObjectiveSpec{
			{Name: "checkout.available", Probe: "http.checkout", Target: 0.99, DuringTarget: 0.99, MinSamples: 30, Rate: 2},
			{Name: "checkout.fast", Probe: "http.checkout", Target: 0.95, DuringTarget: 0.95, MinSamples: 30, Rate: 2},
		},
		Faults: []journal.FaultSpec{{Name: "docker_kill.web", Type: "docker_kill", Targets: []string{"web-1"}, Duration: 20 * time.Second}},
	}
	return &plan.Plan{
		Experiments: []plan.Experiment{{Spec: spec}, {Spec: journal.ExperimentSpec{Name: "other"}}},
		Guards:      []plan.Guard{{Name: "payments", Probe: "prometheus.payments", Good: "sample.value < 0.05", For: 2 * time.Second, NoDataAfter: 10 * time.Second}},
	}
}

// story tells a state of that day, half-way through the fault.
func story(s *state) time.Time {
	at := func(sec float64) time.Time { return noon.Add(time.Duration(sec * float64(time.Second))) }
	tell := func(sec float64, d journal.Data) { s.event(journal.Event{Time: at(sec), Epoch: 1, Data: d}) }
	samples := func(from, to float64, letter string) {
		for sec := from; sec < to; sec += 0.5 {
			s.progress(run.Progress{
				Probe: "http.checkout", Samples: []schema.Sample{{Scheduled: at(sec), Status: schema.OK, Latency: 0.01 + sec/1000}},
				Good: map[string]string{"checkout.available": letter, "checkout.fast": "1"},
			})
		}
	}
	tell(0, &journal.RunStarted{Run: "r", Experiments: []journal.ExperimentSpec{s.plan.Experiments[0].Spec, s.plan.Experiments[1].Spec}})
	tell(0, &journal.ExperimentStarted{Experiment: "lose-one-web"})
	tell(0, &journal.PhaseStarted{Experiment: "lose-one-web", Phase: journal.Baseline})
	samples(0, 10, "1")
	tell(10, &journal.FaultIntent{
		ID: "f001", Experiment: "lose-one-web", Fault: "docker_kill.web", Type: "docker_kill", Plugin: "docker",
		Lease: 15 * time.Second, HardEnd: 35 * time.Second, Targets: []journal.TargetIntent{{ID: "c1", Name: "web-1"}},
	})
	tell(10, &journal.PhaseStarted{Experiment: "lose-one-web", Phase: journal.During})
	tell(10.1, &journal.FaultActive{ID: "f001", Targets: []journal.TargetState{{ID: "c1", OK: true, At: at(10.1)}}})
	samples(10, 14, "1")
	samples(14, 16, "0")
	samples(16, 20, "1")
	s.renewed["docker"] = at(18)
	s.progress(run.Progress{Probe: "prometheus.payments", Guards: []run.GuardState{{Guard: "payments", Failing: true, Bad: 1300 * time.Millisecond, LastData: at(14)}}})
	return at(20)
}

func TestFrame(t *testing.T) {
	for name, size := range map[string]struct{ width, rows int }{
		"wide": {120, 24}, "usual": {80, 24}, "narrow": {40, 24}, "low": {80, 5},
	} {
		t.Run(name, func(t *testing.T) {
			s := newState(day())
			now := story(s)
			lines := s.frame(now, size.width, size.rows, newPalette(false))
			if len(lines) > size.rows {
				t.Errorf("%d lines, want at most %d", len(lines), size.rows)
			}
			for _, l := range lines {
				if n := len([]rune(l)); n > size.width {
					t.Errorf("%d columns, want at most %d: %q", n, size.width, l)
				}
			}
			golden(t, name, strings.Join(lines, "\n")+"\n")
		})
	}
}

func TestFrameOfNothing(t *testing.T) {
	s := newState(day())
	if lines := s.frame(noon, 80, 24, newPalette(false)); len(lines) != 0 {
		t.Errorf("before anything began: %q", lines)
	}
}

// A name from a plugin must not move the cursor.
func TestFrameIsHarmless(t *testing.T) {
	p := day()
	p.Experiments[0].Spec.Name = "lose-one-web\x1b[2J"
	s := newState(p)
	story(s)
	s.event(journal.Event{Time: noon, Data: &journal.ExperimentStarted{Experiment: p.Experiments[0].Spec.Name}})
	s.event(journal.Event{Time: noon, Data: &journal.PhaseStarted{Experiment: p.Experiments[0].Spec.Name, Phase: journal.Baseline}})
	all := strings.Join(append(s.frame(noon, 80, 24, newPalette(false)), s.takeLines(0)...), "\n")
	if strings.ContainsRune(all, '\x1b') || !strings.Contains(all, "[2J") {
		t.Errorf("it shows %q", all)
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
