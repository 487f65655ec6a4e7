package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
)

// Postmortem writes the draft of a post-mortem in Markdown: blameless, marked as of
// an experiment, with the facts of the run filled in. What a run cannot know is left as
// a question. It names no people: the journal has them where they are needed.
func Postmortem(w io.Writer, r *judge.Result) error {
	p := &postmortem{r: r}
	p.head()
	p.summary()
	p.impact()
	p.trigger()
	p.detection()
	p.timeline()
	p.recovery()
	p.well()
	p.wrong()
	p.luck()
	p.actions()
	_, err := io.WriteString(w, p.b.String())
	return err
}

// postmortem collects the text.
type postmortem struct {
	r *judge.Result
	b strings.Builder
}

func (p *postmortem) line(format string, args ...any) { fmt.Fprintf(&p.b, format+"\n", args...) }

func (p *postmortem) section(title string) { p.line("\n## %s\n", title) }

// item is a fact. Text from the run is escaped.
func (p *postmortem) item(format string, args ...any) {
	p.line("- %s", escapeMarkdown(strings.TrimSpace(fmt.Sprintf(format, args...))))
}

// ask leaves a question to people.
func (p *postmortem) ask(questions ...string) {
	for _, q := range questions {
		p.line("\n> TODO: %s", q)
	}
}

// of names an experiment where there are several.
func (p *postmortem) of(e *judge.Experiment) string {
	if len(p.r.Experiments) > 1 {
		return e.Name + ": "
	}
	return ""
}

func (p *postmortem) each(f func(e *judge.Experiment)) {
	for i := range p.r.Experiments {
		f(&p.r.Experiments[i])
	}
}

func (p *postmortem) head() {
	r := p.r
	p.line("# Post-mortem draft: %s\n", escapeMarkdown(first(r.Run.Scenario.Title, r.Run.Scenario.Name, r.Run.ID)))
	p.line("> **This was an experiment.** What is described here was brought about on purpose by run `%s`", code(r.Run.ID))
	p.line("> (plan `%s`); it was no unplanned incident. The facts are those of the run's journal. What the", code(first(r.Run.PlanHash, "unknown")))
	p.line("> journal cannot know is left as a question, marked TODO. To write this draft again:")
	p.line("> `faultline report -format postmortem %s`.", code(r.Run.ID))
	p.line(">\n> Blameless: everybody did what made sense with what they knew. Ask what made it possible and what would have helped,")
	p.line("> not who it was; write roles, not names.\n")
	p.line("| | |\n|---|---|")
	row := func(name, text string) {
		if text != "" {
			p.line("| %s | %s |", name, escapeMarkdown(text))
		}
	}
	row("Status", "draft")
	row("Verdict", fmt.Sprintf("%s (%s)", word(r.Verdict), outcomes(r)))
	row("Owner", r.Run.Scenario.Owner)
	row("Environment", r.Run.Scenario.Environment)
	row("Runbook", r.Run.Scenario.Runbook)
	row("Started", clock(r.Run.Started))
	if r.Run.Ended != nil {
		row("Ended", clock(*r.Run.Ended))
	} else if r.Unfinished {
		row("Ended", "the journal has no end")
	}
	row("Took", length(r.Run.Duration))
	row("Scenario", strings.TrimSpace(r.Run.Scenario.Name+" "+r.Run.Scenario.GitCommit))
	row("Seed", fmt.Sprint(r.Run.Seed))
	row("Tool", "faultline "+r.Run.Engine.Version)
}

// code is text within backquotes.
func code(s string) string { return strings.ReplaceAll(clean(s), "`", "'") }

func (p *postmortem) summary() {
	p.section("Summary")
	if len(p.r.Experiments) == 0 {
		p.item("The run has no experiment.")
	}
	p.each(func(e *judge.Experiment) {
		p.item("%s (%s): %s", e.Name, word(e.Verdict), Sentence(e))
		if e.Hypothesis != "" {
			p.item("Hypothesis of %s: %s", e.Name, e.Hypothesis)
		}
	})
	for _, reason := range p.r.Reasons {
		if reason.Verdict != judge.Residue {
			p.item("Of the run itself: %s", reason.Text)
		}
	}
	p.ask("what happened and why, in two or three sentences for somebody who was not there?")
}

func (p *postmortem) impact() {
	p.section("Impact")
	some := false
	p.each(func(e *judge.Experiment) {
		for _, l := range e.Lost {
			if l.Sent == 0 {
				continue
			}
			some = true
			text := fmt.Sprintf("%s%s: %s of %s failed (%s) while the faults were on and after", p.of(e), l.Probe, number(l.Failed), counted(l.Sent, sent(l.Probe)), sharePercent(float64(l.Failed)/float64(l.Sent)))
			if l.Missing > 0 {
				text += fmt.Sprintf("; %s more were not measured", number(l.Missing))
			}
			p.item("%s.", text)
		}
		for _, o := range e.Objectives {
			if o.Judged && o.N > 0 {
				some = true
				p.item("%s%s", p.of(e), objectiveFact(o))
			}
		}
		p.latencies(e)
		t := e.Times
		switch {
		case t.Broke.Seen && t.Steady.Seen:
			p.item("%sSteady state was broken for %s.", p.of(e), lasted(judge.Span{Known: true,
				Min: max(t.Steady.From.Sub(*t.Broke.To).Seconds(), 0), Max: max(t.Steady.To.Sub(*t.Broke.From).Seconds(), 0)}))
		case t.Broke.Seen && t.Steady.Until != nil:
			p.item("%sSteady state was broken for more than %s: it was not seen to come back.", p.of(e), length(max(t.Steady.Until.Sub(*t.Broke.To).Seconds(), 0)))
		}
	})
	if !some {
		p.item("No sample was taken that says anything about the impact.")
	}
	p.ask("were the requests real users' or only the probes'? How many users, orders or jobs does that come to?", "was anything hurt that no probe looks at: other teams, data, money, trust?")
}

// objectiveFact is an objective in a phase, with how sure it is.
func objectiveFact(o judge.ObjectiveResult) string {
	text := fmt.Sprintf("%s, %s: %s of %s bad (%s)", o.Objective, phaseText(o.Phase), number(o.Bad), counted(o.N, "sample"), sharePercent(float64(o.Bad)/float64(o.N)))
	switch {
	case o.Point:
		text += ", the plain ratio"
	case o.BadLow != nil && o.BadHigh != nil:
		from, to := shareBounds(*o.BadLow, *o.BadHigh)
		text += fmt.Sprintf(", 95 %% bounds %s and %s", from, to)
	case o.BadHigh != nil:
		text += fmt.Sprintf(", 95 %% bound %s", badShare(*o.BadHigh))
	default:
		text += ", without bounds as the phase was stopped early"
	}
	text += fmt.Sprintf("; allowed %s: %s", sharePercent(1-o.Target), word(o.Verdict))
	if o.Missing > 0 {
		text += fmt.Sprintf("; %s missing", counted(o.Missing, "sample"))
	}
	return text + "."
}

func phaseText(phase journal.Phase) string {
	switch phase {
	case journal.During:
		return "while the fault was on"
	case journal.After:
		return "after the fault"
	}
	return "in the baseline"
}

// latencies are those of the baseline beside those under the fault.
func (p *postmortem) latencies(e *judge.Experiment) {
	for _, l := range e.Latencies {
		var parts []string
		for _, q := range l.Quantiles {
			if q.Defined {
				parts = append(parts, fmt.Sprintf("p%g %s ms (%s to %s)", q.Q*100, millis(q.Value), millis(q.Low), millis(q.High)))
			}
		}
		if len(parts) > 0 {
			p.item("%s%s, latency %s of %s that succeeded, with 95 %% intervals: %s.", p.of(e), l.Probe, phaseText(l.Phase), counted(l.N, "sample"), strings.Join(parts, ", "))
		}
	}
}

func (p *postmortem) trigger() {
	p.section("Trigger")
	some := false
	p.each(func(e *judge.Experiment) {
		for _, f := range e.Faults {
			some = true
			var on []string
			for _, t := range f.Targets {
				on = append(on, fmt.Sprintf("%s (%s)", t.Name, effect(t)))
			}
			text := fmt.Sprintf("%s%s, a %s, at %s", p.of(e), f.Name, f.Type, first(list(on), "no target"))
			if f.Planned > 0 {
				text += fmt.Sprintf("; planned for %s, on for %s", length(f.Planned), length(f.Active))
			}
			if f.Place != "" {
				text += "; " + f.Place
			}
			p.item("%s.", text)
		}
		if i := e.Times.Bites; i.Seen {
			p.item("%sIt was first seen to bite at %s (%s).", p.of(e), i.To.UTC().Format("15:04:05.000"), i.Where)
		}
	})
	if !some {
		p.item("No fault was injected.")
	}
	p.ask("what in the system turned this trigger into harm, or kept it from doing any? Name the conditions, not a single cause.", "would a fault like this one come about by itself? How often has it?")
}

func (p *postmortem) detection() {
	p.section("Detection")
	p.each(func(e *judge.Experiment) {
		t := e.Times
		switch {
		case !t.Broke.Seen && len(e.Phases)+len(e.Objectives) == 0:
		case !t.Broke.Seen:
			p.item("%sSteady state was not seen to break: there was nothing to detect.", p.of(e))
		case t.Detected.Seen:
			p.item("%sMarked as detected at %s, %s after steady state first broke (%s).", p.of(e), t.Detected.To.UTC().Format("15:04:05.000"), lasted(t.ToDetect), t.Broke.Where)
		case t.ToDetect.Known:
			p.item("%sNobody and nothing marked it as detected: %s passed without (censored: looking ended then).", p.of(e), lasted(t.ToDetect))
		default:
			p.item("%sNobody and nothing marked it as detected.", p.of(e))
		}
	})
	for _, g := range p.r.Guards {
		p.item("Guard %s tripped at %s: %s.", g.Guard, g.At.UTC().Format("15:04:05.000"), g.Reason)
	}
	p.ask("how did people notice, and what did they look at first?", "which alert rang, or should have, and was its text of use?")
}

// lasted is a length with what is not known about it.
func lasted(s judge.Span) string {
	switch {
	case !s.Known:
		return "an unknown time"
	case s.Censored:
		return "more than " + length(s.Min)
	case s.Max < 0.0005:
		return "no time that could be measured"
	case s.Min < 0.0005:
		return "at most " + length(s.Max)
	case length(s.Min) == length(s.Max):
		return length(s.Max)
	}
	return length(s.Min) + " to " + length(s.Max)
}
