package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
)

// Compare writes two runs side by side for a person at a terminal.
func Compare(w io.Writer, c *judge.Comparison, o Options) error {
	p := &page{o: o}
	p.line(p.bold("Two runs of " + clean(first(c.After.Scenario, "a scenario")) + ", side by side"))
	p.text("  before: ", sideText(c.Before))
	p.text("  after:  ", sideText(c.After))
	for _, n := range c.Notes {
		p.text("  · ", n)
	}
	p.line("")
	for i, l := range wrap(regressionLine(c), o.width()) {
		if i == 0 && len(c.Regressions) > 0 {
			l = p.paint("1;"+red, l)
		}
		p.line(l)
	}
	for _, r := range c.Regressions {
		p.item(r.Experiment+", "+r.What, r.Text)
	}
	for i := range c.Experiments {
		x := &c.Experiments[i]
		p.line("")
		p.text("", compareLead(x))
		for _, n := range x.Notes {
			p.text("  · ", n)
		}
		for _, g := range compareGrids(x) {
			p.grid(g)
		}
		for _, t := range compareItems(x) {
			p.text("  · ", t)
		}
	}
	_, err := io.WriteString(w, p.b.String())
	return err
}

// CompareJSON writes the whole comparison, indented.
func CompareJSON(w io.Writer, c *judge.Comparison) error { return writeJSON(w, c) }

// CompareMarkdown writes two runs side by side as GitHub-flavoured Markdown.
func CompareMarkdown(w io.Writer, c *judge.Comparison) error {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# Two runs of %s, side by side\n", escapeMarkdown(first(c.After.Scenario, "a scenario")))
	line("- before: %s\n- after: %s", escapeMarkdown(sideText(c.Before)), escapeMarkdown(sideText(c.After)))
	for _, n := range c.Notes {
		line("- %s", escapeMarkdown(n))
	}
	line("\n**%s**", escapeMarkdown(regressionLine(c)))
	for i, r := range c.Regressions {
		if i == 0 {
			line("")
		}
		line("- %s, %s: %s", escapeMarkdown(r.Experiment), r.What, escapeMarkdown(r.Text))
	}
	for i := range c.Experiments {
		x := &c.Experiments[i]
		line("\n## %s", escapeMarkdown(compareLead(x)))
		items := compareItems(x)
		if len(x.Notes)+len(items) > 0 {
			line("")
		}
		for _, n := range x.Notes {
			line("- %s", escapeMarkdown(n))
		}
		for _, t := range items {
			line("- %s", escapeMarkdown(t))
		}
		for _, g := range compareGrids(x) {
			markdownGrid(&b, g)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func sideText(s judge.Side) string {
	return fmt.Sprintf("%s, %s, took %s: %s", s.Run, clock(s.Started), length(s.Duration), word(s.Verdict))
}

func regressionLine(c *judge.Comparison) string {
	if c.Compared == 0 {
		return "Nothing can be compared: no experiment was the same test and came to held or broken both times."
	}
	if n := len(c.Regressions); n > 0 {
		return counted(n, "regression") + ":"
	}
	return "No regression: nothing is worse by more than chance and the margin."
}

func compareLead(x *judge.ExperimentComparison) string {
	switch {
	case x.Before == "":
		return fmt.Sprintf("%s: new, %s", x.Name, word(x.After))
	case x.After == "":
		return fmt.Sprintf("%s: %s before, not run now", x.Name, word(x.Before))
	}
	s := fmt.Sprintf("%s: %s", x.Name, word(x.After))
	if x.Before == x.After {
		s += " both times"
	} else {
		s += ", before " + word(x.Before)
	}
	if x.Edge != "" {
		s += " (" + edgeWord(x.Edge) + ")"
	}
	if !x.Comparable {
		s += "; not the same test"
	}
	return s
}

func edgeWord(e judge.Edge) string { return strings.ReplaceAll(string(e), "_", " ") }

func compareGrids(x *judge.ExperimentComparison) []grid {
	bad := grid{title: "Bad samples, and the difference in percentage points (95 % interval)", head: []string{"Objective", "Phase", "Before", "After", "Difference", ""}, right: []int{2, 3, 4}}
	for _, o := range x.Objectives {
		diff := "–"
		if o.Difference != nil {
			diff = fmt.Sprintf("%s (%s to %s)", points(*o.Difference), points(*o.Low), points(*o.High))
		}
		bad.add(o.Objective, string(o.Phase), badOf(o.Before), badOf(o.After), diff, changeWord(o.Change))
	}
	latency := grid{title: "Latency of what succeeded, in ms, with 95 % intervals", head: []string{"Probe", "Phase", "", "Before", "After", ""}, right: []int{3, 4}}
	for _, l := range x.Latencies {
		latency.add(l.Probe, string(l.Phase), fmt.Sprintf("p%g", l.After.Q*100), quantileText(l.Before), quantileText(l.After), changeWord(l.Change))
	}
	times := grid{title: "Times", head: []string{"What", "Before", "After", ""}, wrap: 1}
	for _, t := range x.Times {
		times.add("time to "+t.What, timeText(t.What, t.Before), timeText(t.What, t.After), changeWord(t.Change))
	}
	return []grid{bad, latency, times}
}

// compareItems is what the tables have no room for.
func compareItems(x *judge.ExperimentComparison) []string {
	var out []string
	for _, o := range x.Objectives {
		switch {
		case o.Note != "":
			out = append(out, fmt.Sprintf("%s, %s: %s", o.Objective, o.Phase, o.Note))
		case o.Phase != journal.Baseline && o.Before.Bad+o.After.Bad > 0 && (o.Before.DAssumed || o.After.DAssumed):
			out = append(out, fmt.Sprintf("%s, %s: errors are taken as independent where they were too few to measure", o.Objective, o.Phase))
		}
	}
	for _, l := range x.Lost {
		if l.Before.Failed+l.After.Failed > 0 {
			what := sent(l.Probe)
			out = append(out, fmt.Sprintf("%s: %s of %s %ss failed from the first fault on, before %s of %s", l.Probe,
				number(l.After.Failed), number(l.After.Sent), what, number(l.Before.Failed), number(l.Before.Sent)))
		}
	}
	return out
}

// timeText writes a time; where an impact was not seen there was none.
func timeText(what string, s judge.Span) string {
	if what == "impact" && s.Known && s.Censored {
		return "no impact"
	}
	return spanText(s)
}

func badOf(s judge.Sample) string { return number(s.Bad) + "/" + number(s.N) }

// points writes a difference of shares in percentage points.
func points(d float64) string {
	text := trim(d*100, 2)
	if text == "-0" {
		text = "0"
	}
	if d > 0 && text != "0" {
		text = "+" + text
	}
	return text
}

func changeWord(c judge.Change) string {
	if c == judge.Unclear {
		return ""
	}
	return string(c)
}

func quantileText(q judge.QuantileOf) string {
	if !q.Defined {
		return "too few"
	}
	return fmt.Sprintf("%s (%s–%s)", millis(q.Value), millis(q.Low), millis(q.High))
}
