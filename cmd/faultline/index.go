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
	"github.com/faultline-go/faultline/engine/report"
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
	return g.withPastAnd(ctx, record{}, again, do)
}

// withPastAnd is withPast for those who have judged a run already.
func (g *global) withPastAnd(ctx context.Context, known record, again bool, do func(*pastRuns) error) error {
	store, err := journal.OpenRead(g.state())
	if err != nil {
		return err
	}
	err = g.tryPast(ctx, store, known, again, do)
	if history.Damaged(err) {
		if err = history.Remove(store.Dir()); err == nil {
			err = g.tryPast(ctx, store, known, again, do)
		}
	}
	return err
}

func (g *global) tryPast(ctx context.Context, store *journal.Store, known record, again bool, do func(*pastRuns) error) (err error) {
	x, err := g.openIndex(ctx, store)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, x.Close()) }()
	p, err := x.CatchUp(ctx, store, func(dir string) (*judge.Result, error) {
		if known.Result != nil && dir == known.path {
			return known.Result, nil
		}
		r, _, err := judgeJournal(dir, journal.Read)
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

// remember brings the index up to date with runs that have ended, and lets look ask it.
// It never fails a run: what goes wrong is a warning. A run that was judged already is
// known.
func (g *global) remember(ctx context.Context, known record, look func(context.Context, *pastRuns) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), catchUpTime)
	defer cancel()
	err := g.withPastAnd(ctx, known, false, func(p *pastRuns) error {
		if p.Left > 0 {
			fmt.Fprintf(g.process.stderr, "Warning: the index of runs lacks %d earlier runs: `faultline history` reads them\n", p.Left)
		}
		if look == nil {
			return nil
		}
		return look(context.WithoutCancel(ctx), p)
	})
	if err != nil {
		fmt.Fprintf(g.process.stderr, "Warning: %s; `faultline history -reindex` makes the index again\n", err)
	}
}

// earlier is what the history has of runs before one.
type earlier struct {
	before     *report.Before
	comparison *judge.Comparison // with the run that was asked for; nil: there is none
	none       string            // why
}

func (e earlier) regressed() bool { return e.comparison != nil && len(e.comparison.Regressions) > 0 }

// lookBack looks at what the history has from before a run that has ended, and compares it
// with the run that is asked for, if one is.
func (g *global) lookBack(ctx context.Context, r record, compareTo string) (e earlier) {
	e.none = "the history could not be asked"
	var reference *judge.Result
	g.remember(ctx, r, func(ctx context.Context, p *pastRuns) (err error) {
		if e.before, err = before(ctx, p, r.Result); err == nil && isRelative(compareTo) {
			reference, e.none, err = earlierRun(ctx, p, compareTo, r.Result)
		}
		return err
	})
	if compareTo != "" && !isRelative(compareTo) {
		// Its journal is all that is needed.
		named, err := g.record([]string{compareTo}, false)
		if reference = named.Result; err != nil {
			e.none, reference = err.Error(), nil
		}
	}
	if reference != nil {
		c := judge.Compare(reference, r.Result)
		e.comparison = &c
	}
	return e
}

// before is what reports say of earlier runs of the same scenario.
func before(ctx context.Context, p *pastRuns, r *judge.Result) (*report.Before, error) {
	s := r.Run.Scenario
	last, err := p.Last(ctx, s.Name, s.Environment, r.Run.ID, "")
	if errors.Is(err, history.ErrNoRun) {
		return &report.Before{}, nil
	}
	if err != nil {
		return nil, err
	}
	was, err := p.Result(ctx, last.ID)
	if err != nil {
		return nil, err
	}
	past, err := p.Before(ctx, s.Name, s.Environment, r.Run.ID)
	if err != nil {
		return nil, err
	}
	c := judge.Compare(was, r)
	b := &report.Before{Last: &c, Experiments: map[string]report.Past{}}
	for name, x := range past {
		b.Experiments[name] = report.Past{Verdict: x.Verdict, LastHeld: x.LastHeld}
	}
	return b, nil
}
