package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/faultline-go/faultline/engine/coverage"
	"github.com/faultline-go/faultline/engine/judge"
)

// WriteCoverage writes what is tried and what is not, for a person at a terminal.
func WriteCoverage(w io.Writer, c *coverage.Coverage, o Options) error {
	p := &page{o: o}
	p.text("", coverageLead(c))
	if g := coverageGrid(c); len(g.rows) > 0 {
		p.line("")
		p.lines(g)
	}
	for _, g := range c.Groups {
		if len(g.Untried) > 0 {
			p.line("")
			p.line(p.bold("No scenario tries on " + groupName(g.Group, g.Environment)))
			for _, l := range untried(c, g) {
				p.text("  · ", l)
			}
		}
	}
	if len(c.Unread) > 0 {
		p.line("")
		p.line(p.bold("Not read"))
		for _, u := range c.Unread {
			p.item(u.Path, u.Error)
		}
	}
	_, err := io.WriteString(w, p.b.String())
	return err
}

// CoverageJSON writes the same as JSON.
func CoverageJSON(w io.Writer, c *coverage.Coverage) error { return writeJSON(w, c) }

// CoverageMarkdown writes the same as GitHub-flavoured Markdown.
func CoverageMarkdown(w io.Writer, c *coverage.Coverage) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Coverage\n\n%s\n", escapeMarkdown(coverageLead(c)))
	markdownGrid(&b, coverageGrid(c))
	for i, g := range c.Groups {
		if i == 0 {
			b.WriteString("\n## What no scenario tries\n\n")
		}
		fmt.Fprintf(&b, "- %s: %s\n", escapeMarkdown(groupName(g.Group, g.Environment)), escapeMarkdown(first(strings.Join(untried(c, g), "; "), "nothing is left")))
	}
	for i, u := range c.Unread {
		if i == 0 {
			b.WriteString("\n## Not read\n\n")
		}
		fmt.Fprintf(&b, "- %s: %s\n", escapeMarkdown(u.Path), escapeMarkdown(u.Error))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// untried are the faults that no scenario has for a group, a line for each plugin of which
// some are, and one for those of which none is.
func untried(c *coverage.Coverage, g coverage.Group) []string {
	plugin := func(fault string) string { name, _, _ := strings.Cut(fault, "_"); return name }
	begun := map[string]bool{}
	for _, r := range c.Rows {
		if r.Group == g.Group && r.Environment == g.Environment {
			begun[plugin(r.Fault)] = true
		}
	}
	var order, whole, out []string
	of := map[string][]string{}
	for _, f := range g.Untried {
		if of[plugin(f)] == nil {
			order = append(order, plugin(f))
		}
		of[plugin(f)] = append(of[plugin(f)], f)
	}
	for _, name := range order {
		if begun[name] || len(of[name]) < 4 {
			out = append(out, strings.Join(of[name], ", "))
		} else {
			whole = append(whole, fmt.Sprintf("%s (%d)", name, len(of[name])))
		}
	}
	if len(whole) > 0 {
		out = append(out, "any fault of "+list(whole))
	}
	return out
}

func coverageLead(c *coverage.Coverage) string {
	held, untried := 0, 0
	for _, r := range c.Rows {
		if r.Verdict == judge.Held {
			held++
		}
	}
	for _, g := range c.Groups {
		untried += len(g.Untried)
	}
	tried := "no fault"
	if n := len(c.Rows); n > 0 {
		tried = fmt.Sprintf("%s on %s of targets, of which %s held when last tried", counted(n, "fault"), counted(len(c.Groups), "group"), number(held))
	}
	return fmt.Sprintf("%s: %s. %s more would fit those groups, and no scenario has them.", counted(c.Scenarios, "scenario"), tried, number(untried))
}

func coverageGrid(c *coverage.Coverage) grid {
	g := grid{title: "What scenarios try", head: []string{"Group", "Fault", "Verdict", "Last tried", "Last held", "Experiments"}, wrap: 5}
	last := ""
	for _, r := range c.Rows {
		name := groupName(r.Group, r.Environment)
		if name == last {
			name = "" // said above
		} else {
			last = name
		}
		tried, verdict, held := "never", "–", "never"
		if r.LastTried != nil {
			tried, verdict = r.LastTried.UTC().Format("2006-01-02"), word(r.Verdict)
		}
		if r.DaysSinceHeld != nil {
			held = daysAgo(*r.DaysSinceHeld)
		}
		g.add(name, r.Fault, verdict, tried, held, strings.Join(r.Experiments, ", "))
	}
	return g
}

func groupName(group, environment string) string {
	if environment == "" {
		return group
	}
	return group + " in " + environment
}
