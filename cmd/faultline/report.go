package main

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

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
		return g.fold(path, journal.ReadFacts)
	}
	return g.judge(path)
}

func (g *global) judge(path string) (record, error) { return g.fold(path, journal.Read) }

// fold judges a journal as it is read: it may be longer than the memory is large.
func (g *global) fold(path string, read func(string) iter.Seq2[journal.Event, error]) (record, error) {
	r := record{path: path}
	var torn error
	n := 0
	result, err := judge.Fold(func(yield func(journal.Event, error) bool) {
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
		return r, fmt.Errorf("%s is no journal of a run", path)
	}
	if torn != nil {
		fmt.Fprintln(g.process.stderr, "Warning: "+torn.Error())
	}
	if err != nil {
		return r, err
	}
	r.Result, r.places = result, report.PlacesOf(&result.Run, g.repositoryPath)
	return r, nil
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
