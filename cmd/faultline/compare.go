package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/faultline-go/faultline/engine/history"
	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/engine/report"
)

func newCompare(g *global) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "compare BEFORE AFTER",
		Short: "Lay two runs side by side, with what can honestly be said of the difference",
		Long: `compare judges two runs from their journals and lays them side by side: the verdicts,
the difference of each objective's bad share with a 95 % interval, latencies, times,
and what makes them hard to compare. Each run is a name as ` + "`faultline history`" + ` lists
it, or the path of a run's folder or journal. The exit code is 0 whatever the difference:
` + "`faultline run -compare-to`" + ` lets a regression fail a run.`,
		Args: arguments(2, 2),
		RunE: func(c *cobra.Command, args []string) error {
			if err := formats(format, "table", "json", "markdown"); err != nil {
				return err
			}
			var sides [2]record
			for i := range args {
				r, err := g.record(args[i:i+1], false)
				if err != nil {
					return err
				}
				sides[i] = r
			}
			comparison := judge.Compare(sides[0].Result, sides[1].Result)
			return g.writeComparison(c.OutOrStdout(), &comparison, format)
		},
	}
	c.Flags().StringVar(&format, "format", "table", "table, json or markdown")
	return c
}

func (g *global) writeComparison(w io.Writer, c *judge.Comparison, format string) error {
	switch format {
	case "json":
		return report.CompareJSON(w, c)
	case "markdown":
		return report.CompareMarkdown(w, c)
	}
	return report.Compare(w, c, g.reportOptions(true))
}

// What `run -compare-to` takes beside the name of a run.
const (
	compareLast     = "last"
	compareLastHeld = "last-held"
)

// checkReference says before a run that what it is to be compared with is not there.
func (g *global) checkReference(to string) error {
	if to == "" || isRelative(to) {
		return nil
	}
	if _, err := g.runPath([]string{to}); err != nil {
		return fmt.Errorf("-compare-to: %w, or write %s or %s", err, compareLast, compareLastHeld)
	}
	return nil
}

// isRelative says whether the history has to find the run to compare with.
func isRelative(to string) bool { return to == compareLast || to == compareLastHeld }

// earlierRun is the result of the last run of the same scenario, or of the last that held;
// nil when there is none, and why.
func earlierRun(ctx context.Context, p *pastRuns, to string, r *judge.Result) (before *judge.Result, none string, err error) {
	s := r.Run.Scenario
	verdict, what := judge.Verdict(""), "no earlier run"
	if to == compareLastHeld {
		verdict, what = judge.Held, "no earlier run that held"
	}
	last, err := p.Last(ctx, s.Name, s.Environment, r.Run.ID, verdict)
	if errors.Is(err, history.ErrNoRun) {
		return nil, fmt.Sprintf("there is %s of %s", what, s.Name), nil
	}
	if err == nil {
		before, err = p.Result(ctx, last.ID)
	}
	return before, "", err
}

// showRegressions says below a report what a comparison has found.
func (g *global) showRegressions(c *judge.Comparison, none string) {
	out := g.process.stdout
	switch {
	case c == nil:
		fmt.Fprintf(out, "\nNot compared: %s.\n", none)
	case c.Compared == 0:
		fmt.Fprintf(out, "\nNot compared: no experiment was the same test as in %s and came to held or broken both times.\n", c.Before.Run)
	case len(c.Regressions) == 0:
		fmt.Fprintf(out, "\nCompared with %s: no regression.\n", c.Before.Run)
	default:
		fmt.Fprintf(out, "\nREGRESSION – compared with %s:\n", c.Before.Run)
		for _, r := range c.Regressions {
			fmt.Fprintf(out, "  %s, %s: %s\n", r.Experiment, r.What, r.Text)
		}
		fmt.Fprintf(out, "More: `faultline compare %s %s`\n", c.Before.Run, c.After.Run)
	}
}
