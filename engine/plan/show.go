package plan

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

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
	for i, warning := range p.Warnings {
		if i == 0 {
			w.printf("\n")
		}
		w.printf("warning: %s\n", warning)
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

// table writes rows of cells under each other, indented.
func (p *printer) table(rows [][]string) {
	if p.err != nil {
		return
	}
	t := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		if _, p.err = fmt.Fprintln(t, "  "+strings.Join(row, "\t")); p.err != nil {
			return
		}
	}
	p.err = t.Flush()
}

func (p *printer) experiment(e *Experiment) {
	p.printf("\nexperiment %s", e.Spec.Name)
	if e.Spec.Hypothesis != "" {
		p.printf(": %s", e.Spec.Hypothesis)
	}
	p.printf("\n")
	switch {
	case e.Skip != "":
		p.printf("  is left out: %s\n", e.Skip)
		return
	case len(e.Spec.Faults) == 0:
		p.printf("  check, nothing is broken: observe %s\n", round(e.Spec.Observe))
	default:
		p.printf("  expect %s: baseline %s, faults %s, observe %s; steady again within %s\n",
			e.Spec.Expect, round(e.Spec.Baseline), round(e.Spec.Planned), round(e.Spec.Observe), round(e.Spec.RecoverWithin))
	}
	if len(e.Steps) > 0 {
		rows := [][]string{{"AT", "STEP", "TARGETS", "FOR", "REVERTS IN", "IF ALL OF US DIE"}}
		for i := range e.Steps {
			rows = append(rows, stepRow(&e.Steps[i]))
		}
		p.table(rows)
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

func stepRow(s *Step) []string {
	at := "+" + round(s.Start)
	if len(s.After) > 0 {
		at += " after " + strings.Join(s.After, ", ")
	}
	if s.Kind == scenario.ActionStep {
		return []string{at, s.Name, "-", "-", "-", "-"}
	}
	targets := fmt.Sprintf("%s (%d of %d)", strings.Join(s.TargetNames(), ", "), len(s.Targets), s.Discovered)
	return []string{at, s.Name, targets, round(s.Duration), round(s.RevertBudget), promise(s)}
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
		p.printf("  %s: abort when %s does not hold on %s", g.Name, g.Good, g.Probe)
		if g.For > 0 {
			p.printf(" for %s", round(g.For))
		}
		p.printf(", or without data for %s\n", round(g.NoDataAfter))
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
		p.printf("\nlimits: %s\n", strings.Join(parts, "; "))
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
