package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/faultline-go/faultline/engine/judge"
)

// Markdown writes the run as GitHub-flavoured Markdown, for a pull request or a
// wiki page.
func Markdown(w io.Writer, r *judge.Result) error {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }

	line("# %s – %s\n", strings.ToUpper(word(r.Verdict)), escapeMarkdown(Headline(r)))
	line("%s", escapeMarkdown(runLine(r)))
	if s := r.Run.Scenario; s.Owner+s.Environment+s.Runbook != "" {
		var parts []string
		for _, p := range [][2]string{{"Owner", s.Owner}, {"Environment", s.Environment}, {"Runbook", s.Runbook}} {
			if p[1] != "" {
				parts = append(parts, p[0]+": "+escapeMarkdown(p[1]))
			}
		}
		line("\n%s", strings.Join(parts, " · "))
	}
	for _, reason := range r.Reasons {
		if reason.Verdict != judge.Residue {
			line("\n> %s.", escapeMarkdown(capital(reason.Text)))
		}
	}
	if len(r.Residue) > 0 {
		line("\n## Not put back\n")
		for _, l := range r.Residue {
			line("- %s at %s: %s. To try again: `%s`", escapeMarkdown(first(l.Fault, l.Plugin, "something")), escapeMarkdown(l.Target),
				escapeMarkdown(l.Why), strings.ReplaceAll(clean(l.Retry), "`", "'"))
		}
	}
	for i := range r.Experiments {
		markdownExperiment(&b, &r.Experiments[i])
	}
	markdownFacts(&b, r)
	_, err := io.WriteString(w, b.String())
	return err
}

func markdownExperiment(b *strings.Builder, e *judge.Experiment) {
	line := func(format string, args ...any) { fmt.Fprintf(b, format+"\n", args...) }
	line("\n## %s – %s\n", strings.ToUpper(word(e.Verdict)), escapeMarkdown(e.Name))
	line("%s", escapeMarkdown(Sentence(e)))
	if e.Hypothesis != "" {
		line("\nHypothesis: *%s*", escapeMarkdown(e.Hypothesis))
	}
	var items []string
	for i, reason := range e.Reasons {
		if i > 0 {
			items = append(items, "also "+word(reason.Verdict)+": "+reason.Text)
		}
	}
	items = append(items, notes(e)...)
	if s := e.EarlyStop; s != nil {
		items = append(items, "ended early: "+s.Rule)
	}
	for _, a := range e.Actions {
		items = append(items, a.Name+": "+actionText(a))
	}
	for _, x := range e.Prompts {
		items = append(items, "prompt "+x.Name+": "+promptText(x))
	}
	for _, g := range append([]grid{objectivesGrid(e), faultsGrid(e), timesGrid(e)}, latencyGrids(e)...) {
		markdownGrid(b, g)
	}
	if len(items) > 0 {
		line("")
	}
	for _, item := range items {
		line("- %s", escapeMarkdown(item))
	}
}

func markdownFacts(b *strings.Builder, r *judge.Result) {
	section := func(title string, items []string) {
		if len(items) == 0 {
			return
		}
		fmt.Fprintf(b, "\n## %s\n\n", escapeMarkdown(title))
		for _, item := range items {
			fmt.Fprintf(b, "- %s\n", escapeMarkdown(item))
		}
	}
	var guards, stopped, marks, warnings, taken []string
	for _, g := range r.Guards {
		guards = append(guards, g.Guard+": "+g.Reason)
	}
	if r.Abort != nil {
		stopped = append(stopped, r.Abort.Cause+": "+r.Abort.Reason)
	}
	for _, m := range r.Marks {
		marks = append(marks, m.At.UTC().Format("15:04:05")+" "+markText(m))
	}
	for _, w := range r.Warnings {
		warnings = append(warnings, strings.TrimPrefix(w.Experiment+": "+w.Text, ": "))
	}
	for _, t := range r.Takeovers {
		taken = append(taken, t.By+": "+t.Why)
	}
	section("Guards", guards)
	section("Stopped", stopped)
	section("Notes", marks)
	for _, p := range r.Probes {
		section("Errors of "+p.Probe, errorsOf(p))
	}
	section("Warnings", warnings)
	section("Taken over", taken)
}

func markdownGrid(b *strings.Builder, g grid) {
	if len(g.rows) == 0 {
		return
	}
	fmt.Fprintf(b, "\n**%s**\n\n", escapeMarkdown(g.title))
	row := func(cells []string) {
		for _, c := range cells {
			b.WriteString("| " + escapeMarkdown(c) + " ")
		}
		b.WriteString("|\n")
	}
	row(g.head)
	right := make(map[int]bool)
	for _, c := range g.right {
		right[c] = true
	}
	for c := range g.head {
		if right[c] {
			b.WriteString("|---:")
		} else {
			b.WriteString("|---")
		}
	}
	b.WriteString("|\n")
	for _, cells := range g.rows {
		row(cells)
	}
}

// escapeMarkdown keeps text from being read as markup. Names such as net_delay
// stay legible: an underscore inside a word is no markup on GitHub.
func escapeMarkdown(s string) string {
	var b strings.Builder
	for _, r := range clean(s) {
		if strings.ContainsRune("\\`*[]<>|#~", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
