package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/faultline-go/faultline/engine/history"
	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/engine/report"
)

func newHistory(g *global) *cobra.Command {
	var format string
	var f history.Filter
	var experiments, reindex bool
	c := &cobra.Command{
		Use:   "history",
		Short: "List past runs, and what became of each experiment",
		Long: `history lists past runs, oldest first, with what changed in each: an issue is found
when an experiment is broken that held the last time that it showed something, and
fixed when it is the other way round. With -experiments it lists the experiments
instead: the last verdict, how often in a row, and when it last held. Experiments of the same
name belong together when their scenario and its environment have the same names.

It reads an index, history.db in the state folder, and brings that up to date first.
The journals are the truth: -reindex makes the index anew from them.`,
		Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := formats(format, "table", "json"); err != nil {
				return err
			}
			if f.Most < 0 {
				return fmt.Errorf("-most %d: write how many runs to list", f.Most)
			}
			if format == "table" && !c.Flags().Changed("most") {
				f.Most = usualMost
			}
			return g.withPast(c.Context(), reindex, func(p *pastRuns) error {
				switch {
				case reindex:
					fmt.Fprintf(g.process.stderr, "Indexed %d runs.\n", p.Indexed)
				case p.Rebuilt:
					fmt.Fprintf(g.process.stderr, "The index of runs was of no use and was made anew: %d runs.\n", p.Indexed)
				}
				if experiments {
					return g.listExperiments(c, p, f, format)
				}
				return g.listRuns(c, p, f, format)
			})
		},
	}
	c.Flags().StringVar(&format, "format", "table", "table or json")
	c.Flags().StringVar(&f.Scenario, "scenario", "", "only runs of the scenario of this name")
	c.Flags().IntVar(&f.Most, "most", 0, "only the latest so many runs; 0: all (default 100 in a table, all in json)")
	c.Flags().BoolVar(&experiments, "experiments", false, "list experiments, over all their runs")
	c.Flags().BoolVar(&reindex, "reindex", false, "make the index anew from the journals first")
	return c
}

// usualMost is how many runs a table has unless it is told otherwise.
const usualMost = 100

// wideList is the width of a list of runs that no terminal shows, in columns.
const wideList = 132

func (g *global) listOptions() report.Options {
	o := g.reportOptions(true)
	if !g.process.stdoutTTY {
		o.Width = wideList // for programs and files: a line a run
	}
	return o
}

func (g *global) listRuns(c *cobra.Command, p *pastRuns, f history.Filter, format string) error {
	runs, err := p.Runs(c.Context(), f)
	if err != nil {
		return err
	}
	summaries := make([]report.RunSummary, 0, len(runs)+len(p.Live))
	for _, r := range runs {
		s := report.RunSummary{
			Run: r.ID, Started: r.Started, Scenario: r.Scenario, Environment: r.Environment, Verdict: r.Verdict, ExitCode: &r.ExitCode,
			Duration: r.Duration, Found: r.Found, Fixed: r.Fixed, Error: r.Error,
		}
		if r.State != history.Ended {
			s.Verdict, s.ExitCode = judge.Verdict(r.State), nil
		}
		summaries = append(summaries, s)
	}
	for _, r := range p.Live {
		if f.Scenario == "" || r.Scenario.Name == f.Scenario {
			summaries = append(summaries, report.RunSummary{
				Run: r.ID, Started: r.Started, Scenario: r.Scenario.Name, Environment: r.Scenario.Environment,
				Verdict: "running", Duration: r.Last.Sub(r.Started).Seconds(),
			})
		}
	}
	slices.SortFunc(summaries, func(a, b report.RunSummary) int { return cmp.Compare(a.Run, b.Run) })
	if f.Most > 0 && len(summaries) > f.Most {
		summaries = summaries[len(summaries)-f.Most:]
	}
	if format == "json" {
		return report.HistoryJSON(c.OutOrStdout(), summaries)
	}
	if err := report.History(c.OutOrStdout(), summaries, g.listOptions()); err != nil {
		return err
	}
	if len(summaries) == f.Most && !c.Flags().Changed("most") {
		fmt.Fprintf(g.process.stderr, "These are the latest %d runs: -most 0 lists all.\n", f.Most)
	}
	return nil
}

func (g *global) listExperiments(c *cobra.Command, p *pastRuns, f history.Filter, format string) error {
	all, err := p.Experiments(c.Context(), f)
	if err != nil {
		return err
	}
	now := time.Now()
	summaries := make([]report.ExperimentSummary, 0, len(all))
	for _, e := range all {
		s := report.ExperimentSummary{
			Scenario: e.Scenario, Environment: e.Environment, Experiment: e.Name, Verdict: e.Verdict, Reason: e.Reason,
			Run: e.Run, Started: e.Started, Streak: e.Streak, Runs: e.Runs, LastHeldRun: e.LastHeldRun,
		}
		if !e.LastHeld.IsZero() {
			days := now.Sub(e.LastHeld).Hours() / 24
			s.LastHeld, s.DaysSince = &e.LastHeld, &days
		}
		summaries = append(summaries, s)
	}
	if format == "json" {
		return report.ExperimentsJSON(c.OutOrStdout(), summaries)
	}
	return report.Experiments(c.OutOrStdout(), summaries, g.listOptions())
}
