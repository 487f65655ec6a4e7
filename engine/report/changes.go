package report

import (
	"fmt"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
)

// Before is what the history knows from before a run, for those who can ask it.
type Before struct {
	Last        *judge.Comparison // with the last run of the same scenario; nil: there was none
	Experiments map[string]Past   // by name; those that have shown something before
}

// Past is what became of an experiment before.
type Past struct {
	Verdict  judge.Verdict // held or broken, whichever came last
	LastHeld time.Time     // zero: never
}

// A latency is worth a line when it differs by this factor, and not for a baseline: that
// is the system, not the experiment.
const notableLatency = 1.25

// maxChanges is how many differences are listed for an experiment.
const maxChanges = 5

// changeTitle heads what is different from the last run.
func changeTitle(r *judge.Result, b *Before) string {
	if b.Last == nil {
		return "This is the first run of this scenario that is known here."
	}
	ago := r.Run.Started.Sub(b.Last.Before.Started).Seconds()
	return fmt.Sprintf("Since the last run, %s before (%s)", length(max(ago, 0)), b.Last.Before.Run)
}

// changeItems are what is different from the last run, and issues found and fixed
// since an experiment last showed something.
func changeItems(r *judge.Result, b *Before) []string {
	if b.Last == nil {
		return nil
	}
	var out []string
	for i := range r.Experiments {
		e := &r.Experiments[i]
		out = append(out, edgeItems(r, e, b)...)
		for j := range b.Last.Experiments {
			if x := &b.Last.Experiments[j]; x.Name == e.Name {
				out = append(out, differences(x, b.Last)...)
			}
		}
	}
	for _, x := range b.Last.Experiments {
		if x.After == "" {
			out = append(out, x.Name+" is no longer there")
		}
	}
	if len(out) == 0 {
		out = append(out, "no change beyond chance")
	}
	return append(out, b.Last.Notes...)
}

func edgeItems(r *judge.Result, e *judge.Experiment, b *Before) []string {
	past, known := b.Experiments[e.Name]
	held := "it has never held"
	if !past.LastHeld.IsZero() {
		held = fmt.Sprintf("it last held %s before this run", length(max(r.Run.Started.Sub(past.LastHeld).Seconds(), 0)))
	}
	switch {
	case e.Verdict == judge.NotDue:
		return nil
	case e.Verdict == judge.Broken && past.Verdict == judge.Held:
		return []string{fmt.Sprintf("issue found: %s is broken; %s", e.Name, held)}
	case e.Verdict == judge.Held && past.Verdict == judge.Broken:
		if past.LastHeld.IsZero() {
			return []string{fmt.Sprintf("issue fixed: %s holds, for the first time", e.Name)}
		}
		return []string{fmt.Sprintf("issue fixed: %s holds again; %s", e.Name, held)}
	case e.Verdict == judge.Held && !known:
		return []string{fmt.Sprintf("%s holds, and has shown nothing before", e.Name)}
	case e.Verdict == judge.Broken && known:
		return []string{fmt.Sprintf("%s is still broken; %s", e.Name, held)}
	case e.Verdict != judge.Held:
		return []string{fmt.Sprintf("%s is %s; %s", e.Name, word(e.Verdict), held)}
	}
	return nil
}

// differences are what is beyond chance between two runs of an experiment.
func differences(x *judge.ExperimentComparison, c *judge.Comparison) []string {
	if x.Before == "" || x.After == "" {
		return nil
	}
	var out []string
	showed := func(v judge.Verdict) bool { return v == judge.Held || v == judge.Broken || v == judge.Inconclusive }
	switch {
	case !showed(x.After):
		return nil // its own report says why
	case !showed(x.Before):
		return []string{fmt.Sprintf("%s was %s in the last run", x.Name, word(x.Before))}
	}
	if !x.Comparable {
		for _, n := range x.Notes {
			out = append(out, fmt.Sprintf("%s is not the same test: %s", x.Name, n))
		}
		return out
	}
	for _, o := range x.Objectives {
		if o.Judged && o.Change != judge.Unclear {
			out = append(out, fmt.Sprintf("%s, %s of %s: %s of %s bad, before %s of %s (%s)", x.Name, o.Phase, o.Objective,
				number(o.After.Bad), number(o.After.N), number(o.Before.Bad), number(o.Before.N), o.Change))
		}
	}
	for _, l := range x.Latencies {
		ratio := 1.0
		if l.Before.Value > 0 {
			ratio = l.After.Value / l.Before.Value
		}
		if l.Change == judge.Unclear || l.Phase == journal.Baseline || l.After.Q >= 0.99 || ratio < notableLatency && ratio > 1/notableLatency {
			continue
		}
		out = append(out, fmt.Sprintf("%s, %s of %s: p%g %s ms, before %s ms (%s)", x.Name, l.Phase, l.Probe,
			l.After.Q*100, millis(l.After.Value), millis(l.Before.Value), l.Change))
	}
	for _, t := range x.Times {
		if t.Change != judge.Unclear && t.What != "impact" {
			out = append(out, fmt.Sprintf("%s: time to %s %s, before %s (%s)", x.Name, t.What, spanText(t.After), spanText(t.Before), t.Change))
		}
	}
	if n := len(out); n > maxChanges {
		out = append(out[:maxChanges], fmt.Sprintf("%s: %s more, see `faultline compare %s %s`", x.Name, counted(n-maxChanges, "change"), c.Before.Run, c.After.Run))
	}
	return out
}

// changes writes what is different from the last run.
func (p *page) changes(r *judge.Result, b *Before) {
	if b == nil {
		return
	}
	p.line("")
	title := changeTitle(r, b)
	for _, l := range wrap(title, p.o.width()) {
		p.line(p.bold(l))
	}
	for _, t := range changeItems(r, b) {
		p.text("  · ", t)
	}
}
