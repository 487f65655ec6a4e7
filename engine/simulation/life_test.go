package simulation

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
)

var errDead = errors.New("this process is dead")

// life is that of an engine, a guardian or a recover. It passes numbered points, and
// may die at any of them. A dead one goes on running, as goroutines cannot be killed,
// but whatever it does has no effect: its calls are refused, its files are closed, and
// the path by which it knows the state folder is gone.
type life struct {
	w    *world
	kind string // "engine", "guardian", "recover"
	ctx  context.Context
	end  context.CancelCauseFunc
	path string        // of the state folder, for this life alone
	done chan struct{} // closed when its code has come to an end

	mu      sync.Mutex
	dieAt   int
	points  []string // as they were passed
	dead    bool
	ended   bool
	with    []func() // what dies at the same moment
	atDeath []func()
	asleep  chan struct{} // closed when it wakes; nil: it is awake
}

// over is when a life is: it has died, or has come to its end.
func (l *life) over() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dead || l.ended
}

func (w *world) newLife(kind string, dieAt int) *life {
	l := &life{w: w, kind: kind, dieAt: dieAt, done: make(chan struct{})}
	l.ctx, l.end = context.WithCancelCause(context.Background())
	l.path = w.alias()
	w.mu.Lock()
	w.lives = append(w.lives, l)
	w.mu.Unlock()
	return l
}

// alias makes another path to the state folder.
func (w *world) alias() string {
	w.mu.Lock()
	w.aliases++
	path := filepath.Join(w.dir, "known-as-"+strconv.Itoa(w.aliases))
	w.mu.Unlock()
	if err := os.Symlink(filepath.Join(w.dir, "state"), path); err != nil {
		w.t.Error(err)
	}
	return path
}

// begin runs the life's code.
func (l *life) begin(code func()) {
	l.w.working.Go(func() {
		defer close(l.done)
		code()
		l.mu.Lock()
		l.ended = true
		l.mu.Unlock()
	})
}

// store is the state folder as this life sees it.
func (l *life) store() *journal.Store {
	s, err := journal.Open(l.path)
	if err != nil {
		if !l.isDead() {
			l.w.t.Error(err)
		}
		s, _ = journal.OpenRead(l.path)
	}
	s.Through(func(run string, f journal.File) journal.File {
		return &disk{File: f, life: l, stored: l.w.storedOf(run)}
	})
	return s
}

func (l *life) isDead() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dead
}

// whenDead has something done by the kernel when the process dies.
func (l *life) whenDead(f func()) {
	l.mu.Lock()
	dead := l.dead
	if !dead {
		l.atDeath = append(l.atDeath, f)
	}
	l.mu.Unlock()
	if dead {
		f()
	}
}

// diesWith has something else die at the same moment.
func (l *life) diesWith(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.with = append(l.with, f)
}

// due passes a point, and says whether the life is to end there.
func (l *life) due(point string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead {
		return false
	}
	l.points = append(l.points, point)
	if len(l.points) != l.dieAt {
		return false
	}
	l.w.happens("the " + l.kind + " dies " + point)
	return true
}

// at passes a point, and returns errDead when the life has ended.
func (l *life) at(point string) error {
	if l.due(point) {
		l.die(point)
	}
	if l.isDead() {
		return errDead
	}
	return nil
}

// die ends the life as SIGKILL does.
func (l *life) die(where string) {
	l.mu.Lock()
	if l.dead || l.ended {
		l.mu.Unlock()
		return
	}
	l.dead = true
	actions := slices.Concat(l.with, l.atDeath)
	l.mu.Unlock()
	l.w.say("the %s dies %s", l.kind, where)
	_ = os.Remove(l.path)
	l.end(errDead)
	for _, f := range actions {
		f()
	}
	if l.kind == "engine" {
		l.w.engineDied()
	}
}

// sleeps suspends the life, as SIGSTOP does, until it is woken.
func (l *life) sleeps() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.asleep == nil {
		l.asleep = make(chan struct{})
	}
}

func (l *life) wakes() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.asleep != nil {
		close(l.asleep)
		l.asleep = nil
	}
}

// awake waits until the life may go on: at once, when it is woken, or when it is dead.
func (l *life) awake() error {
	l.mu.Lock()
	asleep := l.asleep
	l.mu.Unlock()
	if asleep != nil {
		select {
		case <-asleep:
		case <-l.ctx.Done():
		}
	}
	if l.isDead() {
		return errDead
	}
	return nil
}

// pass lets time pass; it is the bubble's time, nobody waits for it.
func pass(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
