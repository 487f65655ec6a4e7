package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"

	"github.com/faultline-go/faultline/engine/judge"
)

// Options are how text is written. Whether colour is wanted (NO_COLOR, no terminal)
// is the caller's to know.
type Options struct {
	Color bool
	Width int // columns; 0: 80

	// Before is what the history knows of earlier runs; nil: nothing is said of them.
	Before *Before
}

const (
	defaultWidth = 80
	leastWidth   = 40
	maxErrors    = 3 // kinds of errors listed for a probe
)

func (o Options) width() int {
	if o.Width <= 0 {
		return defaultWidth
	}
	return max(o.Width, leastWidth)
}

// Terminal writes a run for a person at a terminal: the verdict first, one
// sentence for each experiment, then the numbers.
func Terminal(w io.Writer, r *judge.Result, o Options) error {
	p := &page{o: o}
	p.lead(r.Verdict, Headline(r))
	p.text("", runLine(r))
	for _, text := range unchecked(r) {
		p.text("", "! "+text)
	}
	for _, reason := range r.Reasons {
		if reason.Verdict == judge.Residue {
			continue // it has a section of its own
		}
		p.text("", "! "+capital(reason.Text)+".")
	}
	p.residue(r)
	p.changes(r, o.Before)
	for i := range r.Experiments {
		p.experiment(&r.Experiments[i])
	}
	p.facts(r)
	_, err := io.WriteString(w, p.b.String())
	return err
}

func runLine(r *judge.Result) string {
	where := ""
	if e := r.Run.Scenario.Environment; e != "" {
		where = " in " + e
	}
	s := fmt.Sprintf("Run %s%s, started %s, took %s, seed %d.", r.Run.ID, where, clock(r.Run.Started), length(r.Run.Duration), r.Run.Seed)
	if r.Unfinished {
		s += " It has not come to its end."
	}
	return s
}

// page collects the text.
type page struct {
	b strings.Builder
	o Options
}

func (p *page) experiment(e *judge.Experiment) {
	p.line("")
	p.lead(e.Verdict, e.Name)
	p.text("  ", Sentence(e))
	if e.Hypothesis != "" {
		p.text("  ", "Hypothesis: "+e.Hypothesis)
	}
	// The first reason is in the sentence; the others must not get lost.
	for i, reason := range e.Reasons {
		if i > 0 {
			p.item("also "+word(reason.Verdict), reason.Text)
		}
	}
	p.grid(objectivesGrid(e))
	for _, note := range notes(e) {
		p.text("  · ", note)
	}
	p.grid(faultsGrid(e))
	for _, proof := range proofs(e) {
		p.text("  · ", proof)
	}
	if s := e.EarlyStop; s != nil {
		p.item("ended early", s.Rule)
	}
	p.grid(timesGrid(e))
	for _, g := range latencyGrids(e) {
		p.grid(g)
	}
	for _, a := range e.Actions {
		p.item(a.Name, actionText(a))
	}
	for _, x := range e.Prompts {
		p.item("prompt "+x.Name, promptText(x))
	}
}

func (p *page) residue(r *judge.Result) {
	if len(r.Residue) == 0 {
		return
	}
	p.line("")
	p.line(p.paint("1;"+red, "Not put back"))
	retries := make(map[string]bool)
	for _, l := range r.Residue {
		p.text("  · ", fmt.Sprintf("%s at %s: %s", first(l.Fault, l.Plugin, "something"), l.Target, l.Why))
		retries[l.Retry] = true
	}
	for _, l := range r.Residue {
		if retries[l.Retry] {
			p.text("  ", "To try again: "+l.Retry)
			delete(retries, l.Retry)
		}
	}
}

// facts are what concerns the run as a whole.
func (p *page) facts(r *judge.Result) {
	p.heading("Guards", len(r.Guards))
	for _, g := range r.Guards {
		p.item(g.Guard, g.Reason)
	}
	if a := r.Abort; a != nil {
		p.heading("Stopped", 1)
		p.item(a.Cause, a.Reason)
	}
	p.heading("Notes", len(r.Marks))
	for _, m := range r.Marks {
		p.item(m.At.UTC().Format("15:04:05"), markText(m))
	}
	for _, p2 := range r.Probes {
		errors := errorsOf(p2)
		p.heading("Errors of "+p2.Probe, len(errors))
		for i, text := range errors {
			if i == maxErrors {
				p.text("  · ", fmt.Sprintf("and %s more", counted(len(errors)-maxErrors, "kind")))
				break
			}
			p.text("  · ", text)
		}
	}
	warnings := otherWarnings(r)
	p.heading("Warnings", len(warnings))
	for _, w := range warnings {
		if w.Experiment != "" {
			p.item(w.Experiment, w.Text)
			continue
		}
		p.text("  · ", w.Text)
	}
	for _, t := range r.Takeovers {
		p.heading("Taken over", 1)
		p.item(t.By, t.Why)
	}
}

func (p *page) heading(title string, n int) {
	if n > 0 {
		p.line("")
		p.line(p.bold(clean(title)))
	}
}

func (p *page) item(name, text string) { p.text("  · ", name+": "+text) }

func (p *page) line(s string) {
	p.b.WriteString(s)
	p.b.WriteByte('\n')
}

// text writes a paragraph. The lines after the first are as far in as the first.
func (p *page) text(indent, s string) {
	further := strings.Repeat(" ", runes(indent))
	for i, l := range wrap(s, p.o.width()-runes(indent)) {
		if i == 0 {
			p.line(indent + l)
		} else {
			p.line(further + l)
		}
	}
}

// grid draws a table that fits the width: its wrap column gets what the others
// leave.
func (p *page) grid(g grid) {
	if len(g.rows) == 0 {
		return
	}
	p.line("")
	for _, l := range wrap(g.title, p.o.width()-2) {
		p.line("  " + p.bold(l))
	}
	for _, l := range drawTable(g, p.o.width()-2, p.cell) {
		p.line("  " + l)
	}
}

// cell colours what deserves it.
func (p *page) cell(s string) string {
	switch s {
	case word(judge.Held), "gate passed":
		return p.paint(green, s)
	case word(judge.Broken), "gate failed", "NOT put back":
		return p.paint(red, s)
	case word(judge.Inconclusive):
		return p.paint(yellow, s)
	}
	return s
}

// drawTable is the table in lines of at most the given width.
func drawTable(g grid, width int, cell func(string) string) []string {
	const gap = 2
	widths := make([]int, len(g.head))
	total := gap * (len(g.head) - 1)
	for c := range g.head {
		widths[c] = runes(g.head[c])
		for _, row := range g.rows {
			widths[c] = max(widths[c], runes(row[c]))
		}
		total += widths[c]
	}
	// First the column that is made for it gives way, then the widest ones.
	least := max(runes(g.head[g.wrap]), 8)
	if over := total - width; over > 0 && widths[g.wrap] > least {
		give := min(over, widths[g.wrap]-least)
		widths[g.wrap] -= give
		total -= give
	}
	for total > width {
		widest := -1
		for c := range widths {
			if !slices.Contains(g.keep, c) && (widest < 0 || widths[c] > widths[widest]) {
				widest = c
			}
		}
		if widest < 0 || widths[widest] <= 4 {
			break // narrower than a table can be: let it stick out
		}
		widths[widest]--
		total--
	}

	align := make([]tw.Align, len(g.head))
	columns := tw.NewMapper[int, int]()
	for c := range align {
		align[c] = tw.AlignLeft
		columns.Set(c, widths[c]+gap) // with the padding
	}
	for _, c := range g.right {
		align[c] = tw.AlignRight
	}
	padding := tw.CellPadding{Global: tw.Padding{Left: "", Right: strings.Repeat(" ", gap), Overwrite: true}}
	cells := tw.CellConfig{
		Alignment: tw.CellAlignment{PerColumn: align},
		Padding:   padding, Formatting: tw.CellFormatting{AutoWrap: tw.WrapNone, AutoFormat: tw.Off},
	}
	var b strings.Builder
	t := tablewriter.NewTable(&b,
		tablewriter.WithConfig(tablewriter.Config{Header: cells, Row: cells, Widths: tw.CellWidth{PerColumn: columns}, Behavior: tw.Behavior{TrimSpace: tw.Off}}),
		tablewriter.WithRenderer(renderer.NewBlueprint(tw.Rendition{
			Borders: tw.BorderNone, Symbols: tw.NewSymbols(tw.StyleLight),
			Settings: tw.Settings{Separators: tw.SeparatorsNone, Lines: tw.Lines{ShowTop: tw.Off, ShowBottom: tw.Off, ShowHeaderLine: tw.On, ShowFooterLine: tw.Off}},
		})))
	t.Header(g.head)
	for _, row := range g.rows {
		// Cells are wrapped here, because a colour must not be cut in two.
		split := make([][]string, len(row))
		lines := 1
		for c := range row {
			split[c] = wrap(row[c], widths[c])
			lines = max(lines, len(split[c]))
		}
		for i := range lines {
			out := make([]string, len(row))
			for c := range row {
				switch {
				case i >= len(split[c]):
				case len(split[c]) == 1:
					out[c] = cell(split[c][i])
				default:
					out[c] = split[c][i]
				}
			}
			if err := t.Append(out); err != nil {
				return []string{err.Error()}
			}
		}
	}
	if err := t.Render(); err != nil {
		return []string{err.Error()}
	}
	lines := strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
	for i, l := range lines {
		if i == 1 { // the rule below the head goes on below the last column's padding
			l = l[:byteOf(l, min(total, runes(l)))]
		}
		l = strings.TrimRight(l, " ")
		if painted, ok := strings.CutSuffix(l, reset); ok {
			// A coloured last cell is padded within its colour.
			l = strings.TrimRight(strings.TrimSuffix(strings.TrimRight(painted, " "), reset), " ") + reset
		}
		lines[i] = l
	}
	return lines
}

// The colours of a terminal.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
	reset  = "\x1b[0m"
)

func (p *page) paint(code, s string) string {
	if !p.o.Color {
		return s
	}
	return "\x1b[" + code + "m" + s + reset
}

func (p *page) bold(s string) string { return p.paint("1", s) }

// lead writes a paragraph that begins with a verdict in its colour.
func (p *page) lead(v judge.Verdict, text string) {
	s := strings.ToUpper(word(v))
	code := "1;" + yellow
	switch v {
	case judge.Held:
		code = "1;" + green
	case judge.Broken, judge.Residue, judge.Errored:
		code = "1;" + red
	}
	for i, l := range wrap(s+" – "+text, p.o.width()) {
		if rest, ok := strings.CutPrefix(l, s); ok && i == 0 {
			l = p.paint(code, s) + rest
		}
		p.line(l)
	}
}
