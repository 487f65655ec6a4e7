package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/faultline-go/faultline/engine/history"
	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
)

// catchUpTime bounds what a run spends at its end on earlier runs that the index lacks.
// There is something to do only after an update, or when a file was lost.
const catchUpTime = 15 * time.Second

// pastRuns is the index of runs, up to date.
type pastRuns struct {
	*history.Index
	history.Progress
}

// withPast opens the index, brings it up to date and hands it to do. One that turns out
// to be of no use is made again, once.
func (g *global) withPast(ctx context.Context, again bool, do func(*pastRuns) error) error {
	store, err := journal.OpenRead(g.state())
	if err != nil {
		return err
	}
	err = g.tryPast(ctx, store, again, do)
	if history.Damaged(err) {
		if err = history.Remove(store.Dir()); err == nil {
			err = g.tryPast(ctx, store, again, do)
		}
	}
	return err
}

func (g *global) tryPast(ctx context.Context, store *journal.Store, again bool, do func(*pastRuns) error) (err error) {
	x, err := g.openIndex(ctx, store)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, x.Close()) }()
	p, err := x.CatchUp(ctx, store, func(dir string) (*judge.Result, error) {
		r, _, err := judgeJournal(dir)
		return r, err
	}, again)
	if err != nil {
		return err
	}
	return do(&pastRuns{x, p})
}

// openIndex opens the index in the state folder; where that may only be read, or is not
// there, one in memory.
func (g *global) openIndex(ctx context.Context, store *journal.Store) (*history.Index, error) {
	if _, err := os.Stat(store.Dir()); errors.Is(err, fs.ErrNotExist) {
		return history.OpenMemory(ctx) // there are no runs, and nothing is made for a look
	}
	x, err := history.Open(ctx, store.Dir())
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		fmt.Fprintf(g.process.stderr, "Warning: %s: every journal is read instead\n", err)
		return history.OpenMemory(ctx)
	}
	return x, err
}

// remember indexes a run that has ended, and looks at what the history has of earlier
// ones. It never fails a run: what goes wrong is a warning.
func (g *global) remember(ctx context.Context, look func(*pastRuns) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), catchUpTime)
	defer cancel()
	err := g.withPast(ctx, false, func(p *pastRuns) error {
		if p.Left > 0 {
			fmt.Fprintf(g.process.stderr, "Warning: the index of runs lacks %d earlier runs: `faultline history` reads them\n", p.Left)
		}
		if look == nil {
			return nil
		}
		return look(p)
	})
	if err != nil {
		fmt.Fprintf(g.process.stderr, "Warning: %s; `faultline history -reindex` makes the index again\n", err)
	}
}
