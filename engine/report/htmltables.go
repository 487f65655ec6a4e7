package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/faultline-go/faultline/engine/judge"
)

// table is a table of the page. Its rows stand in groups, most often in one without
// a name.
type table struct {
	Caption string
	Head    []string
	Right   []int
	Groups  []group
}

type group struct {
	Name string
	Rows [][]cell
}

// cell is a text with what explains it.
type cell struct {
	Text  string
	Class string // of a verdict
	Sub   string
	Link  link
	Code  bool
}

// link leads to a line of the scenario.
type link struct{ Href, Text string }

// fact is a name with its value; a hash or path is shown as code.
type fact struct{ Name, Text, Code string }

func (t table) Empty() bool {
	for _, g := range t.Groups {
		if len(g.Rows) > 0 {
			return false
		}
	}
	return true
}

// IsRight says whether a column has numbers.
func (t table) IsRight(column int) bool { return slices.Contains(t.Right, column) }

func (t *table) add(cells ...cell) {
	if len(t.Groups) == 0 {
		t.Groups = []group{{}}
	}
	g := &t.Groups[0]
	g.Rows = append(g.Rows, cells)
}

func texts(all ...string) []cell {
	cells := make([]cell, len(all))
	for i, s := range all {
		cells[i] = cell{Text: s}
	}
	return cells
}

// gridTable is a table of the terminal on the page.
func gridTable(g grid) table {
	t := table{Caption: g.title, Head: g.head, Right: g.right}
	for _, row := range g.rows {
		t.add(texts(row...)...)
	}
	return t
}

// placeLink leads from "day.hcl:12" to that line on the page, where it is there.
func placeLink(r *judge.Result, place string) link {
	i := strings.LastIndexByte(place, ':')
	if i < 0 {
		return link{Text: place}
	}
	for k, s := range r.Run.Sources {
		n, err := strconv.Atoi(place[i+1:])
		if s.Path == place[:i] && err == nil && n >= 1 && n <= strings.Count(s.Text, "\n")+1 {
			return link{fmt.Sprintf("#source-%d-%d", k+1, n), place}
		}
	}
	return link{Text: place}
}

func objectiveTable(r *judge.Result, e *judge.Experiment) table {
	t := table{Caption: "Objectives by phase", Head: []string{"Objective", "Phase", "Verdict", "Good", "Target", "Bad of all", "Bad, 95 % bounds", "Missing"}, Right: []int{3, 4, 5, 6, 7}}
	for _, o := range e.Objectives {
		good, of, bounds := "–", "no samples", "–"
		if o.Share != nil {
			good = goodShare(*o.Share)
			of = number(o.Bad) + " of " + number(o.N)
		}
		switch {
		case o.Point:
			bounds = "plain ratio"
		case o.StoppedBy || o.E != nil && o.BadHigh == nil:
			bounds = "none: stopped early"
		case o.BadLow != nil && o.BadHigh != nil:
			bounds = sharePercent(*o.BadLow) + " to " + badShare(*o.BadHigh)
		case o.BadHigh != nil:
			bounds = "≤ " + badShare(*o.BadHigh)
		}
		class := ""
		if o.Judged {
			class = "v-" + string(o.Verdict)
		}
		planned := ""
		if o.Expected > 0 {
			planned = "planned " + number(o.Expected)
		}
		t.add(cell{Text: o.Objective, Sub: strings.TrimSuffix(o.Good+" of "+o.Probe, " of "), Link: placeLink(r, o.Place)}, cell{Text: string(o.Phase)},
			cell{Text: objectiveWord(o), Class: class}, cell{Text: good}, cell{Text: sharePercent(o.Target)}, cell{Text: of, Sub: planned}, cell{Text: bounds}, cell{Text: number(o.Missing)})
	}
	return t
}

func faultTable(r *judge.Result, e *judge.Experiment) table {
	t := table{Caption: "Faults and their targets", Head: []string{"Fault", "Target", "Effect measured", "On for", "Put back", "Proof"}, Right: []int{3}}
	for _, f := range e.Faults {
		for _, x := range f.Targets {
			back := cell{Text: putBack(f, x), Sub: x.Error}
			if x.Residue {
				back.Class = "v-residue"
			}
			t.add(cell{Text: f.Name, Sub: f.Error, Link: placeLink(r, f.Place)}, cell{Text: x.Name, Sub: x.Kind}, cell{Text: effect(x)}, cell{Text: onFor(x)}, back, cell{Text: first(x.Proof, "–")})
		}
	}
	return t
}

func plannedTable(r *judge.Result) table {
	t := table{Caption: "Faults as they were planned", Head: []string{"Fault", "Served by", "Experiment", "Planned for", "Lease", "Settings"}, Right: []int{3, 4}}
	for _, e := range r.Experiments {
		for _, f := range e.Faults {
			planned, lease := "–", "–"
			if f.Planned > 0 {
				planned = length(f.Planned)
			}
			if f.Lease > 0 {
				lease = length(f.Lease)
			}
			sub := f.ID
			if f.Hold != "" {
				sub += ", " + holdText(f.Hold)
			}
			t.add(cell{Text: f.Name, Sub: sub, Link: placeLink(r, f.Place)}, cell{Text: f.Type, Sub: "plugin " + f.Plugin}, cell{Text: e.Name}, cell{Text: planned}, cell{Text: lease},
				cell{Text: first(spaced(f.Config), "–"), Code: len(f.Config) > 0})
		}
	}
	return t
}

// holdText says what becomes of a fault that nobody looks after any more.
func holdText(hold string) string {
	switch hold {
	case "kernel":
		return "the kernel ends it"
	case "target":
		return "ends by itself at the target"
	case "process", "journal":
		return "stays until it is put back"
	}
	return hold
}

// spaced is JSON with a space behind each comma, so that it can be broken in lines.
func spaced(raw json.RawMessage) string {
	var b bytes.Buffer
	if len(raw) == 0 || json.Indent(&b, raw, "", "") != nil {
		return string(raw)
	}
	return strings.ReplaceAll(b.String(), "\n", " ")
}

func guardTable(r *judge.Result) table {
	t := table{Caption: "Guards that watched over the run", Head: []string{"Guard", "Good as long as", "Patience", "Tripped"}}
	known := make(map[string]bool)
	for _, g := range r.Run.Guards {
		known[g.Name] = true
		patience := "the first bad sample"
		if g.For > 0 {
			patience = "bad for " + length(g.For)
		}
		if g.NoDataAfter > 0 {
			patience += ", or no data for " + length(g.NoDataAfter)
		}
		t.add(cell{Text: g.Name}, cell{Text: g.Good, Sub: g.Probe}, cell{Text: patience}, tripped(r, g.Name))
	}
	for _, g := range r.Guards {
		if !known[g.Guard] {
			known[g.Guard] = true
			t.add(cell{Text: g.Guard}, cell{Text: "–"}, cell{Text: "–"}, tripped(r, g.Guard))
		}
	}
	return t
}

func tripped(r *judge.Result, guard string) cell {
	var all []string
	for _, g := range r.Guards {
		if g.Guard == guard {
			all = append(all, g.At.UTC().Format("15:04:05")+": "+g.Reason)
		}
	}
	if len(all) == 0 {
		return cell{Text: "no"}
	}
	return cell{Text: "yes", Sub: strings.Join(all, "; "), Class: "v-aborted"}
}

func probeTable(r *judge.Result) table {
	t := table{Caption: "Probes over the whole run", Head: []string{"Probe", "Samples", "Failed", "Missing", "Errors"}, Right: []int{1, 2, 3}}
	for _, p := range r.Probes {
		errors := errorsOf(p)
		if n := len(errors); n > maxPageErrors {
			errors = append(errors[:maxPageErrors:maxPageErrors], fmt.Sprintf("and %s more", counted(n-maxPageErrors, "kind")))
		}
		t.add(cell{Text: p.Probe}, cell{Text: number(p.Samples)}, cell{Text: number(p.Failed)}, cell{Text: number(p.Missing)}, cell{Text: first(strings.Join(errors, "; "), "none")})
	}
	return t
}

const maxPageErrors = 12 // kinds of errors of a probe

func pluginTable(r *judge.Result) table {
	t := table{Caption: "Plugins", Head: []string{"Plugin", "Version", "SHA-256 of its binary", "Checked against"}}
	for _, p := range r.Run.Plugins {
		t.add(cell{Text: p.Name}, cell{Text: p.Version}, cell{Text: p.SHA256, Code: true}, cell{Text: checkedAgainst(p.Trust)})
	}
	return t
}

// doneFacts say what ran, so that it can be done again.
func doneFacts(r *judge.Result) []fact {
	var out []fact
	add := func(name, text, code string) {
		if text+code != "" {
			out = append(out, fact{name, text, code})
		}
	}
	run := r.Run
	add("Run", "", run.ID)
	add("Scenario", run.Scenario.Name, "")
	add("Owner", run.Scenario.Owner, "")
	add("Environment", run.Scenario.Environment, "")
	add("Runbook", run.Scenario.Runbook, "")
	add("Started", clock(run.Started), "")
	if run.Ended != nil {
		add("Ended", clock(*run.Ended), "")
	}
	add("Ended by", run.EndedBy, "")
	add("Took", length(run.Duration), "")
	add("Exit code", fmt.Sprintf("%d, %s", r.ExitCode, word(r.Verdict)), "")
	add("Error", run.Error, "")
	add("Seed", "", strconv.FormatInt(run.Seed, 10))
	add("Plan hash", "", run.PlanHash)
	add("Git commit", "", run.Scenario.GitCommit)
	add("Source", "", run.Scenario.Source)
	add("Engine", "faultline "+first(run.Engine.Version, "of an unknown version"), "")
	add("Host", run.Engine.Host, "")
	add("User", run.Engine.User, "")
	add("Rendered again by", "", fmt.Sprintf("faultline report -format html -out report.html %s", run.ID))
	return out
}
