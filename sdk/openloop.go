package sdk

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/faultline-go/faultline/sdk/schema"
	"github.com/faultline-go/faultline/sdk/wire"
)

// An open loop sends each sample at its scheduled time, however slow earlier ones
// answer, and counts latency from that time: a stalled system cannot hide behind
// requests that were never sent.
const (
	flushEvery = 20 * time.Millisecond  // how long a sample waits for its batch
	lateness   = 100 * time.Millisecond // a sample sent later than this, or than one interval, is missing
	spare      = 4                      // samples under way beyond what interval and timeout make

	// samplesPerMessage keeps a message far below the wire's limit, also after a
	// suspend of hours, when every sample of that time is missing.
	samplesPerMessage = 8192
)

// openLoop measures until ctx ends, or sending fails.
func openLoop(ctx context.Context, q wire.Probe, measure func(context.Context) Sample, send func(wire.Batch) error) error {
	ctx, cancel := context.WithCancel(ctx)
	b := &batch{pending: map[int64]struct{}{}, limit: int(q.Timeout/q.Interval) + spare, interval: q.Interval, next: q.Start}
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	failed := make(chan error, 1)
	running.Go(func() {
		if err := b.flush(ctx, send); err != nil {
			failed <- err
			cancel()
		}
	})
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i := int64(0); ; i++ {
		at := q.Start.Add(time.Duration(i) * q.Interval)
		timer.Reset(time.Until(at))
		select {
		case <-ctx.Done():
			select {
			case err := <-failed:
				return err
			default:
				return nil
			}
		case <-timer.C:
		}
		if late := time.Since(at); late > max(lateness, q.Interval) {
			b.add(sampleAt(at, Missing("not sent in time"), math.NaN()))
			continue
		}
		if !b.start(at) {
			b.add(sampleAt(at, Missing("too many samples under way"), math.NaN()))
			continue
		}
		running.Go(func() { b.finish(at, measureOnce(ctx, q.Timeout, at, measure)) })
	}
}

func measureOnce(ctx context.Context, timeout time.Duration, at time.Time, measure func(context.Context) Sample) (out schema.Sample) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	defer func() {
		if r := recover(); r != nil {
			slog.Error(fmt.Sprintf("the probe panicked: %v%s", r, panicPlace()))
			out = sampleAt(at, Missing("the probe panicked"), math.NaN())
		}
	}()
	s := measure(ctx)
	return sampleAt(at, s, time.Since(at).Seconds())
}

func sampleAt(at time.Time, s Sample, latency float64) schema.Sample {
	out := schema.Sample{Scheduled: at, Status: s.Status, Latency: latency, Value: math.NaN(), Extra: s.Extra, Error: s.Error}
	if s.Value != nil {
		out.Value = *s.Value
	}
	if s.Status == schema.Missing {
		out.Latency = math.NaN()
	}
	return out
}

// batch gathers samples and knows which are still under way.
type batch struct {
	mu       sync.Mutex
	done     []schema.Sample
	pending  map[int64]struct{} // scheduled times, Unix nanoseconds
	limit    int
	interval time.Duration
	next     time.Time // the first scheduled time not dealt with
}

func (b *batch) start(at time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.pending) >= b.limit {
		return false
	}
	b.pending[at.UnixNano()] = struct{}{}
	b.next = at.Add(b.interval)
	return true
}

func (b *batch) add(s schema.Sample) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done = append(b.done, s)
	b.next = s.Scheduled.Add(b.interval)
}

func (b *batch) finish(at time.Time, s schema.Sample) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.pending, at.UnixNano())
	b.done = append(b.done, s)
}

// take empties the batch into messages of bounded size. Each is complete up to the
// first sample that is still under way or in a later message; the last one, when
// nothing is under way, up to the next sample: nothing is scheduled before that.
func (b *batch) take() []wire.Batch {
	b.mu.Lock()
	defer b.mu.Unlock()
	complete := b.next
	for ns := range b.pending {
		if t := time.Unix(0, ns); t.Before(complete) {
			complete = t
		}
	}
	slices.SortFunc(b.done, func(x, y schema.Sample) int { return x.Scheduled.Compare(y.Scheduled) })
	var out []wire.Batch
	for len(b.done) > samplesPerMessage {
		upTo := complete
		if first := b.done[samplesPerMessage].Scheduled; first.Before(upTo) {
			upTo = first
		}
		out = append(out, wire.Batch{Samples: b.done[:samplesPerMessage:samplesPerMessage], Complete: upTo})
		b.done = b.done[samplesPerMessage:]
	}
	out = append(out, wire.Batch{Samples: b.done, Complete: complete})
	b.done = nil
	return out
}

func (b *batch) flush(ctx context.Context, send func(wire.Batch) error) error {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			for _, m := range b.take() {
				if err := send(m); err != nil {
					return err
				}
			}
		}
	}
}
