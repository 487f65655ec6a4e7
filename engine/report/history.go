package report

import (
	"fmt"
	"io"
	"time"

	"github.com/faultline-go/faultline/engine/judge"
)

// RunSummary is one run in the list of runs.
type RunSummary struct {
	Run         string        `json:"run"`
	Started     time.Time     `json:"started"`
	Scenario    string        `json:"scenario"`
	Environment string        `json:"environment,omitempty"`
	Verdict     judge.Verdict `json:"verdict"`
	ExitCode    *int          `json:"exit_code"` // nil: the run has no end
	Duration    float64       `json:"duration_s"`
	Found       []string      `json:"issues_found,omitempty"` // experiments that held before, and are broken now
	Fixed       []string      `json:"issues_fixed,omitempty"` // the reverse
	Error       string        `json:"error,omitempty"`        // why it cannot be read
}

// Summary is a run's line in the list.
func Summary(r *judge.Result) RunSummary {
	return RunSummary{
		Run: r.Run.ID, Started: r.Run.Started, Scenario: r.Run.Scenario.Name, Environment: r.Run.Scenario.Environment,
		Verdict: r.Verdict, ExitCode: &r.ExitCode, Duration: r.Run.Duration,
	}
}

// wideEnough is a width at which a list of runs has room for when each began, which
// the names of runs say, too.
const wideEnough = 100

// History writes the list of runs as a table, in the order given.
func History(w io.Writer, runs []RunSummary, o Options) error {
	p := &page{o: o}
	if len(runs) == 0 {
		p.line("No runs yet.")
	} else {
		wide, edges := o.width() >= wideEnough, false
		for _, r := range runs {
			edges = edges || len(r.Found)+len(r.Fixed) > 0
		}
		g := grid{head: []string{"Run"}, keep: []int{0}}
		if wide {
			g.head = append(g.head, "Started")
		}
		g.wrap = len(g.head)
		g.right = []int{g.wrap + 2, g.wrap + 3}
		g.head = append(g.head, "Scenario", "Verdict", "Exit", "Took")
		if edges {
			g.wrap = len(g.head)
			g.head = append(g.head, "What changed")
		}
		for _, r := range runs {
			started, code, took := "–", "–", "–"
			if !r.Started.IsZero() {
				started, took = r.Started.UTC().Format("2006-01-02 15:04"), length(r.Duration)
			}
			if r.ExitCode != nil {
				code = number(*r.ExitCode)
			}
			cells := []string{r.Run}
			if wide {
				cells = append(cells, started)
			}
			cells = append(cells, r.Scenario, word(r.Verdict), code, took)
			if edges {
				cells = append(cells, edgeText(r.Found, r.Fixed))
			}
			g.add(cells...)
		}
		p.lines(g)
	}
	_, err := io.WriteString(w, p.b.String())
	return err
}

func edgeText(found, fixed []string) string {
	text := ""
	if len(found) > 0 {
		text = "issue found: " + list(found)
	}
	if len(fixed) > 0 {
		if text != "" {
			text += "; "
		}
		text += "issue fixed: " + list(fixed)
	}
	return text
}

// lines writes a table at the margin.
func (p *page) lines(g grid) {
	for _, l := range drawTable(g, p.o.width(), p.cell) {
		p.line(l)
	}
}

// HistoryJSON writes the list of runs as a JSON array, never null.
func HistoryJSON(w io.Writer, runs []RunSummary) error {
	if runs == nil {
		runs = []RunSummary{}
	}
	return writeJSON(w, runs)
}

// ExperimentSummary is what the runs of an experiment have come to.
type ExperimentSummary struct {
	Scenario    string        `json:"scenario"`
	Environment string        `json:"environment,omitempty"`
	Experiment  string        `json:"experiment"`
	Verdict     judge.Verdict `json:"verdict"` // of the last run
	Reason      string        `json:"reason,omitempty"`
	Run         string        `json:"run"` // the last one
	Started     time.Time     `json:"started"`
	Streak      int           `json:"streak"` // so many runs in a row had that verdict
	Runs        int           `json:"runs"`
	LastHeld    *time.Time    `json:"last_held"` // nil: never
	LastHeldRun string        `json:"last_held_run,omitempty"`
	DaysSince   *float64      `json:"days_since_held"`
}

// Experiments writes what the runs of each experiment have come to, as a table.
func Experiments(w io.Writer, all []ExperimentSummary, o Options) error {
	p := &page{o: o}
	if len(all) == 0 {
		p.line("No experiment was run yet.")
	} else {
		g := grid{head: []string{"Experiment", "Last verdict", "In a row", "Last run", "Last held"}, right: []int{2}}
		for _, e := range all {
			held := "never"
			if e.DaysSince != nil {
				held = daysAgo(*e.DaysSince)
			}
			name := e.Scenario + "/" + e.Experiment
			if e.Environment != "" {
				name += " (" + e.Environment + ")"
			}
			g.add(name, word(e.Verdict), fmt.Sprintf("%s of %s", number(e.Streak), number(e.Runs)), e.Started.UTC().Format("2006-01-02 15:04"), held)
		}
		p.lines(g)
	}
	_, err := io.WriteString(w, p.b.String())
	return err
}

// ExperimentsJSON writes the same as a JSON array, never null.
func ExperimentsJSON(w io.Writer, all []ExperimentSummary) error {
	if all == nil {
		all = []ExperimentSummary{}
	}
	return writeJSON(w, all)
}

// daysAgo writes how long ago something was, in whole days.
func daysAgo(days float64) string {
	switch n := int(days); {
	case n < 1:
		return "within a day"
	default:
		return counted(n, "day") + " ago"
	}
}
