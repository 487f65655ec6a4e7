package selftest

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
)

func TestUntestedIsNeverKept(t *testing.T) {
	good, slow := CaseResult{Case: Case{Name: "good", Fault: "f"}}, CaseResult{Case: Case{Name: "slow", Fault: "f"}, Untested: "the run ended before"}
	times := func(n int, r CaseResult) (out []CaseResult) {
		for range n {
			out = append(out, r)
		}
		return out
	}
	slowAndWrong := slow
	slowAndWrong.Wrong = []string{"the journal has no end"}
	for _, c := range []struct {
		name            string
		cases           []CaseResult
		ok              bool
		tried, untested int
	}{
		{"nothing", nil, false, 0, 0},
		{"all kept", times(3, good), true, 3, 0},
		{"a few not tested", append(times(9, good), slow), true, 9, 1},
		{"too many not tested", append(times(8, good), times(2, slow)...), false, 8, 2},
		{"none tested", times(3, slow), false, 0, 3},
		{"not tested, and wrong", append(times(20, good), slowAndWrong), false, 20, 0},
		{"not tried", append(times(20, good), CaseResult{Untried: "no engine"}), false, 20, 0},
	} {
		r := &Result{Cases: c.cases}
		if r.OK() != c.ok || r.Tried() != c.tried || r.Untested() != c.untested {
			t.Errorf("%s: ok %t, tried %d, untested %d", c.name, r.OK(), r.Tried(), r.Untested())
		}
	}
	var out bytes.Buffer
	if err := (&Result{Cases: append(times(9, good), slow)}).Text(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"NOT TESTED: slow: this machine was too slow: the run ended before", "leaked 0 of 9\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the text lacks %q:\n%s", want, out.String())
		}
	}
}

// door is a target whose looks take as long as somebody wants, one at a time.
type door struct {
	mu    sync.Mutex
	looks int
	wait  chan struct{}
	inUse bool
	twice bool
}

func (d *door) clean(context.Context) (bool, string, error) {
	d.mu.Lock()
	d.looks++
	d.twice = d.twice || d.inUse
	d.inUse = true
	d.mu.Unlock()
	<-d.wait
	d.mu.Lock()
	d.inUse = false
	d.mu.Unlock()
	return true, "it is shut", nil
}

func (d *door) remove(context.Context) error { return nil }
func (d *door) every() time.Duration         { return time.Millisecond }

func TestLooksAreOneAfterTheOther(t *testing.T) {
	d := &door{wait: make(chan struct{})}
	w := follow(t.Context(), d)
	var both sync.WaitGroup
	for range 3 {
		both.Go(func() { w.look(t.Context()) })
	}
	for range 6 {
		d.wait <- struct{}{}
	}
	close(d.wait)
	both.Wait()
	w.end()
	if d.twice {
		t.Errorf("two of %d looks were at the same time", d.looks)
	}
	if clean, seen := w.now(); !clean || seen != "it is shut" {
		t.Errorf("seen: %t, %s", clean, seen)
	}
}

// What was not seen because nobody came to look is another matter than what was not
// there while somebody looked.
func TestNeverSeenBroken(t *testing.T) {
	at := time.Now()
	for _, c := range []struct {
		gap   time.Duration
		again bool
	}{{100 * time.Millisecond, false}, {2 * time.Second, true}} {
		a := &attempt{
			c: Case{Event: BeforeRevert, Who: Engine}, r: &CaseResult{}, facts: &facts{duration: 3 * time.Second},
			watch: &watch{changes: []change{{at, true}}, gap: c.gap},
		}
		if err := a.checkTarget(); errors.Is(err, errNoEvent) != c.again || (len(a.r.Wrong) > 0) == c.again {
			t.Errorf("nobody looked for %s: %v, wrong: %q", c.gap, err, a.r.Wrong)
		}
	}
}

func TestOnlyMissing(t *testing.T) {
	began := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name      string
		bad, miss int
		ending    journal.Ending
		want      bool
	}{
		{"late", 0, 4, journal.Completed, true},
		{"nothing missing", 0, 0, journal.Completed, false},
		{"bad besides", 1, 4, journal.Completed, false},
		{"cut short", 0, 4, journal.EndedErrored, false},
	} {
		if got := onlyMissing(measured(began, c.bad, c.miss, c.ending)); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
	if onlyMissing(nil) {
		t.Error("an empty journal lacks nothing but samples")
	}
}

// measured is the journal of a run whose phase with the fault has 40 samples.
func measured(began time.Time, bad, miss int, ending journal.Ending) []journal.Event {
	const probe, objective, n = "tcp.heart", "heart.beats", 40
	now := began
	var all []journal.Event
	add := func(d journal.Data) {
		all = append(all, journal.Event{Seq: int64(len(all) + 1), Time: now, Epoch: 1, Data: d})
	}
	add(&journal.RunStarted{Run: "r", Experiments: []journal.ExperimentSpec{{
		Name: "accident", Observe: time.Second, RecoverWithin: time.Second,
		Objectives: []journal.ObjectiveSpec{{Name: objective, Probe: probe, Target: 0.5, DuringTarget: 0.5, MinSamples: 3, Judge: "point", Rate: 4}},
	}}})
	add(&journal.ExperimentStarted{Experiment: "accident"})
	add(&journal.PhaseStarted{Experiment: "accident", Phase: journal.During})
	batch := &journal.Samples{Probe: probe, Start: now, Good: map[string]string{}}
	for i := range n {
		status, good := byte(journal.StatusOK), byte(journal.GoodYes)
		switch {
		case i < bad:
			good = journal.GoodNo
		case i < bad+miss:
			status, good = journal.StatusMissing, journal.GoodMissing
		}
		batch.Offset, batch.Latency = append(batch.Offset, int64(i)*250_000), append(batch.Latency, 1000)
		batch.Status += string(status)
		batch.Good[objective] += string(good)
	}
	now = now.Add(n * 250 * time.Millisecond)
	add(batch)
	add(&journal.ExperimentEnded{Experiment: "accident", Ending: ending})
	add(&journal.RunEnded{By: "engine"})
	return all
}
