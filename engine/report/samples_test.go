package report

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
)

// sampled is a run of two experiments with samples before, in, between and after their
// phases.
func sampled() []journal.Event {
	value := 0.1
	objective := func(name, probe string) journal.ObjectiveSpec {
		return journal.ObjectiveSpec{Name: name, Probe: probe, Target: 0.9, DuringTarget: 0.9}
	}
	spec := func(name string) journal.ExperimentSpec {
		return journal.ExperimentSpec{Name: name, Objectives: []journal.ObjectiveSpec{objective("shop.ok", "http.shop"), objective("queue.short, always", "prometheus.queue")}}
	}
	batch := func(from float64, status string) *journal.Samples {
		s := &journal.Samples{Probe: "http.shop", Start: *at(from), Status: status, Good: map[string]string{"shop.ok": "10?1"[:len(status)]}}
		for i := range status {
			s.Offset, s.Latency = append(s.Offset, int64(i)*500_000), append(s.Latency, []int64{1, -1, -1, 12_345_678}[i])
		}
		return s
	}
	var events []journal.Event
	add := func(when float64, d journal.Data) {
		events = append(events, journal.Event{Seq: int64(len(events) + 1), Time: *at(when), Epoch: 1, Data: d})
	}
	add(0, &journal.RunStarted{Run: "r", Experiments: []journal.ExperimentSpec{spec("one"), spec(`two "x"`)}})
	add(1, &journal.ExperimentStarted{Experiment: "one"})
	add(1, &journal.PhaseStarted{Experiment: "one", Phase: journal.Baseline})
	add(2, &journal.PhaseStarted{Experiment: "one", Phase: journal.During})
	add(3, batch(0.75, "ofmo"))
	add(3, &journal.ExperimentEnded{Experiment: "one", Ending: journal.Completed})
	add(4, &journal.ExperimentStarted{Experiment: `two "x"`})
	add(4, &journal.PhaseStarted{Experiment: `two "x"`, Phase: journal.During})
	add(5, &journal.Samples{Probe: "prometheus.queue", Start: (*at(3.5)).Add(999 * time.Nanosecond), Offset: []int64{0, 500_000, 1_500_000}, Status: "oom", Latency: []int64{0, 60_000_000, -1},
		Value: []*float64{&value, nil, nil}, Good: map[string]string{"queue.short, always": "01?"}})
	add(5, &journal.ExperimentEnded{Experiment: `two "x"`, Ending: journal.Completed})
	return events
}

func TestSamplesAsCSV(t *testing.T) {
	r, err := judge.FoldEvents(sampled())
	if err != nil {
		t.Fatal(err)
	}
	got := write(t, func(w io.Writer) error { return Samples(w, r, each(sampled())) })
	golden(t, "csv", got)
	rows, err := csv.NewReader(bytes.NewReader(got)).ReadAll() // which wants the same number of cells everywhere
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 1+4+3 {
		t.Errorf("%d rows", len(rows))
	}
	if len(rows[0]) != 9 || rows[0][8] != "good:queue.short, always" || rows[7][2] != "" || rows[6][2] != `two "x"` {
		t.Errorf("names are not what they were: %q", rows)
	}
	if err := Samples(failing{}, r, each(sampled())); err == nil {
		t.Error("a full disk is no error")
	}
	if err := Samples(io.Discard, r, func(yield func(journal.Event, error) bool) { yield(journal.Event{}, journal.ErrDamaged) }); !errors.Is(err, journal.ErrDamaged) {
		t.Errorf("damage is %v", err)
	}
}

// A run without samples is a table without rows.
func TestNoSamplesAsCSV(t *testing.T) {
	got := write(t, func(w io.Writer) error { return Samples(w, result(), each(sampled()[:1])) })
	if rows, err := csv.NewReader(bytes.NewReader(got)).ReadAll(); err != nil || len(rows) != 1 {
		t.Errorf("%v, %q", err, got)
	}
}
