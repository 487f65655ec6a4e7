package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/faultline-go/faultline/engine/judge"
)

// GitHub shows no more annotations of a step than these, and cuts longer texts.
const (
	mostAnnotations = 10
	longestTitle    = 200  // runes
	longestMessage  = 4000 // runes
)

// GitHub writes what is worth a reader's look as workflow commands of GitHub Actions,
// which it shows as annotations at the lines of the scenario: at most ten, the most
// important first. That plugins were not checked comes before everything, as in every
// report. What was not put back, broken or errored is an error, whatever else is not held
// a warning, and what held a notice.
func GitHub(w io.Writer, r *judge.Result, places Places) error {
	all := annotations(r)
	slices.SortStableFunc(all, func(a, b annotation) int { return a.rank - b.rank })
	if over := len(all) - mostAnnotations; over > 0 {
		all = all[:mostAnnotations]
		last := &all[mostAnnotations-1]
		last.message += fmt.Sprintf("\nNot shown here: %s more; the report has them all.", number(over))
	}
	var b strings.Builder
	for _, a := range all {
		b.WriteString("::" + a.level() + " ")
		if file, line, ok := places.of(a.place); ok {
			fmt.Fprintf(&b, "file=%s,line=%d,", commandProperty(file), line)
		}
		fmt.Fprintf(&b, "title=%s::%s\n", commandProperty(a.title), commandData(a.message))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// annotation is one, with its rank: the lower, the more important.
type annotation struct {
	rank           int
	place          string
	title, message string
}

// The ranks of annotations.
const (
	rankUnchecked = iota
	rankResidue
	rankBroken
	rankErrored
	rankAborted
	rankNotStarted
	rankNotExercised
	rankInconclusive
	rankWarning
	rankHeld
)

func (a annotation) level() string {
	switch {
	case a.rank == rankUnchecked:
		return "warning"
	case a.rank <= rankErrored:
		return "error"
	case a.rank <= rankWarning:
		return "warning"
	}
	return "notice"
}

func rankOf(v judge.Verdict) int {
	switch v {
	case judge.Residue:
		return rankResidue
	case judge.Broken:
		return rankBroken
	case judge.Errored:
		return rankErrored
	case judge.Aborted:
		return rankAborted
	case judge.NotStarted:
		return rankNotStarted
	case judge.NotExercised:
		return rankNotExercised
	case judge.Held, judge.NotDue:
		return rankHeld
	}
	return rankInconclusive
}

func annotations(r *judge.Result) []annotation {
	var all []annotation
	add := func(rank int, place, title string, lines ...string) {
		for i, l := range lines {
			lines[i] = clean(l)
		}
		all = append(all, annotation{rank, place, cut(clean(title), longestTitle), cut(strings.Join(lines, "\n"), longestMessage)})
	}
	if notes := unchecked(r); len(notes) > 0 {
		add(rankUnchecked, "", "Not every plugin was checked", notes...)
	}
	for _, l := range r.Residue {
		add(rankResidue, faultPlace(r, l), fmt.Sprintf("%s at %s was not put back", first(l.Fault, l.Plugin, "something"), l.Target),
			capital(l.Why), "To try again: "+l.Retry)
	}
	for _, reason := range r.Reasons {
		if reason.Verdict != judge.Residue { // each of it is above
			add(rankOf(reason.Verdict), "", "The run: "+word(reason.Verdict), capital(reason.Text))
		}
	}
	for i := range r.Experiments {
		e := &r.Experiments[i]
		lines := []string{Sentence(e)}
		if e.Hypothesis != "" {
			lines = append(lines, "Hypothesis: "+e.Hypothesis)
		}
		for j, reason := range e.Reasons {
			if j > 0 {
				lines = append(lines, "Also "+word(reason.Verdict)+": "+reason.Text)
			}
		}
		add(rankOf(e.Verdict), firstPlace(e), e.Name+": "+word(e.Verdict), lines...)
	}
	for _, w := range otherWarnings(r) {
		place := ""
		if i := slices.IndexFunc(r.Experiments, func(e judge.Experiment) bool { return e.Name == w.Experiment }); i >= 0 {
			place = r.Experiments[i].Place
		}
		add(rankWarning, place, strings.TrimPrefix(w.Experiment+": warning", ": "), capital(w.Text))
	}
	return all
}

// faultPlace is where the fault stands that left something behind.
func faultPlace(r *judge.Result, l judge.LeftBehind) string {
	for _, e := range r.Experiments {
		if e.Name != l.Experiment {
			continue
		}
		for _, f := range e.Faults {
			if f.ID == l.FaultID && f.Place != "" {
				return f.Place
			}
		}
		return e.Place
	}
	return ""
}

// cut ends a text that is too long with an ellipsis.
func cut(s string, most int) string {
	if runes(s) <= most {
		return s
	}
	return s[:byteOf(s, most-1)] + "…"
}

// The escapes of workflow commands: for what stands behind the second ::, and for the
// values before it, where colons and commas mean something, too.
var (
	dataEscapes     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	propertyEscapes = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

func commandData(s string) string     { return dataEscapes.Replace(s) }
func commandProperty(s string) string { return propertyEscapes.Replace(s) }
