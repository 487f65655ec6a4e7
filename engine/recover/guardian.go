package recover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/sdk/arbiter"
)

const (
	// pluginsFirst is how long a guardian leaves plugins that have lost their engine to
	// revert by themselves: they are at it already, and the proof reads better when the
	// one that injected puts back.
	pluginsFirst = time.Second
	// lockPatience is how long the lock of a dead engine may still be held: by the
	// kernel until the process is gone, or by somebody who recovers already.
	lockPatience = 30 * time.Second
	look         = 20 * time.Millisecond
)

// Guard sleeps until the engine's end of the pipe closes, and puts right what the
// engine left if it died before the run's end. The returned bool says whether it has
// tried to. A run that has its end is left alone, whatever that end says: the engine
// has told the operator of residue, and `faultline recover` is the operator's to run.
// So is a run that somebody else has recovered meanwhile.
func Guard(ctx context.Context, engine io.Reader, o Options, run string) (Result, bool, error) {
	// The content does not matter, and an error is an end as well.
	_, _ = io.Copy(io.Discard, engine)
	if over, err := overFor(o.Store, run); over || err != nil {
		return Result{}, false, err
	}
	waitForPlugins(ctx, o.Store.RunDir(run))
	deadline := time.Now().Add(lockPatience)
	for {
		// Again each time: the end is written before the lock is given back, and
		// whoever holds it, engine or another recovery, may be about to do both.
		if over, err := overFor(o.Store, run); over || err != nil {
			return Result{}, false, err
		}
		result, err := takeOver(ctx, o, run, ended)
		switch {
		case errors.Is(err, errOver):
			return Result{}, false, nil
		case !errors.Is(err, journal.ErrLive):
			return result, true, err
		}
		if time.Now().After(deadline) {
			return Result{}, true, fmt.Errorf("somebody holds run %s: %w", run, err)
		}
		pause(ctx, look)
	}
}

// overFor says whether there is nothing for a guardian to do about a run.
func overFor(store *journal.Store, run string) (bool, error) {
	info, err := store.Run(run)
	if err != nil {
		return false, err
	}
	return info.Finished || info.Err != nil && neverBegan(info), nil
}

// waitForPlugins waits until every open fault has an outcome on record, for a while.
func waitForPlugins(ctx context.Context, dir string) {
	log, err := journal.ReadAll(dir)
	if err != nil {
		return // recovery says what is wrong with it
	}
	open := Open(log.Events)
	for end := time.Now().Add(pluginsFirst); time.Now().Before(end) && ctx.Err() == nil; {
		if allOnRecord(arbiter.Dir(dir), open) {
			return
		}
		pause(ctx, look)
	}
}

func allOnRecord(dir arbiter.Dir, open []Fault) bool {
	for _, f := range open {
		o, err := dir.Outcome(f.Intent.ID)
		if err != nil {
			return false
		}
		for _, t := range f.Open {
			if _, ok := o.Of(t.ID); !ok {
				return false
			}
		}
	}
	return true
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
