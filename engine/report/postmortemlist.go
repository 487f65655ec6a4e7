package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/faultline-go/faultline/engine/judge"
)

// happened is a line of the timeline.
type happened struct {
	at   time.Time
	text string
}

// timeline has what the journal knows, in the order of time; people add what was said
// and done meanwhile.
func (p *postmortem) timeline() {
	p.section("Timeline")
	all := p.moments()
	p.line("All times in UTC.\n")
	p.line("| Time | Since the start | What |\n|---|---:|---|")
	for _, h := range all {
		since := h.at.Sub(p.r.Run.Started)
		offset := "+" + length(since.Seconds())
		if since < 0 {
			offset = length(since.Seconds())
		}
		p.line("| %s | %s | %s |", h.at.UTC().Format("15:04:05.000"), offset, escapeMarkdown(h.text))
	}
	p.ask("what did people see, say and do meanwhile? Add lines, with roles.")
}

func (p *postmortem) moments() []happened {
	r := p.r
	all := []happened{{r.Run.Started, "the run began"}}
	add := func(at *time.Time, format string, args ...any) {
		if at != nil {
			all = append(all, happened{*at, fmt.Sprintf(format, args...)})
		}
	}
	p.each(func(e *judge.Experiment) {
		for _, s := range e.Phases {
			cut := ""
			if s.Cut {
				cut = " (it was cut short later)"
			}
			add(&s.From, "%sphase %s begins%s", p.of(e), s.Phase, cut)
		}
		for _, f := range e.Faults {
			add(f.Injected, "%s%s injected at %s", p.of(e), f.Name, counted(len(f.Targets), "target"))
			if f.Reverted != nil && f.State == judge.FaultReverted {
				add(f.Reverted, "%s%s gone, verified at every target", p.of(e), f.Name)
			}
			for _, t := range f.Targets {
				add(t.Ended, "%s%s came back by itself from %s", p.of(e), t.Name, f.Name)
			}
		}
		t := e.Times
		if t.Bites.Seen {
			add(t.Bites.To, "%s%s seen to bite", p.of(e), t.Bites.Where)
		}
		if t.Broke.Seen {
			add(t.Broke.To, "%ssteady state first broken: %s", p.of(e), t.Broke.Where)
		}
		if t.Steady.Seen {
			add(t.Steady.To, "%ssteady again, to stay: %s", p.of(e), t.Steady.Where)
		}
		if s := e.EarlyStop; s != nil {
			add(&s.At, "%sfault ended early: %s", p.of(e), s.Rule)
		}
		for _, a := range e.Actions {
			add(&a.At, "%saction %s: %s", p.of(e), a.Name, actionText(a))
		}
		for _, x := range e.Prompts {
			add(&x.At, "%shold point %s: %s %s", p.of(e), x.Name, x.Question, first(x.Answer, "There was no answer"))
		}
	})
	for _, g := range r.Guards {
		add(&g.At, "guard %s tripped: %s", g.Guard, g.Reason)
	}
	for _, m := range r.Marks {
		add(&m.At, "marked: %s", strings.TrimSuffix(m.What+": "+m.Text, ": "))
	}
	if a := r.Abort; a != nil {
		add(&a.At, "the run was stopped (%s): %s", a.Cause, a.Reason)
	}
	for _, t := range r.Takeovers {
		add(&t.At, "another process went on with the run: %s", t.Why)
	}
	add(r.Run.Ended, "the run ended")
	slices.SortStableFunc(all, func(a, b happened) int { return a.at.Compare(b.at) })
	return all
}

func (p *postmortem) recovery() {
	p.section("Recovery")
	p.each(func(e *judge.Experiment) {
		for _, f := range e.Faults {
			for _, t := range f.Targets {
				how := putBack(f, t)
				if strings.HasPrefix(how, "by ") {
					how = "put back " + how
				}
				text := fmt.Sprintf("%s%s at %s: %s", p.of(e), f.Name, t.Name, how)
				if t.Error != "" {
					text += " (" + t.Error + ")"
				} else if t.Proof != "" && !t.Residue {
					text += "; proof: " + t.Proof
				}
				p.item("%s.", text)
			}
		}
		t := e.Times
		if t.Mitigated.Seen && t.ToMitigate.Known {
			p.item("%sMarked as mitigated at %s, %s after steady state first broke.", p.of(e), t.Mitigated.To.UTC().Format("15:04:05.000"), lasted(t.ToMitigate))
		} else if t.Mitigated.Seen {
			p.item("%sMarked as mitigated at %s.", p.of(e), t.Mitigated.To.UTC().Format("15:04:05.000"))
		}
		if !t.Broke.Seen {
			return
		}
		since := "after the fault was gone"
		if t.Recovered == judge.WhileFaultOn || !t.Gone.Seen || t.Broke.To.After(*t.Gone.To) {
			since = "after steady state first broke"
		}
		switch {
		case t.Recovered == judge.WhileFaultOn:
			p.item("%sSteady again %s %s, while the fault was still on.", p.of(e), lasted(t.ToRecover), since)
		case t.ToRecover.Known && !t.ToRecover.Censored:
			p.item("%sSteady again %s %s.", p.of(e), lasted(t.ToRecover), since)
		case t.ToRecover.Known:
			p.item("%sNot seen to be steady again: it took %s %s (censored: looking ended then).", p.of(e), lasted(t.ToRecover), since)
		default:
			p.item("%sNot seen to be steady again.", p.of(e))
		}
	})
	for _, l := range p.r.Residue {
		p.line("- **Not put back**: %s at %s: %s. To try again: `%s`", escapeMarkdown(first(l.Fault, l.Plugin, "something")), escapeMarkdown(l.Target), escapeMarkdown(l.Why), code(l.Retry))
	}
	p.ask("what would recovery have taken if the fault had not been taken back by the tool?", "did the runbook say what to do, and was it true?")
}

func (p *postmortem) well() {
	p.section("What went well")
	some := false
	say := func(format string, args ...any) { some = true; p.item(format, args...) }
	p.each(func(e *judge.Experiment) {
		for _, o := range e.Objectives {
			if o.Judged && o.Verdict == judge.Held {
				say("%s%s held %s: %s bad of %s.", p.of(e), o.Objective, phaseText(o.Phase), number(o.Bad), counted(o.N, "sample"))
			}
		}
		back := 0
		for _, f := range e.Faults {
			if f.State == judge.FaultReverted {
				back++
			}
		}
		if back > 0 {
			say("%s%s of %s verified gone.", p.of(e), number(back), counted(len(e.Faults), "fault"))
		}
		if e.EarlyStop != nil {
			say("%sThe fault was ended early, after %s, to spare the rest.", p.of(e), counted(e.EarlyStop.Samples, "sample"))
		}
		if e.Times.Broke.Seen && e.Times.Detected.Seen {
			say("%sIt was detected, %s after steady state first broke.", p.of(e), lasted(e.Times.ToDetect))
		}
	})
	if len(p.r.Guards) > 0 {
		say("%s asked for a stop.", capital(counted(len(p.r.Guards), "guard")))
	}
	p.none(some, "The journal has nothing that clearly went well.")
	p.ask("what helped, so that it should be kept?")
}

func (p *postmortem) none(some bool, text string) {
	if !some {
		p.item("%s", text)
	}
}

func (p *postmortem) wrong() {
	p.section("What went wrong")
	some := false
	say := func(format string, args ...any) { some = true; p.item(format, args...) }
	p.each(func(e *judge.Experiment) {
		for _, reason := range e.Reasons {
			if reason.Verdict != judge.Held {
				say("%s%s: %s.", p.of(e), word(reason.Verdict), reason.Text)
			}
		}
		t := e.Times
		if t.Broke.Seen && !t.Detected.Seen {
			say("%sIt was not marked as detected.", p.of(e))
		}
		if t.Broke.Seen && !t.Steady.Seen {
			say("%sSteady state was not seen to come back.", p.of(e))
		}
		for _, a := range e.Actions {
			if a.Error != "" {
				say("%sAction %s failed: %s.", p.of(e), a.Name, a.Error)
			}
		}
	})
	if n := len(p.r.Residue); n > 0 {
		say("%s not put back.", capital(counted(n, "thing")))
	}
	for _, w := range p.r.Warnings {
		say("%s", strings.TrimPrefix(w.Experiment+": "+w.Text, ": "))
	}
	p.none(some, "The journal has nothing that went wrong.")
	p.ask("what made it harder than it had to be: tools, access, knowledge, noise?")
}

// luck is what could have come out worse, or is not known to be good.
func (p *postmortem) luck() {
	p.section("Where we got lucky")
	some := false
	say := func(format string, args ...any) { some = true; p.item(format, args...) }
	p.each(func(e *judge.Experiment) {
		for _, f := range e.Faults {
			for _, t := range f.Targets {
				switch {
				case t.Ended != nil:
					say("%s%s came back by itself from %s: the rest of the fault was not tried there.", p.of(e), t.Name, f.Name)
				case t.Gone:
					say("%s%s was gone before %s came.", p.of(e), t.Name, f.Name)
				case !t.Bites:
					say("%s%s was not seen to bite at %s.", p.of(e), f.Name, t.Name)
				}
			}
			if e.EarlyStop != nil && f.Planned > f.Active {
				say("%s%s was on for %s of %s: what the rest would have done is not known.", p.of(e), f.Name, length(f.Active), length(f.Planned))
			}
		}
		for _, o := range e.Objectives {
			if o.Judged && o.Verdict == judge.Inconclusive {
				text := fmt.Sprintf("%s %s is open", o.Objective, phaseText(o.Phase))
				if o.Needed > o.N {
					text += fmt.Sprintf(": %s, %s are needed to say that it holds", counted(o.N, "sample"), number(o.Needed))
				} else if o.Note != "" {
					text += ": " + o.Note
				}
				say("%s%s.", p.of(e), text)
			}
		}
	})
	p.none(some, "The journal does not say; luck seldom shows in data.")
	p.ask("what would have been worse at another hour, with more load, or without those who were there?")
}

// actions are stubs: what is to be done is for people to decide.
func (p *postmortem) actions() {
	p.section("Action items")
	p.line("| # | Kind | Action | For | Owner (role) | Due |\n|---|---|---|---|---|---|")
	n := 0
	row := func(kind, action, because string) {
		n++
		p.line("| %d | %s | %s | %s | TODO | TODO |", n, kind, action, escapeMarkdown(because))
	}
	for _, l := range p.r.Residue {
		row("put back", "`"+code(l.Retry)+"`", fmt.Sprintf("%s at %s", first(l.Fault, l.Plugin, "something"), l.Target))
	}
	p.each(func(e *judge.Experiment) {
		t := e.Times
		if e.Verdict == judge.Broken {
			row("prevent", "TODO", Sentence(e))
		}
		if t.Broke.Seen && !t.Detected.Seen {
			row("detect", "TODO", p.of(e)+"not marked as detected")
		}
		if t.Broke.Seen && !t.Steady.Seen {
			row("recover", "TODO", p.of(e)+"not seen to be steady again")
		}
		switch e.Verdict {
		case judge.Held:
		case judge.Broken:
			row("verify", "run "+escapeMarkdown(e.Name)+" again once it is mended", "until it holds")
		default:
			row("learn", "run "+escapeMarkdown(e.Name)+" again", fmt.Sprintf("%s: %s", word(e.Verdict), why(e)))
		}
	})
	if n == 0 {
		row("keep", "TODO: run it again regularly?", "everything held")
	}
	p.ask("which of these is worth most, and what is left out on purpose?")
}
