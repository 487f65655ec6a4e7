package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/internal/lazyregexp"
)

// MarkdownLimit is how large a page may be that GitHub shows as a step's summary, in
// bytes.
const MarkdownLimit = 1 << 20

// Markdown writes the run as GitHub-flavoured Markdown, for a pull request, a wiki page
// or the summary of a job, in less than MarkdownLimit bytes.
func Markdown(w io.Writer, r *judge.Result) error { return MarkdownUpTo(w, r, MarkdownLimit) }

// MarkdownUpTo is Markdown in at most so many bytes. What has no room is left out in
// whole sections, those that held first, and a sentence says so. Where not even the
// headline has room nothing is written.
func MarkdownUpTo(w io.Writer, r *judge.Result, limit int) error {
	_, err := io.WriteString(w, fitSections(markdownSections(r), limit, r.Run.ID))
	return err
}

// section is a part of the page that stays whole. What it is called when it is left
// out, and the rank of its importance; the lower, the more important.
type section struct {
	text string
	name string
	rank int
}

func markdownSections(r *judge.Result) []section {
	sections := []section{{text: markdownHead(r), rank: -2}}
	if len(r.Residue) > 0 {
		sections = append(sections, section{markdownResidue(r), "what was not put back", -1})
	}
	for i := range r.Experiments {
		var b strings.Builder
		e := &r.Experiments[i]
		markdownExperiment(&b, e)
		sections = append(sections, section{b.String(), "", rankOf(e.Verdict)})
	}
	return append(sections, markdownFacts(r)...)
}

// fitSections puts the page together.
func fitSections(sections []section, limit int, run string) string {
	total := 0
	for _, s := range sections {
		total += len(s.text)
	}
	keep := make([]bool, len(sections))
	if total <= limit {
		for i := range keep {
			keep[i] = true
		}
		return joinSections(sections, keep)
	}
	order := make([]int, len(sections))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return sections[a].rank - sections[b].rank })
	// The sentence is longest when it says the most.
	room := limit - len(leftOut(sections, keep, limit, run))
	for _, i := range order {
		if len(sections[i].text) <= room {
			keep[i] = true
			room -= len(sections[i].text)
		}
	}
	if !keep[0] {
		return ""
	}
	return joinSections(sections, keep) + leftOut(sections, keep, limit, run)
}

func joinSections(sections []section, keep []bool) string {
	var b strings.Builder
	for i, s := range sections {
		if keep[i] {
			b.WriteString(s.text)
		}
	}
	return b.String()
}

// leftOut says what is not on the page.
func leftOut(sections []section, keep []bool, limit int, run string) string {
	experiments := 0
	var names []string
	for i, s := range sections {
		switch {
		case keep[i]:
		case s.name == "":
			experiments++
		default:
			names = append(names, s.name)
		}
	}
	if experiments > 0 {
		names = append([]string{counted(experiments, "experiment")}, names...)
	}
	if more := len(names) - 6; more > 0 {
		names = append(names[:6], counted(more, "section")+" more")
	}
	return fmt.Sprintf("\n---\n\nThere was room for %s bytes only. Left out: %s. `faultline report %s` shows everything.\n",
		number(limit), escapeMarkdown(list(names)), strings.ReplaceAll(clean(run), "`", "'"))
}

func markdownHead(r *judge.Result) string {
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
	for _, text := range unchecked(r) {
		line("\n> %s", escapeMarkdown(text))
	}
	for _, reason := range r.Reasons {
		if reason.Verdict != judge.Residue {
			line("\n> %s.", escapeMarkdown(capital(reason.Text)))
		}
	}
	return b.String()
}

func markdownResidue(r *judge.Result) string {
	var b strings.Builder
	b.WriteString("\n## Not put back\n\n")
	for i, l := range r.Residue {
		if i == mostItems {
			fmt.Fprintf(&b, "- and %s more\n", number(len(r.Residue)-mostItems))
			break
		}
		fmt.Fprintf(&b, "- %s at %s: %s. To try again: %s\n", escapeMarkdown(first(l.Fault, l.Plugin, "something")), escapeMarkdown(l.Target),
			escapeMarkdown(l.Why), codeSpan(l.Retry))
	}
	return b.String()
}

// Lists, tables and texts that are longer are cut, so that one of them does not take the
// room of all others.
const (
	mostItems   = 200
	longestText = 2000 // runes
)

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
	markdownList(b, items)
}

// listSign is what would begin a list within a list.
var listSign = lazyregexp.New(`^(\d*)([-+.)=])`)

func markdownList(b *strings.Builder, items []string) {
	for i, item := range items {
		if i == mostItems {
			fmt.Fprintf(b, "- and %s more\n", number(len(items)-mostItems))
			return
		}
		fmt.Fprintf(b, "- %s\n", listSign().ReplaceAllString(escapeMarkdown(item), `$1\$2`))
	}
}

func markdownFacts(r *judge.Result) []section {
	var sections []section
	add := func(title string, items []string) {
		if len(items) == 0 {
			return
		}
		var b strings.Builder
		fmt.Fprintf(&b, "\n## %s\n\n", escapeMarkdown(title))
		markdownList(&b, items)
		sections = append(sections, section{b.String(), "“" + cut(title, longestTitle) + "”", rankWarning})
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
	for _, w := range otherWarnings(r) {
		warnings = append(warnings, strings.TrimPrefix(w.Experiment+": "+w.Text, ": "))
	}
	for _, t := range r.Takeovers {
		taken = append(taken, t.By+": "+t.Why)
	}
	add("Guards", guards)
	add("Stopped", stopped)
	add("Notes", marks)
	for _, p := range r.Probes {
		add("Errors of "+p.Probe, errorsOf(p))
	}
	add("Warnings", warnings)
	add("Taken over", taken)
	return sections
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
	for i, cells := range g.rows {
		if i == mostItems {
			fmt.Fprintf(b, "\nThere are %s more rows.\n", number(len(g.rows)-mostItems))
			break
		}
		row(cells)
	}
}

// escapeMarkdown keeps text from being read as markup, as HTML, as a mention or a link.
// Names such as net_delay stay legible: an underscore inside a word is no markup on
// GitHub.
func escapeMarkdown(s string) string {
	var b strings.Builder
	before := ' '
	for _, r := range cut(clean(s), longestText) {
		switch {
		case strings.ContainsRune("\\`*[]<>|#~&$", r):
			b.WriteByte('\\')
		case r == '_' && !(letter(before)): // an underscore before a word emphasises
			b.WriteByte('\\')
		case r == '@' && !letter(before): // nobody is told of a test
			b.WriteString("@\u200b")
			before = r
			continue
		}
		b.WriteRune(r)
		before = r
	}
	return b.String()
}

func letter(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' }

// codeSpan is text that stands as it is, between as many backticks as it needs.
func codeSpan(s string) string {
	s = cut(clean(s), longestText)
	fence := "`"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") {
		s = " " + s + " "
	}
	return fence + s + fence
}
