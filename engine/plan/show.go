package plan

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/faultline-go/faultline/engine/scenario"
	"github.com/faultline-go/faultline/sdk/schema"
)

// Show writes a plan for people: what would happen, to whom, for how long, what
// ends it whoever dies, and whether the objectives can conclude.
func (p *Plan) Show(out io.Writer) error {
	w := &printer{w: out}
	title := p.Scenario.Title
	if title == "" {
		title = p.Scenario.Name
	}
	w.printf("%s\n", title)
	w.printf("plan %s, seed %d", short(p.Hash), p.Seed)
	if p.Scenario.Environment != "" {
		w.printf(", environment %s", p.Scenario.Environment)
	}
	w.printf(", about %s\n", round(p.Longest))
	for i := range p.Experiments {
		w.experiment(&p.Experiments[i])
	}
	w.guards(p.Guards)
	w.limits(p.Limits)
	w.capabilities(p.Capabilities)
	for i, warning := range p.Warnings {
		if i == 0 {
			w.printf("\n")
		}
		w.fill("", "  ", "warning: "+warning)
	}
	return w.err
}

// printer remembers the first error.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}

// How wide text becomes, and how wide a table may be before it is written as text: it
// is the easier to read, and most terminals have some columns more than 80. Names are
// as long as they are.
const (
	width      = 80
	tableWidth = 96
)

// fill writes a paragraph: its first line with one indentation, the others with
// another.
func (p *printer) fill(first, others, text string) {
	line := first
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
			line += word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width:
			p.printf("%s\n", line)
			line = others + word
		default:
			line += " " + word
		}
	}
	p.printf("%s\n", line)
}

// table writes rows of cells under each other, indented.
func (p *printer) table(rows [][]string) { p.printf("%s", table(rows)) }

func table(rows [][]string) string {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(t, "  "+strings.Join(row, "\t"))
	}
	t.Flush() // a builder takes everything
	return b.String()
}

func tooWide(text string) bool {
	for line := range strings.Lines(text) {
		if utf8.RuneCountInString(strings.TrimRight(line, "\n")) > tableWidth {
			return true
		}
	}
	return false
}

func (p *printer) experiment(e *Experiment) {
	p.printf("\n")
	title := "experiment " + e.Spec.Name
	if e.Spec.Hypothesis != "" {
		title += ": " + e.Spec.Hypothesis
	}
	p.fill("", "  ", title)
	if e.Source != "" {
		p.fill("  ", "    ", "from "+e.Source)
	}
	if c := e.Chance; c != nil {
		p.fill("  ", "    ", c.words())
	}
	switch {
	case e.NotDue != "":
		p.fill("  ", "    ", "is left out: "+e.NotDue)
		return
	case e.Skip != "":
		p.fill("  ", "    ", "is left out: "+e.Skip)
		return
	case len(e.Spec.Faults) == 0:
		p.printf("  check, nothing is broken: observe %s\n", round(e.Spec.Observe))
	default:
		p.printf("  expect %s: baseline %s, faults %s, observe %s; steady again within %s\n",
			e.Spec.Expect, round(e.Spec.Baseline), round(e.Spec.Planned), round(e.Spec.Observe), round(e.Spec.RecoverWithin))
	}
	if len(e.Steps) > 0 {
		p.steps(e.Steps)
	}
	if len(e.Needs) > 0 {
		rows := [][]string{{"OBJECTIVE", "PHASE", "TARGET", "SAMPLES", "NEEDED TO HOLD", "TO SEE 5x BURN"}}
		for _, n := range e.Needs {
			burn := "-"
			if n.ForBurn > 0 {
				burn = fmt.Sprint(n.ForBurn)
			}
			held := fmt.Sprint(n.ForHeld)
			if !n.Concludes {
				held += " (too few)"
			}
			rows = append(rows, []string{n.Objective, string(n.Phase), fmt.Sprintf("%g %%", n.Target*100), fmt.Sprint(n.Expected), held, burn})
		}
		p.table(rows)
	}
}

// steps writes the time line: as a table, or where that is too wide, as a paragraph a
// step.
func (p *printer) steps(steps []Step) {
	steps = slices.Clone(steps)
	slices.SortStableFunc(steps, func(a, b Step) int { return cmp.Compare(a.Start, b.Start) })
	rows := [][]string{{"AT", "STEP", "TARGETS", "FOR", "REVERTS IN", "IF ALL OF US DIE"}}
	for i := range steps {
		rows = append(rows, stepRow(&steps[i]))
	}
	if text := table(rows); !tooWide(text) {
		p.printf("%s", text)
		return
	}
	for i := range steps {
		s, row := &steps[i], rows[i+1]
		text := "+" + round(s.Start) + " " + row[1]
		if len(s.After) > 0 {
			text += " after " + strings.Join(s.After, ", ")
		}
		switch s.Kind {
		case scenario.ActionStep:
			p.fill("  ", "    ", text)
			continue
		case scenario.PromptStep:
			p.fill("  ", "    ", text+": "+s.Prompt.Question)
			continue
		}
		p.fill("  ", "    ", fmt.Sprintf("%s, %s on %s", text, lasting(s), row[2]))
		p.fill("    ", "    ", fmt.Sprintf("put back within %s; if all of us die: %s", row[4], row[5]))
	}
}

func stepRow(s *Step) []string {
	at := "+" + round(s.Start)
	if len(s.After) > 0 {
		at += " after " + strings.Join(s.After, ", ")
	}
	switch s.Kind {
	case scenario.ActionStep:
		return []string{at, s.Name, "-", "-", "-", "-"}
	case scenario.PromptStep:
		wait := "the answer"
		if s.Timeout > 0 {
			wait += " or " + round(s.Timeout)
		}
		return []string{at, "prompt " + s.Name, "-", wait, "-", "-"}
	}
	targets := fmt.Sprintf("%s (%d of %d)", strings.Join(s.TargetNames(), ", "), len(s.Targets), s.Discovered)
	return []string{at, s.Name, targets, strings.TrimPrefix(lasting(s), "for "), round(s.RevertBudget), promise(s)}
}

// lasting says how long a fault is on.
func lasting(s *Step) string {
	if len(s.EndsAfter) > 0 {
		return "until " + strings.Join(s.EndsAfter, ", ") + ", at most " + round(s.Duration)
	}
	return "for " + round(s.Duration)
}

// words says a chance.
func (c *Chance) words() string {
	text := fmt.Sprintf("happens by chance, 1 in %g on a work day (%s), at least %d apart", c.MeanDays, c.Hours, c.MinDays)
	if c.Last != "" {
		text += ", last on " + c.Last
	}
	if c.Drawn {
		text += fmt.Sprintf("; drawn for %s", c.Day)
		if c.At != "" {
			text += ", from " + c.At + " on"
		}
	}
	return text
}

// promise says who ends a fault when engine, plugin and guardian are all dead.
func promise(s *Step) string {
	if s.Reversibility == schema.Irreversible {
		return "stays: irreversible, accepted"
	}
	switch s.Hold {
	case schema.HoldKernel:
		return fmt.Sprintf("the kernel ends it, at most %s", round(s.Lease))
	case schema.HoldTarget:
		return fmt.Sprintf("its helper ends it, at most %s", round(s.Lease))
	default:
		return "the next `faultline recover`"
	}
}

func (p *printer) guards(all []Guard) {
	for i, g := range all {
		if i == 0 {
			p.printf("\nguards\n")
		}
		text := fmt.Sprintf("%s: abort when %s does not hold on %s", g.Name, g.Good, g.Probe)
		if g.For > 0 {
			text += " for " + round(g.For)
		}
		if g.NoDataAfter > 0 {
			text += ", or without data for " + round(g.NoDataAfter)
		}
		p.fill("  ", "    ", text)
	}
}

func (p *printer) limits(l Limits) {
	var parts []string
	if l.MaxTargets > 0 {
		parts = append(parts, fmt.Sprintf("at most %d targets at once", l.MaxTargets))
	}
	if l.MaxPercent > 0 {
		parts = append(parts, fmt.Sprintf("at most %g %% of any set", l.MaxPercent))
	}
	if l.KeepPerZone > 0 {
		parts = append(parts, fmt.Sprintf("%d of each zone untouched", l.KeepPerZone))
	}
	for _, w := range l.Windows {
		parts = append(parts, "only "+w)
	}
	if len(parts) > 0 {
		p.printf("\n")
		p.fill("", "  ", "limits: "+strings.Join(parts, "; "))
	}
}

func short(hash string) string { return hash[:min(len(hash), 12)] }

// round writes a duration without what nobody reads.
func round(d time.Duration) string {
	if d >= time.Second {
		d = d.Round(100 * time.Millisecond)
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
