package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/engine/report"
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

// hourFormats are what is written of the long run: every form of the report.
var hourFormats = []string{"table", "json", "junit", "markdown", "html", "postmortem", "github", "openmetrics", "csv", "ndjson"}

// hour measures a whole `faultline report` of the long run in each form, which reads and
// judges it as well, beside what only goes through its lines by encoding/json.
func (b *benches) hour() ([]row, error) {
	dir, samples, err := writeHour(filepath.Join(b.dir, "hour"))
	if err != nil {
		return nil, err
	}
	journalFile := filepath.Join(dir, journal.FileName)
	info, err := os.Stat(journalFile)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	decode, _, err := timed(exec.Command(self, "-decode", journalFile))
	if err != nil {
		return nil, err
	}
	// Whole processes come first: what this one has grown to would count as theirs, too.
	var rows []row
	for _, format := range hourFormats {
		out := filepath.Join(b.dir, "report."+format)
		cmd := b.command("report", "-format", format, "-out", out, dir)
		took, rss, err := timed(cmd)
		if err != nil {
			return nil, err
		}
		info, err := os.Stat(out)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row{"  report -format " + format + ", whole process", fmt.Sprintf("%s, %d MB", ms(took), rss>>20),
			fmt.Sprintf("processor: %s; writes %.1f MB", ms(cpu(cmd)), float64(info.Size())/(1<<20)), "< 3000 ms, < 300 MB"})
		if err := os.Remove(out); err != nil {
			return nil, err
		}
	}
	began := time.Now()
	for _, err := range journal.Read(dir) {
		if err != nil {
			return nil, err
		}
	}
	reading := time.Since(began)
	began = time.Now()
	result, err := judge.Fold(journal.Read(dir))
	if err != nil {
		return nil, err
	}
	judging := time.Since(began)
	began = time.Now()
	if err := report.JSON(io.Discard, result); err != nil {
		return nil, err
	}
	rendering := time.Since(began)
	return append([]row{
		{fmt.Sprintf("an hour, %.1f million samples: reading its journal", float64(samples)/1e6), ms(reading), fmt.Sprintf("encoding/json: %s, %d MB", ms(decode), info.Size()>>20), ""},
		{"  reading and judging", ms(judging), "", ""},
		{"  rendering the JSON report alone", ms(rendering), "", ""},
	}, rows...), nil
}

// bareDecode does what any reader of JSON lines does at least: it decodes each line.
func bareDecode(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for d := json.NewDecoder(f); ; {
		var line struct {
			Data journal.Samples `json:"data"`
		}
		if err := d.Decode(&line); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

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
				b := hourSamples(random, i, p.phase, from)
				samples += len(b.Offset)
				write(b)
			}
		}
	}
	write(&journal.ExperimentEnded{Experiment: spec.Name, Ending: journal.Completed}, &journal.Residue{When: "after"},
		&journal.RunEnded{By: "engine", Verdict: "broken"})
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
// tail of latencies; of the first probe a third fails while the fault is on, the last one
// has values.
func hourSamples(random *rand.Rand, probe int, phase journal.Phase, from time.Time) *journal.Samples {
	oneIn := 1000
	if probe == 0 && phase == journal.During {
		oneIn = 3
	}
	b := &journal.Samples{Probe: fmt.Sprintf("http.p%d", probe), Start: from}
	var status, available, fast strings.Builder
	for k := range int(hourRate * hourBatch / time.Second) {
		b.Offset = append(b.Offset, int64(k)*int64(time.Second/time.Microsecond)/hourRate)
		if probe == hourProbes-1 {
			v := random.Float64()
			b.Value = append(b.Value, &v)
		}
		if random.IntN(oneIn) == 0 {
			b.Latency = append(b.Latency, -1)
			status.WriteByte(journal.StatusFailed)
			available.WriteByte(journal.GoodNo)
			fast.WriteByte(journal.GoodNo)
			if b.Errors == nil {
				b.Errors = map[string]int{}
			}
			b.Errors[`Get "http://shop/": dial tcp 127.0.0.1:80: connect: connection refused`]++
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
