package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/engine/report"
)

func newReport(g *global) *cobra.Command {
	var format, out string
	var strict bool
	c := &cobra.Command{
		Use:   "report [RUN]",
		Short: "Judge and report a past run from its journal",
		Long: `report judges a run from its journal and writes the report. RUN is a run's name as
` + "`faultline history`" + ` lists it, or the path of a run's folder or journal; without it
the latest run is taken. The exit code is 0 whatever the verdict.`,
		Args: arguments(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := formats(format, "table", "json", "junit", "markdown"); err != nil {
				return err
			}
			r, err := g.result(args)
			if err != nil {
				return err
			}
			write := func(w io.Writer) error {
				switch format {
				case "json":
					return report.JSON(w, r)
				case "junit":
					return report.JUnit(w, r, report.JUnitOptions{Strict: strict})
				case "markdown":
					return report.Markdown(w, r)
				default:
					return report.Terminal(w, r, g.reportOptions(out == ""))
				}
			}
			if out == "" {
				return write(c.OutOrStdout())
			}
			f, err := os.Create(out)
			if err != nil {
				return fmt.Errorf("write report: %w", err)
			}
			err = write(f)
			if e := f.Close(); err == nil {
				err = e
			}
			return err
		},
	}
	c.Flags().StringVar(&format, "format", "table", "table, json, junit or markdown")
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

// result judges the run that the arguments name, or the latest.
func (g *global) result(args []string) (*judge.Result, error) {
	path, err := g.runPath(args)
	if err != nil {
		return nil, err
	}
	log, err := journal.ReadAll(path)
	if err != nil {
		return nil, err
	}
	if len(log.Events) == 0 {
		return nil, fmt.Errorf("%s is no journal of a run", path)
	}
	if log.Torn != nil {
		fmt.Fprintln(g.process.stderr, "Warning: "+log.Torn.Error())
	}
	return judge.FoldEvents(log.Events)
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
