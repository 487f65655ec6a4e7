package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
)

// grid is a table before it is drawn, for the terminal and for Markdown alike.
type grid struct {
	title string
	head  []string
	rows  [][]string
	right []int // columns of numbers
	wrap  int   // the column that gives way when there is no room
	keep  []int // columns that are never cut, such as names to be copied
}

func (g *grid) add(cells ...string) { g.rows = append(g.rows, cells) }

// objectivesGrid has every objective in every phase.
func objectivesGrid(e *judge.Experiment) grid {
	state := commonPrefix(e)
	g := grid{title: objectivesTitle(state) + ", with 95 % bounds of the bad share", head: []string{"Objective", "Phase", "Verdict", "Good", "Target", "Bad/all", "Bad share"}, right: []int{3, 4, 5, 6}}
	for _, o := range e.Objectives {
		good, of, bound := "–", "no samples", "–"
		if o.Share != nil {
			good = goodShare(*o.Share)
			of = number(o.Bad) + "/" + number(o.N)
		}
		if o.BadHigh != nil && !o.Point {
			bound = boundText(o)
		}
		g.add(strings.TrimPrefix(o.Objective, state), string(o.Phase), objectiveWord(o), good, sharePercent(o.Target), of, bound)
	}
	return g
}

func objectivesTitle(of string) string {
	if of == "" {
		return "Objectives"
	}
	return "Objectives of " + strings.TrimSuffix(of, ".")
}

// commonPrefix is the steady state that all objectives are of, with its dot; empty when
// there are several.
func commonPrefix(e *judge.Experiment) string {
	of := ""
	for i, o := range e.Objectives {
		state, _, ok := strings.Cut(o.Objective, ".")
		if !ok || i > 0 && state+"." != of {
			return ""
		}
		of = state + "."
	}
	return of
}

// boundText is a bad share as an interval, each end with 95 % confidence. Without a bad
// sample there is an upper end only.
func boundText(o judge.ObjectiveResult) string {
	if o.BadLow == nil || *o.BadLow < 1e-5 {
		return "≤ " + badShare(*o.BadHigh)
	}
	low, high := shareBounds(*o.BadLow, *o.BadHigh)
	return strings.TrimSuffix(low, " %") + "–" + high
}

// objectiveWord is the word for an objective in a phase. The baseline is a gate,
// and a phase that does not count has no verdict.
func objectiveWord(o judge.ObjectiveResult) string {
	switch {
	case o.Judged:
		return word(o.Verdict)
	case o.Phase != journal.Baseline:
		return "not judged"
	case o.Verdict == judge.Broken || o.N == 0:
		return "gate failed"
	}
	return "gate passed"
}

// notes are what the table of objectives has no room for.
func notes(e *judge.Experiment) []string {
	var out []string
	say := func(o judge.ObjectiveResult, format string, args ...any) {
		text := fmt.Sprintf("%s, %s: %s", o.Objective, o.Phase, fmt.Sprintf(format, args...))
		if !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	for _, o := range e.Objectives {
		if o.Judged && o.Note != "" && !o.StoppedBy && !said(e, o) {
			say(o, "%s", o.Note)
		}
		if o.Missing > 0 {
			say(o, "%s missing", counted(o.Missing, "sample"))
		}
		if !o.Judged || o.Bad == 0 || o.BadHigh == nil {
			continue
		}
		switch {
		case o.DAssumed:
			say(o, "errors are taken as independent (D assumed 1): too few to measure")
		case o.D > 1.05:
			say(o, "errors came in bursts: %s count like %s (design effect %s)", counted(o.N, "sample"), number(int(float64(o.N)/o.D)), trim(o.D, 1))
		}
	}
	return out
}

// said says whether a reason tells already what there is to know of an objective.
func said(e *judge.Experiment, o judge.ObjectiveResult) bool {
	return slices.ContainsFunc(e.Reasons, func(r judge.Reason) bool { return r.Objective == o.Objective && r.Phase == o.Phase })
}

// latencyGrids have the quantiles of successful samples, in milliseconds: a table for each
// probe, so that its name needs no column.
func latencyGrids(e *judge.Experiment) []grid {
	var out []grid
	at := make(map[string]int)
	for _, l := range e.Latencies {
		i, known := at[l.Probe]
		if !known {
			i = len(out)
			at[l.Probe] = i
			g := grid{title: "Latency of " + l.Probe + " in ms, of what succeeded, with 95 % intervals", head: []string{"Phase", "Samples"}, right: []int{1, 2, 3, 4}}
			for _, q := range judge.Quantiles {
				g.head = append(g.head, fmt.Sprintf("p%g", q*100))
			}
			out = append(out, g)
		}
		cells := []string{string(l.Phase), number(l.N)}
		for _, q := range l.Quantiles {
			if !q.Defined {
				cells = append(cells, fmt.Sprintf("needs %s samples", number(q.Needs)))
				continue
			}
			cells = append(cells, fmt.Sprintf("%s (%s–%s)", millis(q.Value), millis(q.Low), millis(q.High)))
		}
		out[i].rows = append(out[i].rows, cells)
	}
	return out
}

// faultsGrid has every target of every fault.
func faultsGrid(e *judge.Experiment) grid {
	g := grid{title: "Faults", head: []string{"Fault", "Target", "Effect", "On for", "Put back"}, right: []int{3}, wrap: 2}
	for _, f := range e.Faults {
		for _, t := range f.Targets {
			g.add(f.Name, t.Name, effect(t), onFor(t), putBack(f, t))
		}
	}
	return g
}

func effect(t judge.FaultTarget) string {
	s := t.Effect
	switch {
	case t.Gone:
		return "was gone already"
	case !t.Bites && s == "":
		s = "none seen"
	case !t.Bites:
		s = "none: " + s
	}
	if len(t.Measures) > 0 {
		var keys []string
		for k := range t.Measures {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		var parts []string
		for _, k := range keys {
			parts = append(parts, fmt.Sprintf("%s %s", k, trim(t.Measures[k], 3)))
		}
		s += " (" + strings.Join(parts, ", ") + ")"
	}
	return s
}

func onFor(t judge.FaultTarget) string {
	end := t.Reverted
	if t.Ended != nil {
		end = t.Ended
	}
	if t.Injected == nil || end == nil {
		return "–"
	}
	return length(max(end.Sub(*t.Injected).Seconds(), 0))
}

func putBack(f judge.Fault, t judge.FaultTarget) string {
	switch {
	case t.Outcome == "":
		return "not yet"
	case t.Residue:
		return "NOT put back"
	case t.Ended != nil || t.By == "target":
		return "came back by itself"
	}
	s := "was no longer there"
	switch t.Outcome {
	case journal.Reverted:
		s = "yes"
	case journal.ForeignChange:
		s = "left, changed by others"
	}
	if t.By != "" {
		s += ", by " + t.By
	}
	s = strings.TrimPrefix(s, "yes, ")
	if c := cause(f.Cause); c != "" {
		s += ", " + c
	}
	return s
}

// maxProofs is how many proofs are listed for an experiment.
const maxProofs = 5

// proofs are what was looked at to be sure that something was put back.
func proofs(e *judge.Experiment) []string {
	var out []string
	more := 0
	for _, f := range e.Faults {
		for _, t := range f.Targets {
			switch {
			case t.Proof == "" || t.Residue:
			case len(out) == maxProofs:
				more++
			default:
				out = append(out, fmt.Sprintf("after %s at %s: %s", f.Name, t.Name, t.Proof))
			}
		}
	}
	if more > 0 {
		out = append(out, fmt.Sprintf("and %s more were put back", number(more)))
	}
	return out
}

// cause says why a fault was ended, where that is worth saying.
func cause(c string) string {
	switch c {
	case "early_stop":
		return "early"
	case "abort", "error", "recover":
		return "after " + c
	case "lease":
		return "as its lease ran out"
	case "step":
		return "as a step was over"
	}
	return ""
}

// timesGrid has the moments, counted from the start of the experiment, and the
// lengths between them.
func timesGrid(e *judge.Experiment) grid {
	g := grid{title: "Times, from the start of the experiment", head: []string{"What", "When", "Where"}, wrap: 2}
	moment := func(name string, i judge.Instant) {
		switch {
		case i.Seen && e.Started != nil:
			at := length(max(i.To.Sub(*e.Started).Seconds(), 0))
			if i.Resolution > 0 {
				at += " (within " + length(i.Resolution) + ")"
			}
			g.add(name, at, i.Where)
		case !i.Seen && i.Until != nil:
			g.add(name, "not seen", i.Where)
		}
	}
	t := e.Times
	moment("fault seen to bite", t.Bites)
	if t.Broke.Seen {
		moment("steady state first broken", t.Broke)
	}
	switch {
	case t.Detected.Seen:
		moment("detected", t.Detected)
	case t.Broke.Seen:
		g.add("detected", "not marked", "")
	}
	if t.Mitigated.Seen {
		moment("mitigated", t.Mitigated)
	}
	moment("fault verified gone", t.Gone)
	moment("steady again, to stay", t.Steady)
	if t.Broke.Seen {
		g.length("time to impact", t.ToImpact, "")
		if t.Detected.Seen {
			g.length("time to detect", t.ToDetect, "")
		}
		if t.Mitigated.Seen {
			g.length("time to mitigate", t.ToMitigate, "")
		}
		where := ""
		switch t.Recovered {
		case judge.WhileFaultOn:
			where = "while the fault was on"
		case judge.AfterFaultOff:
			where = "after the fault was gone"
		}
		g.length("time to recover", t.ToRecover, where)
	}
	return g
}

func (g *grid) length(name string, s judge.Span, where string) {
	if text := spanText(s); text != "–" {
		g.add(name, text, where)
	}
}

// spanText writes a length that is known as an interval; a dash where nothing is known
// of it.
func spanText(s judge.Span) string {
	switch {
	case !s.Known || s.Censored && s.Min < 0.0005:
		return "–"
	case s.Censored:
		return "more than " + length(s.Min)
	case s.Max < 0.0005:
		return "at once"
	case s.Min < 0.0005 && s.Min != s.Max:
		return "at most " + length(s.Max)
	case length(s.Min) == length(s.Max):
		return length(s.Max)
	}
	return length(s.Min) + " to " + length(s.Max)
}

// errorsOf are the texts of a probe's errors, the commonest first.
func errorsOf(p judge.ProbeSummary) []string {
	var texts []string
	for text := range p.Errors {
		texts = append(texts, text)
	}
	slices.SortFunc(texts, func(a, b string) int {
		if d := p.Errors[b] - p.Errors[a]; d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	for i, text := range texts {
		texts[i] = fmt.Sprintf("%s × %s", number(p.Errors[text]), text)
	}
	return texts
}

func actionText(a judge.Action) string {
	text := first(a.Detail, "done")
	if a.Error != "" {
		text = "failed: " + a.Error
	}
	return fmt.Sprintf("%s (%s)", text, length(a.Took))
}

func promptText(p judge.Prompt) string {
	if p.Answer == "" {
		return fmt.Sprintf("%s There was no answer (%s)", p.Question, length(p.Took))
	}
	return fmt.Sprintf("%s %s, by %s (%s)", p.Question, p.Answer, p.By, length(p.Took))
}

func markText(m judge.Mark) string {
	text := m.What
	if m.Text != "" {
		text += ": " + m.Text
	}
	if m.By != "" {
		text += " (" + m.By + ")"
	}
	return text
}
