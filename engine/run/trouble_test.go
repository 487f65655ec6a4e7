package run_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/sdk/wire"
)

type (
	probeRequest = wire.Probe
	batch        = wire.Batch
)

// luck is a source of trouble that several goroutines may ask.
type luck struct {
	mu  sync.Mutex
	rng *rand.Rand
}

// strikes says yes with a probability.
func (l *luck) strikes(p float64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rng.Float64() < p
}

func (l *luck) within(d time.Duration) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Duration(l.rng.Int64N(int64(d)))
}

// troubled plays a day on which calls fail, hang and are slow, targets vanish and
// come back, the plugin dies, the journal fails and the operator aborts.
func troubled(t *testing.T, seed uint64) {
	l := &luck{rng: rand.New(rand.NewPCG(seed, 7))}
	p := planOf(
		experiment("x", off("a", 0, 4*time.Second, "a"), off("b", 2*time.Second, 6*time.Second, "b"), note("n", time.Second)),
		experiment("y", off("a", 0, 3*time.Second, "a"), after(off("c", time.Second, 3*time.Second, "c"), "lamp_off.a")),
	)
	p.Limits.MaxTargets = 2
	play(t, p, func(d *day) {
		if l.strikes(0.5) {
			d.sample = fragile
		}
		trouble := l.within(4) < 3 // a quarter of the days has none but what is scheduled
		call := func(fails, hangs float64) func(context.Context, string) error {
			return func(ctx context.Context, id string) error {
				switch {
				case !trouble:
				case l.strikes(fails):
					return errors.New("no luck")
				case l.strikes(hangs):
					return pass(ctx, l.within(60*time.Second))
				}
				return pass(ctx, l.within(20*time.Millisecond))
			}
		}
		d.prepare, d.inject, d.revert = call(0.05, 0.05), call(0.1, 0.1), call(0.3, 0.1)
		act := call(0.1, 0.1)
		d.act = func(ctx context.Context) error { return act(ctx, "") }
		if l.strikes(0.3) {
			d.world.after(l.within(40*time.Second), d.process.dies)
		}
		if l.strikes(0.2) {
			d.world.after(l.within(40*time.Second), d.process.breakSessions)
		}
		if l.strikes(0.2) {
			d.world.after(l.within(40*time.Second), func() { d.abort(errOperator) })
		}
		if l.strikes(0.2) {
			d.world.after(l.within(20*time.Second), func() { d.with("a", func(x *lamp) { x.gone, x.off = true, false }) })
		}
		if l.strikes(0.2) {
			d.world.after(l.within(20*time.Second), func() { d.with("b", func(x *lamp) { x.off = false }) })
		}
		if l.strikes(0.2) {
			from := l.within(40 * time.Second)
			d.diary.onAppend = func(x journal.Data) error {
				if _, ok := x.(*journal.Samples); ok && time.Since(d.world.start) > from {
					return errors.New("disk full")
				}
				return nil
			}
		}
	}, func(t *testing.T, d *day) {
		// Every intent has its end, and it is the last word.
		ended := map[string]bool{}
		for _, e := range d.diary.all() {
			if x, ok := e.Data.(*journal.FaultReverted); ok {
				if ended[x.ID] {
					t.Errorf("%s ended twice", x.ID)
				}
				ended[x.ID] = true
			}
		}
		for _, e := range d.diary.all() {
			if x, ok := e.Data.(*journal.FaultIntent); ok && !ended[x.ID] {
				t.Errorf("%s has no end", x.ID)
			}
		}
		last := d.diary.all()
		if x, ok := last[len(last)-1].Data.(*journal.RunEnded); !ok || x.Verdict != string(d.result.Verdict) {
			t.Errorf("the journal ends with %#v, judged %s", last[len(last)-1].Data, d.result.Verdict)
		}
		if d.result.Verdict == judge.Held && verdicts(d.result) != "x:held y:held" {
			t.Errorf("held, and %s", verdicts(d.result))
		}
	})
}
