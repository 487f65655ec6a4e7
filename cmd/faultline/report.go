package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/engine/report"
)

func newReport(g *global) *cobra.Command {
	var name, out string
	var strict bool
	c := &cobra.Command{
		Use:   "report [RUN]",
		Short: "Judge and report a past run from its journal",
		Long: `report judges a run from its journal and writes the report. RUN is a run's name as
` + "`faultline history`" + ` lists it, or the path of a run's folder or journal; without it
the latest run is taken. The exit code is 0 whatever the verdict.`,
		Args: arguments(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			f, err := formatNamed(name)
			if err != nil {
				return err
			}
			r, err := g.record(args, f.facts)
			if err != nil {
				return err
			}
			s := style{g.reportOptions(out == ""), strict}
			if f.before {
				s.Before = g.earlierRuns(c.Context(), r)
			}
			if out != "" {
				return f.save(out, r, s)
			}
			return f.write(c.OutOrStdout(), r, s)
		},
	}
	c.Flags().StringVar(&name, "format", reportFormats[0].name, formatNames())
	c.Flags().StringVar(&out, "out", "", "write to this file")
	c.Flags().BoolVar(&strict, "strict", false, "in junit: what is not held is a failure, not skipped")
	return c
}

// earlierRuns is what the history has from before a run of the state folder; nil for a
// journal that lies elsewhere, and where there is no index and none may be made: the
// report of one run is not worth reading all journals.
func (g *global) earlierRuns(ctx context.Context, r record) *report.Before {
	store, err := journal.OpenRead(g.state())
	if err != nil || filepath.Clean(r.path) != store.RunDir(r.Run.ID) || unix.Access(store.Dir(), unix.W_OK) != nil {
		return nil
	}
	return g.lookBack(ctx, r, "").before
}

func (g *global) reportOptions(terminal bool) report.Options {
	o := report.Options{Width: 80}
	if terminal {
		o.Color = g.color()
		if w := g.process.width(); g.process.stdoutTTY && w > 0 {
			o.Width = w
		}
	}
	return o
}

// record judges the run that the arguments name, or the latest. With facts alone the
// samples are left out, and what a result says of them is not so.
func (g *global) record(args []string, facts bool) (record, error) {
	path, err := g.runPath(args)
	if err != nil {
		return record{}, err
	}
	if facts {
		return g.judgeWith(path, journal.ReadFacts)
	}
	return g.judge(path)
}

// judge judges a journal, and warns where it is torn.
func (g *global) judge(path string) (record, error) { return g.judgeWith(path, journal.Read) }

func (g *global) judgeWith(path string, read reader) (record, error) {
	result, torn, err := judgeJournal(path, read)
	if torn != nil {
		fmt.Fprintln(g.process.stderr, "Warning: "+torn.Error())
	}
	if err != nil {
		return record{}, err
	}
	return record{result, path, report.PlacesOf(&result.Run, g.repositoryPath)}, nil
}

// reader is a way to read a journal: journal.Read, or journal.ReadFacts.
type reader func(path string) iter.Seq2[journal.Event, error]

// judgeJournal folds a journal as it is read: it may be longer than the memory is large.
func judgeJournal(path string, read reader) (r *judge.Result, torn, err error) {
	n := 0
	r, err = judge.Fold(func(yield func(journal.Event, error) bool) {
		for e, err := range read(path) {
			if errors.Is(err, journal.ErrTorn) {
				torn = err
				return
			}
			n++
			if !yield(e, err) {
				return
			}
		}
	})
	if n == 0 {
		return nil, nil, fmt.Errorf("%s is no journal of a run", path)
	}
	return r, torn, err
}

func (g *global) runPath(args []string) (string, error) {
	store, err := journal.OpenRead(g.state())
	if err != nil {
		return "", err
	}
	if len(args) == 0 {
		latest, err := store.Latest()
		if errors.Is(err, journal.ErrNoRun) {
			return "", fmt.Errorf("there is no run in %s yet", store.Dir())
		}
		return latest.Dir, err
	}
	if info, err := store.Run(args[0]); err == nil {
		return info.Dir, nil
	}
	if _, err := os.Stat(args[0]); err == nil {
		return filepath.Clean(args[0]), nil
	}
	return "", errors.New("no run " + args[0] + ": `faultline history` lists the runs")
}
