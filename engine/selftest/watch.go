package selftest

import (
	"context"
	"sync"
	"time"
)

// watch looks at a target all the time, and remembers when it was clean and when not.
type watch struct {
	target target
	stop   context.CancelFunc
	ended  chan struct{}

	looking sync.Mutex // who has it looks: an older look never overwrites a newer one

	mu      sync.Mutex
	last    time.Time     // when the last look ended
	gap     time.Duration // the longest time between two of them
	changes []change      // of what was seen; the first is the first look
	seen    string        // at the last look
	err     error         // of the last look, if nobody could look
}

type change struct {
	at    time.Time // when it was seen first
	clean bool
}

func follow(ctx context.Context, t target) *watch {
	ctx, stop := context.WithCancel(ctx)
	w := &watch{target: t, stop: stop, ended: make(chan struct{})}
	go func() {
		defer close(w.ended)
		for ctx.Err() == nil {
			w.look(ctx)
			pause(ctx, t.every())
		}
	}()
	return w
}

func (w *watch) end() { w.stop(); <-w.ended }

// look takes one look, and says whether the target is clean.
func (w *watch) look(ctx context.Context) bool {
	w.looking.Lock()
	defer w.looking.Unlock()
	ok, seen, err := w.target.clean(ctx)
	if ctx.Err() != nil {
		return false
	}
	at := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err = err; err != nil {
		return false
	}
	if !w.last.IsZero() {
		w.gap = max(w.gap, at.Sub(w.last))
	}
	w.last, w.seen = at, seen
	if n := len(w.changes); n == 0 || w.changes[n-1].clean != ok {
		w.changes = append(w.changes, change{at, ok})
	}
	return ok
}

// now says whether the target was clean at the last look, and what was seen.
func (w *watch) now() (clean bool, seen string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return false, w.err.Error()
	}
	n := len(w.changes)
	return n > 0 && w.changes[n-1].clean, w.seen
}

// blind is the longest time for which nobody looked.
func (w *watch) blind() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.gap
}

// span is a time during which the target was not clean.
type span struct{ from, to time.Time } // to is zero while it still is not

func (w *watch) broken() []span {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []span
	for _, c := range w.changes {
		switch n := len(out); {
		case !c.clean:
			out = append(out, span{from: c.at})
		case n > 0 && out[n-1].to.IsZero():
			out[n-1].to = c.at
		}
	}
	return out
}

// brokenAfter is how long the target was not clean after a moment, up to the last
// time that it became clean, and since when.
func (w *watch) brokenAfter(t time.Time) (time.Duration, time.Time) {
	var first time.Time
	var last time.Time
	for _, s := range w.broken() {
		if s.to.IsZero() {
			s.to = time.Now()
		}
		if s.to.Before(t) {
			continue
		}
		if first.IsZero() {
			first = s.from
		}
		last = s.to
	}
	if first.IsZero() {
		return 0, first
	}
	if first.Before(t) {
		return last.Sub(t), t
	}
	return last.Sub(first), first
}
