package report

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
)

// word is a verdict as people read it.
func word(v judge.Verdict) string { return strings.ReplaceAll(string(v), "_", " ") }

// Headline is the run in one line: its verdict, and what came of how many
// experiments.
func Headline(r *judge.Result) string {
	name := first(r.Run.Scenario.Title, r.Run.Scenario.Name, r.Run.ID, "the run")
	return fmt.Sprintf("%s: %s", name, outcomes(r))
}

func outcomes(r *judge.Result) string {
	if len(r.Experiments) == 0 {
		return "no experiment"
	}
	var order []judge.Verdict
	counts := make(map[judge.Verdict]int)
	for _, e := range r.Experiments {
		if counts[e.Verdict] == 0 {
			order = append(order, e.Verdict)
		}
		counts[e.Verdict]++
	}
	var parts []string
	for _, v := range order {
		parts = append(parts, fmt.Sprintf("%s %s", number(counts[v]), word(v)))
	}
	s := counted(len(r.Experiments), "experiment") + ", " + strings.Join(parts, ", ")
	if n := len(r.Residue); n > 0 {
		s += fmt.Sprintf("; %s not put back", counted(n, "thing"))
	}
	return s
}

// Sentence is one experiment in one sentence.
func Sentence(e *judge.Experiment) string {
	var s string
	switch e.Verdict {
	case judge.Held:
		s = heldSentence(e)
	case judge.Broken:
		s = brokenSentence(e)
	case judge.Inconclusive:
		s = fmt.Sprintf("It is open whether %s %s: %s", subject(e), ability(e), why(e))
	case judge.NotExercised:
		s = notExercisedSentence(e)
	case judge.NotStarted, judge.NotDue:
		s = capital(why(e))
	case judge.Aborted:
		s = fmt.Sprintf("Ended before it could show a result: %s", why(e))
	default:
		s = fmt.Sprintf("The test itself did not work: %s", why(e))
	}
	s = strings.TrimRight(s, ". ")
	if e.Residue {
		return s + ". Not everything could be put back."
	}
	if (e.Verdict == judge.Aborted || e.Verdict == judge.Errored) && injected(e) {
		return s + ". Everything was put back."
	}
	return s + "."
}

func heldSentence(e *judge.Experiment) string {
	bound := ""
	if b, ok := worstBound(e); ok {
		bound = fmt.Sprintf(", 95 %% bound %s", badShare(b))
	}
	switch {
	case e.Check:
		return fmt.Sprintf("%s is steady: %ssteady state held%s", capital(subject(e)), losses(e), bound)
	case e.Expect == journal.Recover && e.Times.Broke.Seen:
		after := ""
		if span := e.Times.ToRecover; span.Known && !span.Censored {
			after = " within " + length(span.Max)
		}
		return fmt.Sprintf("%s recovered from %s%s: %ssteady state held afterwards%s", capital(subject(e)), faults(e), after, losses(e), bound)
	}
	return fmt.Sprintf("%s survived %s: %ssteady state held%s", capital(subject(e)), faults(e), losses(e), bound)
}

func brokenSentence(e *judge.Experiment) string {
	did := "did not withstand " + faults(e)
	switch {
	case e.Check:
		did = "is not steady"
	case e.Expect == journal.Recover:
		did = "did not recover from " + faults(e)
	}
	ended := ""
	if e.EarlyStop != nil {
		ended = "; the fault was ended early to spare the rest"
	}
	return fmt.Sprintf("%s %s: %s%s%s", capital(subject(e)), did, losses(e), brokenWhy(e), ended)
}

// brokenWhy is the first thing that was broken, with the numbers.
func brokenWhy(e *judge.Experiment) string {
	for _, r := range e.Reasons {
		if r.Verdict != judge.Broken {
			continue
		}
		i := slices.IndexFunc(e.Objectives, func(o judge.ObjectiveResult) bool {
			return o.Objective == r.Objective && o.Phase == r.Phase && o.Verdict == judge.Broken && o.N > 0
		})
		if i < 0 {
			return r.Text
		}
		o := e.Objectives[i]
		where := " while the fault was on"
		switch {
		case e.Check:
			where = ""
		case o.Phase == journal.After:
			where = " after the fault"
		}
		bad := roughly(float64(o.Bad) / float64(o.N))
		return fmt.Sprintf("%s missed its target%s with %s bad, allowed %s", o.Objective, where, bad, sharePercent(1-o.Target))
	}
	return why(e)
}

func notExercisedSentence(e *judge.Experiment) string {
	if len(e.Faults) == 0 {
		return fmt.Sprintf("Nothing was tested: %s", why(e))
	}
	return fmt.Sprintf("Nothing was learnt about %s: %s", subject(e), why(e))
}

// why is the text of the reason that decided.
func why(e *judge.Experiment) string {
	if len(e.Reasons) == 0 {
		return "no reason given"
	}
	return e.Reasons[0].Text
}

// ability is what an open experiment was to show.
func ability(e *judge.Experiment) string {
	switch {
	case e.Check:
		return "is steady"
	case e.Expect == journal.Recover:
		return "recovers from " + faults(e)
	}
	return "survives " + faults(e)
}

// subject is what the steady states are of: their names.
func subject(e *judge.Experiment) string {
	var names []string
	for _, o := range e.Objectives {
		name, _, _ := strings.Cut(o.Objective, ".")
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 || len(names) > 3 {
		return "the system"
	}
	return list(names)
}

// nouns are the names that faults have in a sentence, by the end of their type.
var nouns = []struct{ suffix, noun string }{
	{"kill", "the loss of"}, {"stop", "the stop of"}, {"pause", "a pause of"}, {"restart", "a restart of"},
	{"disconnect", "the isolation of"}, {"isolate", "the isolation of"}, {"delay", "added delay at"}, {"loss", "packet loss at"},
}

// faults names what was done to whom: "the loss of web1 and a pause of store".
func faults(e *judge.Experiment) string {
	var parts []string
	for _, f := range e.Faults {
		whom := hit(f)
		what := f.Type + " at"
		for _, n := range nouns {
			if strings.HasSuffix(f.Type, n.suffix) {
				what = n.noun
				break
			}
		}
		if whom == "" {
			what, whom = strings.TrimSuffix(strings.TrimSuffix(what, " of"), " at"), ""
		}
		if part := strings.TrimSpace(what + " " + whom); !slices.Contains(parts, part) {
			parts = append(parts, part)
		}
	}
	switch {
	case len(parts) == 0:
		return "the fault"
	case len(parts) > 3:
		return counted(len(parts), "fault")
	}
	return list(parts)
}

// hit says whom a fault was injected into: by name, or as a part of the group that they
// were picked from, "1 of 3 web containers".
func hit(f judge.Fault) string {
	var names []string
	kind := ""
	for _, t := range f.Targets {
		if !t.Gone {
			name, _, _ := strings.Cut(t.Name, " (pid ") // which process it was is in the tables
			names, kind = append(names, name), t.Kind
		}
	}
	group := groupNoun(f.TargetBlock, kind)
	switch {
	case len(names) == 0:
		return ""
	case group != "" && f.Discovered > len(names):
		return fmt.Sprintf("%s of %s %s", number(len(names)), number(f.Discovered), group)
	case group != "" && len(names) > 1:
		return fmt.Sprintf("all %s %s", number(len(names)), group)
	case len(names) > 3:
		return counted(len(names), "target")
	}
	return list(names)
}

// kinds are the nouns for several of a kind of targets. Of a kind that is not here the
// names are given.
var kinds = map[string]string{
	"docker_container": "containers", "docker_compose_service": "services", "docker_network": "networks", "process": "processes",
	"host": "hosts", "net_interface": "interfaces", "proxy_listener": "listeners",
}

// groupNoun is what a target block is in a sentence: "web containers". The name of one
// that comes from a source says nothing to whoever uses that.
func groupNoun(block, kind string) string {
	parts := strings.Split(block, ".")
	noun := kinds[kind]
	if noun == "" || len(parts) < 2 {
		return ""
	}
	if len(parts) > 2 {
		return noun
	}
	return parts[1] + " " + noun
}

// losses says how much of what was sent has failed, for the probe that lost most:
// "667 of 4,000 requests failed; ". It is empty when nothing was sent.
func losses(e *judge.Experiment) string {
	var most *judge.Loss
	for i := range e.Lost {
		if l := &e.Lost[i]; l.Sent > 0 && (most == nil || l.Failed > most.Failed) {
			most = l
		}
	}
	if most == nil {
		return ""
	}
	return fmt.Sprintf("%s of %s failed; ", number(most.Failed), counted(most.Sent, sent(most.Probe)))
}

// sent is what a probe sends.
func sent(probe string) string {
	typ, _, _ := strings.Cut(probe, ".")
	switch typ {
	case "http", "grpc", "dns":
		return "request"
	case "tcp":
		return "connection"
	}
	return "check"
}

// worstBound is the highest bound of the bad share among what was judged.
func worstBound(e *judge.Experiment) (float64, bool) {
	worst, ok := 0.0, false
	for _, o := range e.Objectives {
		if o.Judged && o.BadHigh != nil && !o.Point {
			worst, ok = max(worst, *o.BadHigh), true
		}
	}
	return worst, ok
}

func injected(e *judge.Experiment) bool { return len(e.Faults) > 0 }

func capital(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return string(unicode.ToUpper(r)) + s[n:]
}

func first(names ...string) string {
	for _, n := range names {
		if n != "" {
			return n
		}
	}
	return ""
}
