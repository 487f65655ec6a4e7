package history

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
)

// Judge judges the run in a folder from its journal.
type Judge func(dir string) (*judge.Result, error)

// Progress is what CatchUp has done.
type Progress struct {
	Indexed int
	Removed int               // runs whose folders are gone
	Left    int               // runs that it did not come to: the context ended
	Live    []journal.RunInfo // runs that go on, which no index has
}

// workers is how many journals are judged at a time: they may be large.
const workers = 2

// CatchUp brings the index up to date with the folder of runs, by a look at the length
// and time of each journal. What has changed is judged, the newest runs first; when the
// context ends before that is done, Left says how much is not. With all, everything is
// judged again.
func (x *Index) CatchUp(ctx context.Context, store *journal.Store, do Judge, all bool) (Progress, error) {
	var p Progress
	stamps, err := store.Stamps()
	if err != nil {
		return p, err
	}
	known, err := x.stamps(ctx)
	if err != nil {
		return p, fmt.Errorf("read the index of runs: %w", err)
	}
	var todo []journal.Stamp
	for _, s := range slices.Backward(stamps) {
		k, ok := known[s.ID]
		delete(known, s.ID)
		if !ok || all || k.Size != s.Size || !k.Written.Equal(s.Written) {
			todo = append(todo, s)
		}
	}
	if p.Removed = len(known); p.Removed > 0 {
		err := x.change(ctx, func(tx *sql.Tx) error {
			for id := range known {
				if _, err := tx.ExecContext(ctx, "DELETE FROM runs WHERE id = ?", id); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return p, fmt.Errorf("clear the index of runs: %w", err)
		}
	}
	err = x.judgeAll(ctx, store, do, todo, &p)
	return p, err
}

// entry is what a run's journal has come to.
type entry struct {
	stamp  journal.Stamp
	info   journal.RunInfo
	result *judge.Result // nil: it cannot be read
	err    error
}

// batch is how many runs are written in one transaction.
const batch = 64

func (x *Index) judgeAll(ctx context.Context, store *journal.Store, do Judge, todo []journal.Stamp, p *Progress) error {
	if len(todo) == 0 {
		return nil
	}
	entries := make(chan entry)
	work, stop := context.WithCancel(context.WithoutCancel(ctx)) // ends when nobody takes entries any more
	defer stop()
	group, _ := errgroup.WithContext(work)
	next := make(chan journal.Stamp)
	go func() {
		defer close(next)
		for _, s := range todo {
			select {
			case next <- s:
			case <-ctx.Done():
				return
			case <-work.Done():
				return
			}
		}
	}()
	for range workers {
		group.Go(func() error {
			for s := range next {
				select {
				case entries <- judged(store, do, s):
				case <-work.Done():
					return nil
				}
			}
			return nil
		})
	}
	go func() {
		_ = group.Wait() // its functions have no errors
		close(entries)
	}()
	var full []entry
	done := 0
	write := func() error {
		if len(full) == 0 {
			return nil
		}
		// What is judged is also written when there is no time for more.
		if err := x.put(context.WithoutCancel(ctx), full); err != nil {
			return fmt.Errorf("write the index of runs: %w", err)
		}
		p.Indexed += len(full)
		full = full[:0]
		return nil
	}
	for e := range entries {
		done++
		if e.info.Live {
			p.Live = append(p.Live, e.info)
			continue
		}
		if full = append(full, e); len(full) == batch {
			if err := write(); err != nil {
				return err
			}
		}
	}
	p.Left = len(todo) - done
	slices.SortFunc(p.Live, func(a, b journal.RunInfo) int { return a.Started.Compare(b.Started) })
	return write()
}

func judged(store *journal.Store, do Judge, s journal.Stamp) entry {
	e := entry{stamp: s}
	e.info, e.err = store.Run(s.ID)
	if e.err == nil {
		e.err = e.info.Err
	}
	if e.err == nil && !e.info.Live {
		e.result, e.err = do(e.info.Dir)
	}
	return e
}

// stamps are the runs that the index has, and the journals that it has them from.
func (x *Index) stamps(ctx context.Context) (map[string]journal.Stamp, error) {
	all, err := list(ctx, x.db, "SELECT id, size, written FROM runs", func(r *sql.Rows, s *journal.Stamp) error {
		var written int64
		err := r.Scan(&s.ID, &s.Size, &written)
		s.Written = moment(written)
		return err
	})
	if err != nil {
		return nil, err
	}
	known := make(map[string]journal.Stamp, len(all))
	for _, s := range all {
		known[s.ID] = s
	}
	return known, nil
}

// The states of a run in the index.
const (
	Ended      = "ended"
	Unfinished = "unfinished" // its process died, and nobody has recovered it
	Unreadable = "unreadable"
)

// put writes runs in one transaction, in place of what there was of them.
func (x *Index) put(ctx context.Context, entries []entry) error {
	return x.change(ctx, func(tx *sql.Tx) error {
		var err error
		exec := func(query string, args ...any) {
			if err == nil {
				_, err = tx.ExecContext(ctx, query, args...)
			}
		}
		for _, e := range entries {
			putRun(exec, e)
		}
		return err
	})
}

func putRun(exec func(string, ...any), e entry) {
	id, s := e.stamp.ID, e.info.Scenario
	exec("DELETE FROM runs WHERE id = ?", id)
	state, problem, r := Ended, "", e.result
	switch {
	case r == nil:
		state, problem, r = Unreadable, "it cannot be read", &judge.Result{}
		if e.err != nil {
			problem = e.err.Error()
		}
	case r.Unfinished:
		state = Unfinished
	}
	exec("INSERT INTO runs VALUES ("+marks(13)+")", id, e.stamp.Size, nanos(e.stamp.Written), state, problem,
		s.Name, s.Environment, s.Title, nanos(e.info.Started), r.Run.Duration, r.Verdict, r.ExitCode, len(r.Residue))
	if e.result == nil {
		return
	}
	run := r.Run
	run.ID, run.Sources = id, slices.Clone(run.Sources)
	for i := range run.Sources {
		run.Sources[i].Text = "" // the journal has it; the checksum is enough to compare
	}
	putDetail(exec, id, -1, "", run)
	for i, x := range r.Experiments {
		var started int64
		var took float64
		if x.Started != nil {
			started = nanos(*x.Started)
			if x.Ended != nil {
				took = x.Ended.Sub(*x.Started).Seconds()
			}
		}
		reason := ""
		if len(x.Reasons) > 0 {
			reason = x.Reasons[0].Text
		}
		loss := worstLoss(x.Lost)
		args := []any{s.Name, s.Environment, x.Name, id, i, x.Verdict, reason, x.Residue, started, took, loss.Sent, loss.Failed, loss.Missing}
		for _, span := range []judge.Span{x.Times.ToImpact, x.Times.ToDetect, x.Times.ToRecover} {
			args = append(args, sql.NullFloat64{Float64: span.Min, Valid: span.Known}, sql.NullFloat64{Float64: span.Max, Valid: span.Known && !span.Censored})
		}
		exec("INSERT INTO experiments VALUES ("+marks(19)+")", args...)
		for _, f := range x.Faults {
			for _, t := range f.Targets {
				exec("INSERT INTO faults VALUES ("+marks(16)+")", id, s.Name, s.Environment, x.Name, x.Verdict, f.Name, f.Type,
					f.TargetBlock, t.Kind, t.ID, t.Name, t.Bites, t.Gone, t.Outcome, t.By, t.Residue)
			}
		}
		putDetail(exec, id, i, x.Name, x)
	}
}

func putDetail(exec func(string, ...any), run string, place int, name string, v any) {
	raw, err := json.Marshal(v)
	if err != nil {
		raw = []byte("{}") // what judging makes can always be encoded: it is what reports are made of
	}
	exec("INSERT INTO details VALUES ("+marks(4)+")", run, place, name, string(raw))
}

func worstLoss(all []judge.Loss) (worst judge.Loss) {
	for i, l := range all {
		if i == 0 || l.Failed > worst.Failed {
			worst = l
		}
	}
	return worst
}

func marks(n int) string {
	b := make([]byte, 0, 2*n)
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '?')
	}
	return string(b)
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func moment(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

// ErrNoRun says that the index has no such run, or cannot read it.
var ErrNoRun = errors.New("no such run in the history")
