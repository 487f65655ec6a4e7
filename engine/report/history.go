package report

import (
	"io"
	"time"

	"github.com/faultline-go/faultline/engine/judge"
)

// RunSummary is one run in the list of runs.
type RunSummary struct {
	Run      string        `json:"run"`
	Started  time.Time     `json:"started"`
	Scenario string        `json:"scenario"`
	Verdict  judge.Verdict `json:"verdict"`
	ExitCode *int          `json:"exit_code"` // nil: the run has no end
	Duration float64       `json:"duration_s"`
}

// Summary is a run's line in the list.
func Summary(r *judge.Result) RunSummary {
	return RunSummary{
		Run: r.Run.ID, Started: r.Run.Started, Scenario: r.Run.Scenario.Name,
		Verdict: r.Verdict, ExitCode: &r.ExitCode, Duration: r.Run.Duration,
	}
}

// History writes the list of runs as a table, in the order given.
func History(w io.Writer, runs []RunSummary, o Options) error {
	p := &page{o: o}
	if len(runs) == 0 {
		p.line("No runs yet.")
	} else {
		g := grid{head: []string{"Run", "Started", "Scenario", "Verdict", "Exit", "Took"}, right: []int{4, 5}, wrap: 2, keep: []int{0}}
		for _, r := range runs {
			started, code, took := "–", "–", "–"
			if !r.Started.IsZero() {
				started, took = r.Started.UTC().Format("2006-01-02 15:04"), length(r.Duration)
			}
			if r.ExitCode != nil {
				code = number(*r.ExitCode)
			}
			g.add(r.Run, started, r.Scenario, word(r.Verdict), code, took)
		}
		for _, l := range drawTable(g, p.o.width(), p.cell) {
			p.line(l)
		}
	}
	_, err := io.WriteString(w, p.b.String())
	return err
}

// HistoryJSON writes the list of runs as a JSON array, never null.
func HistoryJSON(w io.Writer, runs []RunSummary) error {
	if runs == nil {
		runs = []RunSummary{}
	}
	return writeJSON(w, runs)
}
