// Package readiness says whether a game day may begin: a checklist whose items are
// looked up, each with its evidence, or ticked by people. It decides from facts that it
// is given and touches nothing.
package readiness

import (
	"cmp"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/engine/plan"
	"github.com/faultline-go/faultline/engine/scenario"
)

// State of an item.
type State string

// The states of an item. Only OK lets a game day begin.
const (
	OK     State = "ok"
	Failed State = "failed"
	Open   State = "open" // nobody has ticked it, or it could not be looked up
)

// Item is one line of the checklist.
type Item struct {
	ID       string `json:"id"`
	Title    string `json:"title"`
	State    State  `json:"state"`
	Evidence string `json:"evidence"`       // what was found, or who ticked it and when
	Next     string `json:"next,omitempty"` // what to do about one that is not OK
}

// Facts are what was found out.
type Facts struct {
	Now      time.Time
	Path     string // of the scenario, as the user gave it
	Scenario *scenario.Scenario
	Plugins  []Plugin
	Plan     *plan.Plan // nil: it could not be made
	PlanErr  error
	Pending  []string          // runs without an end, or with residue
	Findings []journal.Finding // of a scan
	ScanErr  error
	Halt     string              // the reason of a halt in force
	Drill    *Drill              // the last one
	Baseline []*judge.Experiment // measured now, without any fault; nil: not measured
	Trips    []judge.GuardTrip   // while it was measured
	Why      string              // why it was not measured
	Ticks    map[string]Tick
}

// Plugin is a plugin that the scenario needs.
type Plugin struct {
	Name, Version, SHA256 string
	Note                  string // why nothing vouches for it; empty: something does
	Err                   error
}

// Drill is a practice of the halt.
type Drill struct {
	At   time.Time
	By   string
	Took time.Duration // from the halt to verified clean
	Runs int           // that were on
}

// DrillLasts is how long a drill counts: people change, and so do systems.
const DrillLasts = 90 * 24 * time.Hour

// Ready says whether every item is OK.
func Ready(items []Item) bool {
	for _, i := range items {
		if i.State != OK {
			return false
		}
	}
	return true
}

// Checklist is every item, those that machines look up first.
func Checklist(f Facts) []Item {
	items := []Item{
		f.plugins(), f.targets(), f.residue(), f.halt(), f.samples(), f.baseline(), f.runbook(), f.owner(), f.drill(),
	}
	return append(items, f.people()...)
}

func (f Facts) plugins() Item {
	i := Item{ID: "plugins", Title: "plugins are there and answer", State: OK}
	var said []string
	for _, p := range f.Plugins {
		if p.Err != nil {
			i.State, i.Next = Failed, "`faultline plugin list` shows where plugins are looked for"
			said = append(said, fmt.Sprintf("%s: %v", p.Name, p.Err))
			continue
		}
		text := p.Name + " " + p.Version
		if p.SHA256 != "" { // else it was not started, or ran already
			text += fmt.Sprintf(" (sha256 %.12s…)", p.SHA256)
		}
		if p.Note != "" {
			i.State, i.Next = Failed, "install it with `faultline init`"
			text += ", " + p.Note
		}
		said = append(said, text)
	}
	i.Evidence = strings.Join(said, ", ")
	return i
}

// sentences puts an error, whose lines are sentences with what to do indented below, into one
// line.
func sentences(err error) string {
	return strings.ReplaceAll(strings.ReplaceAll(fmt.Sprint(err), "\n  ", ". "), "\n", " ")
}

func (f Facts) targets() Item {
	i := Item{ID: "targets", Title: "targets are there", State: OK}
	if f.Plan == nil {
		i.State, i.Evidence, i.Next = Failed, sentences(f.PlanErr), "`faultline plan` says where"
		return i
	}
	var said []string
	for _, e := range f.Plan.Experiments {
		if e.Skip != "" {
			i.State = Failed
			said = append(said, fmt.Sprintf("%s: %s", e.Spec.Name, e.Skip))
		}
		for _, s := range e.Steps {
			if s.Target != "" && len(s.Targets) > 0 {
				said = append(said, fmt.Sprintf("%s: %d of %d", s.Name, len(s.Targets), s.Discovered))
			}
		}
	}
	i.Evidence = cmp.Or(strings.Join(said, ", "), "no fault needs any")
	return i
}

func (f Facts) residue() Item {
	i := Item{ID: "residue", Title: "nothing is broken from before", State: OK, Evidence: "every run has ended, and a scan found nothing of ours"}
	switch {
	case len(f.Pending) > 0:
		i.State, i.Evidence, i.Next = Failed, "not put right: "+strings.Join(f.Pending, ", "), "`faultline recover`"
	case len(f.Findings) > 0:
		x := f.Findings[0]
		i.State, i.Next = Failed, "`faultline recover`"
		i.Evidence = fmt.Sprintf("%s: %s", x.Target, x.Detail)
		if more := len(f.Findings) - 1; more > 0 {
			i.Evidence += fmt.Sprintf(", and %d more", more)
		}
	case f.ScanErr != nil:
		i.State, i.Evidence = Open, "could not look: "+f.ScanErr.Error()
	}
	return i
}

func (f Facts) halt() Item {
	i := Item{ID: "halt", Title: "no halt is in force", State: OK, Evidence: "none is"}
	if f.Halt != "" {
		i.State, i.Evidence, i.Next = Failed, f.Halt, "`faultline halt -release -reason …`"
	}
	return i
}

func (f Facts) samples() Item {
	i := Item{ID: "samples", Title: "there will be samples enough to conclude", State: OK}
	if f.Plan == nil {
		i.State, i.Evidence = Open, "there is no plan to tell from"
		return i
	}
	n := 0
	var short []string
	for _, e := range f.Plan.Experiments {
		for _, x := range e.Needs {
			n++
			if !x.Concludes {
				short = append(short, fmt.Sprintf("%s, %s of %s: %d of %d", x.Objective, x.Phase, e.Spec.Name, x.Expected, x.ForHeld))
			}
		}
	}
	i.Evidence = fmt.Sprintf("in each of %d phases of objectives", n)
	if len(short) > 0 {
		i.State, i.Evidence = Failed, strings.Join(short, "; ")
		i.Next = "make the phase longer, the probe faster or the target lower: `faultline plan` shows what is needed"
	}
	return i
}

func (f Facts) baseline() Item {
	i := Item{ID: "baseline", Title: "the steady state holds now", State: OK}
	if len(f.Baseline) == 0 {
		i.State, i.Evidence = Open, "not measured: "+f.Why
		return i
	}
	var said []string
	for _, t := range f.Trips {
		i.State = Failed
		said = append(said, fmt.Sprintf("guard %s tripped: %s", t.Guard, t.Reason))
	}
	for _, e := range f.Baseline {
		for _, o := range e.Objectives {
			switch {
			case o.N == 0:
				i.State = Failed
				said = append(said, o.Objective+": no data")
				continue
			case o.Verdict == judge.Broken:
				i.State = Failed
			}
			said = append(said, fmt.Sprintf("%s: %d of %d bad", o.Objective, o.Bad, o.N))
		}
	}
	i.Evidence = strings.Join(said, ", ")
	if i.State != OK {
		i.Next = "nothing is to be learnt from breaking what is not steady"
	}
	return i
}

func (f Facts) runbook() Item {
	i := Item{ID: "runbook", Title: "there is a runbook", State: OK, Evidence: f.Scenario.Runbook}
	if f.Scenario.Runbook == "" {
		i.State, i.Evidence, i.Next = Failed, "the scenario names none", `runbook = "https://…" in the scenario block`
	}
	return i
}

func (f Facts) owner() Item {
	i := Item{ID: "owner", Title: "somebody answers for it", State: OK, Evidence: f.Scenario.Owner}
	if f.Scenario.Owner == "" {
		i.State, i.Evidence, i.Next = Failed, "the scenario names no owner", `owner = "…" in the scenario block`
	}
	return i
}

func (f Facts) drill() Item {
	i := Item{ID: "drill", Title: "the halt was practised", State: OK}
	if f.Drill == nil {
		i.State, i.Evidence, i.Next = Failed, "never", "`faultline halt -drill` while a run is on"
		return i
	}
	d := f.Drill
	i.Evidence = fmt.Sprintf("%s by %s: clean after %s, with %d runs on", ago(f.Now, d.At), d.By, d.Took.Round(time.Millisecond), d.Runs)
	switch {
	case f.Now.Sub(d.At) > DrillLasts:
		i.State, i.Next = Failed, "`faultline halt -drill` while a run is on"
	case d.Runs == 0:
		i.State, i.Next = Failed, "`faultline halt -drill` while a run is on: without one it shows nothing"
	}
	return i
}

func ago(now, then time.Time) string {
	if d := int(now.Sub(then).Hours() / 24); d != 1 && d != 0 {
		return fmt.Sprintf("%d days ago", d)
	} else if d == 1 {
		return "a day ago"
	}
	return "today"
}

// people are the items that the scenario leaves to them.
func (f Facts) people() []Item {
	var items []Item
	for _, title := range f.Scenario.Checklist {
		i := Item{ID: Slug(title), Title: title, State: Open, Evidence: "nobody has ticked it"}
		if t, ok := f.Ticks[i.ID]; ok {
			i.State, i.Evidence = OK, fmt.Sprintf("ticked by %s, %s", t.By, t.At.UTC().Format("2006-01-02 15:04 MST"))
			if f.Now.Sub(t.At) > TickLasts {
				i.State, i.Evidence = Open, fmt.Sprintf("was ticked by %s %s, for an earlier day", t.By, ago(f.Now, t.At))
			}
		}
		if i.State != OK {
			i.Next = fmt.Sprintf("`faultline check %s -tick %s -by ROLE`", f.Path, i.ID)
		}
		items = append(items, i)
	}
	return items
}

// Slug is the name by which a person ticks an item: its title in lower case, with a
// dash for whatever is no letter or digit.
func Slug(title string) string {
	words := strings.FieldsFunc(strings.ToLower(title), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	return strings.Join(words, "-")
}
