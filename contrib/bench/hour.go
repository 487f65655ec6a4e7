package main

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
)

// The long run: an hour of ten probes, a hundred samples a second each.
const (
	hourProbes = 10
	hourRate   = 100
	hourBatch  = 500 * time.Millisecond // as the engine writes them
)

var hourPhases = []struct {
	phase  journal.Phase
	length time.Duration
}{{journal.Baseline, 10 * time.Minute}, {journal.During, 30 * time.Minute}, {journal.After, 20 * time.Minute}}

// writeHour writes the long run's journal into a state folder, through the engine's
// own writer with a clock that runs faster, and returns the run's folder and the number
// of its samples.
func writeHour(state string) (dir string, samples int, err error) {
	store, err := journal.Open(state)
	if err != nil {
		return "", 0, err
	}
	now := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	store.Clock(func() time.Time { return now })
	id := journal.NewRunID(now, "hour")
	w, err := store.Create(id)
	if err != nil {
		return "", 0, err
	}
	defer func() {
		if e := w.Close(); err == nil {
			err = e
		}
	}()
	write := func(data ...journal.Data) {
		for _, d := range data {
			if err == nil {
				_, err = w.Append(d)
			}
		}
	}
	spec := hourSpec()
	write(&journal.RunStarted{Run: id, Scenario: journal.Scenario{Name: "hour", Title: "An hour of samples"}, Seed: 1, Plan: []byte("{}"),
		Engine: journal.Engine{Version: "bench"}, Experiments: []journal.ExperimentSpec{spec}},
		&journal.ExperimentStarted{Experiment: spec.Name})
	random := rand.New(rand.NewPCG(1, 2))
	for _, p := range hourPhases {
		switch p.phase {
		case journal.During:
			write(&journal.FaultIntent{ID: "f1", Experiment: spec.Name, Fault: "docker_kill.web", Type: "docker_kill", Plugin: "docker", Hold: "journal",
				Targets: []journal.TargetIntent{{ID: "c1", Name: "web1", Kind: "docker_container"}}},
				&journal.PhaseStarted{Experiment: spec.Name, Phase: p.phase},
				&journal.FaultActive{ID: "f1", Targets: []journal.TargetState{{ID: "c1", OK: true, At: now}}},
				&journal.FaultObserved{ID: "f1", Effects: []journal.Effect{{Target: "c1", Bites: true, Detail: "exited with 137", At: now}}})
		case journal.After:
			write(&journal.FaultReverted{ID: "f1", Cause: "duration", Targets: []journal.TargetOutcome{{ID: "c1", Outcome: journal.Reverted, By: "engine", At: now}}},
				&journal.PhaseStarted{Experiment: spec.Name, Phase: p.phase})
		default:
			write(&journal.PhaseStarted{Experiment: spec.Name, Phase: p.phase})
		}
		for end := now.Add(p.length); now.Before(end) && err == nil; {
			from := now
			now = now.Add(hourBatch)
			for i := range hourProbes {
				b := hourSamples(random, i, from)
				samples += len(b.Offset)
				write(b)
			}
		}
	}
	write(&journal.ExperimentEnded{Experiment: spec.Name, Ending: journal.Completed}, &journal.Residue{When: "after"},
		&journal.RunEnded{By: "engine", Verdict: "held"})
	return filepath.Join(state, "runs", id), samples, err
}

func hourSpec() journal.ExperimentSpec {
	spec := journal.ExperimentSpec{Name: "lose-one-web", Expect: journal.Tolerate, Baseline: hourPhases[0].length, Planned: hourPhases[1].length,
		Observe: hourPhases[2].length, RecoverWithin: time.Minute,
		Faults: []journal.FaultSpec{{Name: "docker_kill.web", Type: "docker_kill", Targets: []string{"web1"}, Duration: hourPhases[1].length}}}
	for i := range hourProbes {
		for _, o := range []struct{ name, good string }{{"available", "sample.ok"}, {"fast", "sample.latency < 0.3"}} {
			spec.Objectives = append(spec.Objectives, journal.ObjectiveSpec{Name: fmt.Sprintf("s%d.%s", i, o.name), Probe: fmt.Sprintf("http.p%d", i),
				Good: o.good, Target: 0.99, DuringTarget: 0.99, Judge: "exact", Rate: hourRate})
		}
	}
	return spec
}

// hourSamples are half a second of one probe, with one in a thousand failed and a long
// tail of latencies.
func hourSamples(random *rand.Rand, probe int, from time.Time) *journal.Samples {
	b := &journal.Samples{Probe: fmt.Sprintf("http.p%d", probe), Start: from}
	var status, available, fast strings.Builder
	for k := range int(hourRate * hourBatch / time.Second) {
		b.Offset = append(b.Offset, int64(k)*int64(time.Second/time.Microsecond)/hourRate)
		if random.IntN(1000) == 0 {
			b.Latency = append(b.Latency, -1)
			status.WriteByte(journal.StatusFailed)
			available.WriteByte(journal.GoodNo)
			fast.WriteByte(journal.GoodNo)
			if b.Errors == nil {
				b.Errors = map[string]int{}
			}
			b.Errors["connection refused"]++
			continue
		}
		latency := int64(5000 + random.ExpFloat64()*20_000)
		b.Latency = append(b.Latency, latency)
		status.WriteByte(journal.StatusOK)
		available.WriteByte(journal.GoodYes)
		if latency < 300_000 {
			fast.WriteByte(journal.GoodYes)
		} else {
			fast.WriteByte(journal.GoodNo)
		}
	}
	b.Status = status.String()
	b.Good = map[string]string{fmt.Sprintf("s%d.available", probe): available.String(), fmt.Sprintf("s%d.fast", probe): fast.String()}
	return b
}
