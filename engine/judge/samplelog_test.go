package judge

import (
	"reflect"
	"testing"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
)

// An objective that counts what is ok needs no series of its own; one that does not,
// or that does not know all samples, has one that is as long as the probe's.
func TestSeriesOfObjectives(t *testing.T) {
	l := newSampleLog("prometheus.queue")
	half := time.Second / 2 / time.Microsecond
	l.add(&journal.Samples{Probe: "prometheus.queue", Start: time.Unix(100, 0), Offset: []int64{0, int64(half), int64(2 * half), int64(6 * half)},
		Latency: []int64{1, 1, 1, 1}, Status: "oofo", Good: map[string]string{"queue.short": "1011", "queue.up": "1101", "queue.partly": "11"}})
	got := l.summary().Series
	want := []ObjectiveSeries{
		{"queue.partly", []int{2, 0, 0, 0}, []int{0, 0, 0, 0}},
		{"queue.short", []int{1, 1, 0, 1}, []int{1, 0, 0, 0}},
	}
	if !reflect.DeepEqual(got.Objectives, want) {
		t.Errorf("series %+v, want %+v", got.Objectives, want)
	}
	if !reflect.DeepEqual(got.OK, []int{2, 0, 0, 1}) || !reflect.DeepEqual(got.Failed, []int{0, 1, 0, 0}) {
		t.Errorf("ok %v, failed %v", got.OK, got.Failed)
	}
}
