package sdk

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/faultline-go/faultline/sdk/schema"
	"github.com/faultline-go/faultline/sdk/wire"
)

// listener is the engine's end of a probe. It checks with every batch that nothing
// comes after it was said to be complete.
type listener struct {
	t        *testing.T
	start    time.Time
	mu       sync.Mutex
	samples  []schema.Sample
	complete time.Time
}

func (l *listener) take(b wire.Batch) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b.Complete.Before(l.complete) {
		l.t.Errorf("complete went back from %s to %s", l.complete.Sub(l.start), b.Complete.Sub(l.start))
	}
	for i, s := range b.Samples {
		if s.Scheduled.Before(l.complete) {
			l.t.Errorf("the sample of %s came after everything before %s was complete", s.Scheduled.Sub(l.start), l.complete.Sub(l.start))
		}
		if i > 0 && s.Scheduled.Before(b.Samples[i-1].Scheduled) {
			l.t.Error("a batch is out of order")
		}
	}
	l.samples = append(l.samples, b.Samples...)
	l.complete = b.Complete
	return nil
}

// listen probes for a while in virtual time.
func listen(t *testing.T, q wire.Probe, long time.Duration, measure func(context.Context) Sample) *listener {
	t.Helper()
	l := &listener{t: t, start: q.Start}
	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	if err := openLoop(ctx, q, measure, l.take); err != nil {
		t.Error(err)
	}
	return l
}

func TestOpenLoopSendsAtExactTimes(t *testing.T) {
	virtual(t, func(t *testing.T) {
		q := wire.Probe{Interval: 100 * time.Millisecond, Timeout: time.Second, Start: time.Now().Add(time.Second)}
		var mu sync.Mutex
		var sent []time.Duration
		l := listen(t, q, 2990*time.Millisecond, func(ctx context.Context) Sample {
			mu.Lock()
			n := len(sent)
			sent = append(sent, time.Since(q.Start))
			mu.Unlock()
			if n == 3 { // one slow answer delays nobody
				<-time.After(750 * time.Millisecond)
			}
			return Good().WithValue(float64(n)).With("code", 200)
		})
		for i, at := range sent {
			if at != time.Duration(i)*q.Interval {
				t.Errorf("sample %d was sent at %s", i, at)
			}
		}
		if len(l.samples) != 20 {
			t.Fatalf("%d samples in 2 s", len(l.samples))
		}
		for _, s := range l.samples {
			i := int(s.Scheduled.Sub(q.Start) / q.Interval)
			latency := 0.0
			if i == 3 {
				latency = 0.75
			}
			if s.Status != schema.OK || s.Value != float64(i) || s.Latency != latency || s.Extra["code"] != 200 {
				t.Errorf("sample %d: %+v", i, s)
			}
		}
		if want := q.Start.Add(20 * q.Interval); !l.complete.Equal(want) {
			t.Errorf("complete up to %s, want %s", l.complete.Sub(q.Start), want.Sub(q.Start))
		}
	})
}

func TestOpenLoopWatermarkWaitsForTheSlowest(t *testing.T) {
	virtual(t, func(t *testing.T) {
		q := wire.Probe{Interval: 10 * time.Millisecond, Timeout: 500 * time.Millisecond, Start: time.Now()}
		n := 0
		var mu sync.Mutex
		l := listen(t, q, 5*time.Second, func(ctx context.Context) Sample {
			mu.Lock()
			n++
			slow := time.Duration(n*7919%490) * time.Millisecond
			mu.Unlock()
			select {
			case <-time.After(slow):
				return Good()
			case <-ctx.Done():
				return Bad("timeout")
			}
		})
		seen := map[time.Time]bool{}
		for _, s := range l.samples {
			if seen[s.Scheduled] {
				t.Errorf("%s came twice", s.Scheduled.Sub(q.Start))
			}
			seen[s.Scheduled] = true
		}
		for at := q.Start; at.Before(l.complete); at = at.Add(q.Interval) {
			if !seen[at] {
				t.Errorf("complete, without the sample of %s", at.Sub(q.Start))
			}
		}
		if behind := time.Since(l.complete); behind > q.Timeout+2*flushEvery+q.Interval {
			t.Errorf("the watermark is %s behind", behind)
		}
	})
}

func TestOpenLoopBoundsSamplesUnderWay(t *testing.T) {
	virtual(t, func(t *testing.T) {
		q := wire.Probe{Interval: 10 * time.Millisecond, Timeout: 100 * time.Millisecond, Start: time.Now()}
		var mu sync.Mutex
		now, most := 0, 0
		l := listen(t, q, 2*time.Second, func(ctx context.Context) Sample { // does not listen to its context
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			<-time.After(time.Second)
			mu.Lock()
			defer mu.Unlock()
			now--
			return Good()
		})
		if want := 10 + spare; most != want {
			t.Errorf("%d samples under way, want %d", most, want)
		}
		missing := 0
		for _, s := range l.samples {
			if s.Status == schema.Missing {
				missing++
				if !math.IsNaN(s.Latency) || s.Error != "too many samples under way" {
					t.Errorf("missing sample %+v", s)
				}
			}
		}
		if missing < 80 {
			t.Errorf("%d samples missing", missing)
		}
	})
}

func TestOpenLoopLateSamplesAreMissing(t *testing.T) {
	virtual(t, func(t *testing.T) {
		q := wire.Probe{Interval: time.Millisecond, Timeout: time.Second, Start: time.Now().Add(-30 * time.Second)}
		l := listen(t, q, time.Second, func(context.Context) Sample { return Good() })
		missing := 0
		for _, s := range l.samples {
			late := q.Start.Add(30*time.Second).Sub(s.Scheduled) > lateness
			if late != (s.Status == schema.Missing) {
				t.Fatalf("sample of %s: %+v", s.Scheduled.Sub(q.Start), s)
			}
			if late {
				missing++
			}
		}
		if want := 30000 - 100; missing != want {
			t.Errorf("%d samples missing, want %d", missing, want)
		}
	})
}

func TestOpenLoopKeepsMessagesSmall(t *testing.T) {
	virtual(t, func(t *testing.T) {
		q := wire.Probe{Interval: time.Millisecond, Timeout: time.Second, Start: time.Now().Add(-time.Minute)}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		l := &listener{t: t, start: q.Start}
		var sizes []int
		if err := openLoop(ctx, q, func(context.Context) Sample { return Good() }, func(b wire.Batch) error {
			sizes = append(sizes, len(b.Samples))
			return l.take(b)
		}); err != nil {
			t.Fatal(err)
		}
		if slices.Max(sizes) != samplesPerMessage || len(l.samples) < 60000 {
			t.Errorf("%d samples in messages of at most %d", len(l.samples), slices.Max(sizes))
		}
	})
}

func TestOpenLoopEndsWhenNobodyListens(t *testing.T) {
	virtual(t, func(t *testing.T) {
		q := wire.Probe{Interval: time.Millisecond, Timeout: time.Second, Start: time.Now()}
		broken := errors.New("broken")
		err := openLoop(t.Context(), q, func(ctx context.Context) Sample {
			<-ctx.Done() // the loop's end is every sample's end
			return Missing("cancelled")
		}, func(wire.Batch) error { return broken })
		if !errors.Is(err, broken) {
			t.Errorf("openLoop returned %v", err)
		}
	})
}

func TestOpenLoopSurvivesAPanic(t *testing.T) {
	virtual(t, func(t *testing.T) {
		q := wire.Probe{Interval: 100 * time.Millisecond, Timeout: time.Second, Start: time.Now()}
		l := listen(t, q, time.Second, func(context.Context) Sample { panic("oh dear") })
		if len(l.samples) == 0 {
			t.Fatal("no samples")
		}
		for _, s := range l.samples {
			if s.Status != schema.Missing || s.Error != "the probe panicked" {
				t.Errorf("sample %+v", s)
			}
		}
	})
}

func TestProbeOfTheServer(t *testing.T) {
	closed := false
	s, err := newServer(Plugin{Name: "lamp", Probes: []ProbeType{Probe[struct{}]{
		Type: "lamp",
		Open: func(context.Context, struct{}) (func(context.Context) Sample, func(), error) {
			return func(context.Context) Sample { return Bad("dark") }, func() { closed = true }, nil
		},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	q := wire.Probe{Type: "lamp", Interval: 10 * time.Millisecond, Timeout: time.Second, Start: time.Now()}
	got := 0
	if err := s.Probe(ctx, q, func(b wire.Batch) error {
		if got += len(b.Samples); got > 2 {
			cancel()
		}
		return nil
	}); err != nil || !closed {
		t.Errorf("probe: %v, closed %v", err, closed)
	}
	for _, q := range []wire.Probe{{Type: "lamp"}, {Type: "lamp", Interval: 1}, {Type: "lamp", Timeout: 1}, {Type: "candle"}} {
		if err := s.Probe(ctx, q, nil); err == nil {
			t.Errorf("probe %+v was accepted", q)
		}
	}
}
