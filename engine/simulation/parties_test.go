package simulation

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/plan"
	"github.com/faultline-go/faultline/engine/recover"
	"github.com/faultline-go/faultline/engine/run"
)

const startTime = 100 * time.Millisecond // of a plugin

// engine is `faultline run`, as cmd/faultline wires it.
func (w *world) engine(runID string, p *plan.Plan, dieAt int) *life {
	l := w.newLife("engine", dieAt)
	l.begin(func() { w.runs(l, runID, p) })
	return l
}

func (w *world) runs(l *life, runID string, p *plan.Plan) {
	store := l.store()
	writer, err := store.Create(runID)
	if err != nil {
		return // dead, or the disk is full: there is no run
	}
	l.whenDead(func() { writer.Close() })
	defer writer.Close()
	if l.at("before it starts the guardian") != nil {
		return
	}
	theirs, ours := io.Pipe()
	guardian := w.guardian(runID, theirs)
	l.whenDead(func() { ours.Close() })
	defer func() {
		writer.Close() // the guardian may have to take the run over
		ours.Close()
		<-guardian.done
	}()
	if l.at("before it starts the plugin") != nil {
		return
	}
	first, err := w.born(l, runID)
	if err != nil {
		return
	}
	var mu sync.Mutex
	mine := []*process{first}
	starts := 0
	err = run.Do(l.ctx, run.Options{
		Run: runID, Epoch: writer.Epoch(), Plan: p, Journal: diary{l, writer},
		Plugins: map[string]run.Plugin{"lamp": first},
		Used:    []journal.PluginUsed{{Name: "lamp", Version: "1.0.0"}},
		Restart: func(ctx context.Context, _ string) (run.Plugin, error) {
			if err := errors.Join(l.awake(), l.at("before it starts the plugin anew")); err != nil {
				return nil, err
			}
			mu.Lock()
			starts++
			n := starts
			mu.Unlock()
			if w.since(restartFails, 0) && n <= w.fate.failedStarts {
				w.happens(string(restartFails))
				return nil, errors.New("out of memory")
			}
			if err := pass(ctx, startTime); err != nil {
				return nil, err
			}
			p, err := w.born(l, runID)
			if err != nil {
				return nil, err
			}
			mu.Lock()
			mine = append(mine, p)
			mu.Unlock()
			return p, l.at("after it started the plugin anew")
		},
		Lock: func(resources []string) (func(), error) {
			if err := l.awake(); err != nil {
				return nil, err
			}
			unlock, err := store.LockResources(resources)
			if err != nil {
				return nil, err
			}
			unlock = sync.OnceFunc(unlock)
			l.whenDead(unlock)
			return unlock, nil
		},
	})
	w.say("the engine is through: %v", err)
	if l.isDead() {
		return
	}
	mu.Lock()
	all := slices.Clone(mine)
	mu.Unlock()
	for _, p := range all {
		p.close()
	}
}

// engineDied has somebody recover at once, beside guardian and plugin, if that is the
// world's trouble.
func (w *world) engineDied() {
	w.mu.Lock()
	w.engineDiedAt = time.Now()
	w.mu.Unlock()
	if !w.fate.has(manyRecover) {
		return
	}
	w.happens(string(manyRecover))
	for range 2 {
		w.recover(0)
	}
}

// guardian is `faultline recover --when-parent-dies`.
func (w *world) guardian(runID string, engine *io.PipeReader) *life {
	w.mu.Lock()
	dieAt := w.fate.guardianDies
	w.mu.Unlock()
	l := w.newLife("guardian", dieAt)
	w.mu.Lock()
	w.guardians[runID] = l
	w.mu.Unlock()
	l.whenDead(func() { engine.CloseWithError(errDead) })
	l.begin(func() {
		result, did, err := recover.Guard(l.ctx, engine, w.recovery(l, "guardian"), runID)
		if did {
			w.say("the guardian is through: %+v, %v", result, err)
		}
	})
	return l
}

func (w *world) guardianOf(runID string) *life {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.guardians[runID]
}

// recover is `faultline recover`, once.
func (w *world) recover(dieAt int) *life {
	l := w.newLife("recover", dieAt)
	l.begin(func() {
		o := w.recovery(l, "recover")
		pending, _, err := recover.Pending(l.ctx, o.Store)
		if err != nil && !l.isDead() {
			w.violates("recover cannot list the runs: %v", err)
		}
		for _, r := range pending {
			result, err := recover.Run(l.ctx, o, r.ID)
			w.say("recover is through with %s: %+v, %v", r.ID, result, err)
		}
	})
	return l
}

func (w *world) recovery(l *life, by string) recover.Options {
	return recover.Options{
		Store: l.store(), By: by, PID: 1,
		Start: func(ctx context.Context, _ journal.PluginUsed, runID, _ string) (recover.Plugin, error) {
			if err := l.at("before it starts a plugin"); err != nil {
				return nil, err
			}
			if err := pass(ctx, startTime); err != nil {
				return nil, err
			}
			p, err := w.born(l, runID)
			if err != nil {
				return nil, err
			}
			return p, l.at("after it started a plugin")
		},
	}
}

// powerFails ends everybody at once, and with them what was not on disk yet.
func (w *world) powerFails() {
	if w.isOver() {
		return
	}
	w.happens(string(powerFails))
	w.say("the power fails")
	w.mu.Lock()
	processes, lives := slices.Clone(w.processes), slices.Clone(w.lives)
	w.mu.Unlock()
	for _, p := range processes {
		p.dies("of the power")
	}
	// The guardian first: it sees no pipe close.
	slices.SortStableFunc(lives, func(a, b *life) int { return len(b.kind) - len(a.kind) })
	for _, l := range lives {
		l.die("of the power")
	}
	w.mu.Lock()
	journals := w.journals
	w.mu.Unlock()
	for runID, s := range journals {
		s.mu.Lock()
		path := w.dir + "/state/runs/" + runID + "/" + journal.FileName
		if info, err := os.Stat(path); err == nil && info.Size() > s.synced {
			if err := os.Truncate(path, s.synced); err != nil {
				w.t.Error(err)
			}
		}
		s.written = min(s.written, s.synced)
		s.mu.Unlock()
	}
}
