package main

import (
	"github.com/spf13/cobra"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/engine/report"
)

func newHistory(g *global) *cobra.Command {
	var format string
	var most int
	c := &cobra.Command{
		Use:   "history",
		Short: "List past runs",
		Args:  arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := formats(format, "table", "json"); err != nil {
				return err
			}
			store, err := journal.OpenRead(g.state())
			if err != nil {
				return err
			}
			runs, err := store.Runs()
			if err != nil {
				return err
			}
			if most > 0 && len(runs) > most {
				runs = runs[len(runs)-most:]
			}
			summaries := make([]report.RunSummary, 0, len(runs))
			for _, r := range runs {
				summaries = append(summaries, summary(r))
			}
			if format == "json" {
				return report.HistoryJSON(c.OutOrStdout(), summaries)
			}
			o := g.reportOptions(true)
			if !g.process.stdoutTTY {
				o.Width = wideList // for programs and files: a line a run
			}
			return report.History(c.OutOrStdout(), summaries, o)
		},
	}
	c.Flags().StringVar(&format, "format", "table", "table or json")
	c.Flags().IntVar(&most, "most", 0, "only the latest so many; 0: all")
	return c
}

// wideList is the width of a list of runs that no terminal shows, in columns.
const wideList = 132

func summary(r journal.RunInfo) report.RunSummary {
	s := report.RunSummary{
		Run: r.ID, Started: r.Started, Scenario: r.Scenario.Name,
		Verdict: judge.Verdict(r.Verdict), Duration: r.Last.Sub(r.Started).Seconds(),
	}
	switch {
	case r.Live:
		s.Verdict = "running"
	case r.Err != nil:
		s.Verdict = "unreadable"
	case r.Finished:
		s.ExitCode = &r.ExitCode
	default:
		s.Verdict = "unfinished"
	}
	return s
}
