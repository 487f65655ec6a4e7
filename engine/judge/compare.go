package judge

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
)

// CompareFormat names Comparison's JSON form and its version.
const CompareFormat = "faultline.compare/v1"

// Comparison lays a run beside an earlier one. It says what can be said of two samples
// and leaves out what cannot: Notes has the reasons, of the runs and of each experiment.
type Comparison struct {
	Format      string                 `json:"format"`
	Before      Side                   `json:"before"`
	After       Side                   `json:"after"`
	Notes       []string               `json:"notes,omitempty"`
	Experiments []ExperimentComparison `json:"experiments"`
	Compared    int                    `json:"compared"`    // experiments in which a regression would have been found
	Regressions []Regression           `json:"regressions"` // what counts is said at that type
}

// Side is one of the two runs.
type Side struct {
	Run      string    `json:"run"`
	Scenario string    `json:"scenario"`
	Started  time.Time `json:"started"`
	Duration float64   `json:"duration_s"`
	Verdict  Verdict   `json:"verdict"`
	ExitCode int       `json:"exit_code"`
}

// Edge is a change of a verdict between held and broken.
type Edge string

// The edges.
const (
	IssueFound Edge = "issue_found" // it held, and is broken
	IssueFixed Edge = "issue_fixed" // it was broken, and holds
)

// ExperimentComparison is an experiment that at least one of the runs has.
type ExperimentComparison struct {
	Name       string                `json:"name"`
	Before     Verdict               `json:"before,omitempty"` // empty: it is not in that run
	After      Verdict               `json:"after,omitempty"`
	Edge       Edge                  `json:"edge,omitempty"`
	Notes      []string              `json:"notes,omitempty"` // what differs beside the outcome
	Comparable bool                  `json:"comparable"`      // the same was done to as many targets of the same kind
	Objectives []ObjectiveComparison `json:"objectives,omitempty"`
	Latencies  []LatencyComparison   `json:"latencies,omitempty"`
	Times      []TimeComparison      `json:"times,omitempty"`
	Lost       []LossComparison      `json:"lost,omitempty"`
}

// Sample is an objective's sample in a phase.
type Sample struct {
	N        int     `json:"n"`
	Bad      int     `json:"bad"`
	D        float64 `json:"design_effect"`
	DAssumed bool    `json:"design_effect_assumed"`
}

// ObjectiveComparison is an objective in a phase of both runs. Difference is the bad
// share after minus that before, with a 95 % interval; they are absent where Note says
// why nothing is claimed.
type ObjectiveComparison struct {
	Objective  string        `json:"objective"`
	Phase      journal.Phase `json:"phase"`
	Judged     bool          `json:"judged"`
	Target     float64       `json:"target"` // of the later run
	Before     Sample        `json:"before"`
	After      Sample        `json:"after"`
	Difference *float64      `json:"difference,omitempty"`
	Low        *float64      `json:"low,omitempty"`
	High       *float64      `json:"high,omitempty"`
	Change     Change        `json:"change"`
	Note       string        `json:"note,omitempty"`
}

// Change says which way something went, as far as it is beyond chance.
type Change string

// The changes. Unclear is not "the same": it says that the samples do not show more.
const (
	Better  Change = "better"
	Worse   Change = "worse"
	Unclear Change = "unclear"
)

// LatencyComparison is a quantile of a probe's latency in a phase of both runs. Better
// and worse say that the two 95 % intervals do not overlap.
type LatencyComparison struct {
	Probe  string        `json:"probe"`
	Phase  journal.Phase `json:"phase"`
	Before QuantileOf    `json:"before"`
	After  QuantileOf    `json:"after"`
	Change Change        `json:"change"`
}

// TimeComparison is a length of time, of one observation on each side. Better and worse
// say that their intervals, which are what could be seen of them, do not overlap.
type TimeComparison struct {
	What   string `json:"what"` // impact, detect, mitigate, recover
	Before Span   `json:"before"`
	After  Span   `json:"after"`
	Change Change `json:"change"`
}

// LossComparison is what was sent and lost of a probe from the first fault on. The counts
// depend on how long that was; no claim is made of them.
type LossComparison struct {
	Probe  string `json:"probe"`
	Before Loss   `json:"before"`
	After  Loss   `json:"after"`
}

// Compare lays a run beside an earlier one.
func Compare(before, after *Result) Comparison {
	c := Comparison{Format: CompareFormat, Before: side(before), After: side(after), Experiments: []ExperimentComparison{}}
	c.Notes = runNotes(before, after)
	for i := range after.Experiments {
		a := &after.Experiments[i]
		b := experimentNamed(before, a.Name)
		if b == nil {
			c.Experiments = append(c.Experiments, ExperimentComparison{Name: a.Name, After: a.Verdict, Notes: []string{"the earlier run does not have it"}})
			continue
		}
		c.Experiments = append(c.Experiments, compareExperiments(b, a))
	}
	for _, b := range before.Experiments {
		if experimentNamed(after, b.Name) == nil {
			c.Experiments = append(c.Experiments, ExperimentComparison{Name: b.Name, Before: b.Verdict, Notes: []string{"the later run does not have it"}})
		}
	}
	for i := range c.Experiments {
		if c.Experiments[i].conclusive() {
			c.Compared++
		}
	}
	c.Regressions = regressions(&c)
	return c
}

func side(r *Result) Side {
	return Side{Run: r.Run.ID, Scenario: r.Run.Scenario.Name, Started: r.Run.Started, Duration: r.Run.Duration, Verdict: r.Verdict, ExitCode: r.ExitCode}
}

func experimentNamed(r *Result, name string) *Experiment {
	for i := range r.Experiments {
		if r.Experiments[i].Name == name {
			return &r.Experiments[i]
		}
	}
	return nil
}

// runNotes are differences between the runs as a whole that a reader should know before
// believing the rest.
func runNotes(before, after *Result) []string {
	b, a := before.Run, after.Run
	var notes []string
	differs := func(what, was, is string) {
		if was != is {
			notes = append(notes, fmt.Sprintf("%s was %s, and is %s", what, orElse(was, "none"), orElse(is, "none")))
		}
	}
	differs("the scenario", b.Scenario.Name, a.Scenario.Name)
	differs("the environment", b.Scenario.Environment, a.Scenario.Environment)
	if files := changedSources(b.Sources, a.Sources); len(files) > 0 {
		notes = append(notes, "the scenario's text is another one: "+strings.Join(files, ", "))
	} else if b.PlanHash != a.PlanHash && (len(b.Sources) == 0 || len(a.Sources) == 0) {
		notes = append(notes, "the plan is another one; whether the scenario's text is, is not known")
	} else if b.PlanHash != a.PlanHash {
		notes = append(notes, "the plan is another one, from the same text: other targets, seed or variables")
	}
	differs("faultline", b.Engine.Version, a.Engine.Version)
	for _, p := range a.Plugins {
		for _, q := range b.Plugins {
			if p.Name == q.Name && p.SHA256 != q.SHA256 {
				notes = append(notes, fmt.Sprintf("the plugin %s is another build (%s, was %s)", p.Name, p.Version, q.Version))
			}
		}
	}
	for _, r := range []*Result{before, after} {
		if r.Unfinished {
			notes = append(notes, fmt.Sprintf("run %s has not come to its end", r.Run.ID))
		}
	}
	return notes
}

// changedSources names files whose text differs. Without any on one side, as in the
// first journals, nothing is known.
func changedSources(before, after []journal.Source) []string {
	if len(before) == 0 || len(after) == 0 {
		return nil
	}
	sums := map[string]string{}
	for _, s := range before {
		sums[s.Path] = s.SHA256
	}
	var files []string
	for _, s := range after {
		if sums[s.Path] != s.SHA256 {
			files = append(files, s.Path)
		}
		delete(sums, s.Path)
	}
	for path := range sums {
		files = append(files, path)
	}
	slices.Sort(files)
	return files
}

func compareExperiments(b, a *Experiment) ExperimentComparison {
	x := ExperimentComparison{Name: a.Name, Before: b.Verdict, After: a.Verdict}
	switch {
	case b.Verdict == Held && a.Verdict == Broken:
		x.Edge = IssueFound
	case b.Verdict == Broken && a.Verdict == Held:
		x.Edge = IssueFixed
	}
	x.Comparable, x.Notes = sameFaults(b, a)
	if b.Expect != a.Expect {
		x.Comparable = false
		x.Notes = append(x.Notes, fmt.Sprintf("it was to %s, and is to %s", b.Expect, a.Expect))
	}
	x.Objectives = compareObjectives(&x, b, a)
	for _, la := range a.Latencies {
		for _, lb := range b.Latencies {
			if lb.Probe == la.Probe && lb.Phase == la.Phase {
				x.Latencies = append(x.Latencies, compareLatency(lb, la)...)
			}
		}
	}
	for _, t := range []struct {
		what          string
		before, after Span
	}{
		{"impact", b.Times.ToImpact, a.Times.ToImpact}, {"detect", b.Times.ToDetect, a.Times.ToDetect},
		{"mitigate", b.Times.ToMitigate, a.Times.ToMitigate}, {"recover", b.Times.ToRecover, a.Times.ToRecover},
	} {
		seen := t.before.Known && !t.before.Censored || t.after.Known && !t.after.Censored
		switch {
		case t.what == "impact" && seen:
			// Earlier or later is neither better nor worse.
			x.Times = append(x.Times, TimeComparison{What: t.what, Before: t.before, After: t.after, Change: Unclear})
		case seen || t.what == "recover" && (t.before.Known || t.after.Known):
			x.Times = append(x.Times, TimeComparison{What: t.what, Before: t.before, After: t.after, Change: compareSpans(t.before, t.after)})
		}
	}
	for _, la := range a.Lost {
		for _, lb := range b.Lost {
			if la.Probe == lb.Probe {
				x.Lost = append(x.Lost, LossComparison{Probe: la.Probe, Before: lb, After: la})
			}
		}
	}
	return x
}

// sameFaults asks whether the same was done: the same faults, for as long, with the
// same configuration, to as many targets of the same kind. Which of several like targets
// it was may differ, and is only noted.
func sameFaults(b, a *Experiment) (same bool, notes []string) {
	same = true
	differs := func(format string, args ...any) {
		same = false
		notes = append(notes, fmt.Sprintf(format, args...))
	}
	if was, is := faultNames(b), faultNames(a); !slices.Equal(was, is) {
		differs("other faults: %s, and before %s", orElse(strings.Join(is, ", "), "none"), orElse(strings.Join(was, ", "), "none"))
		return same, notes
	}
	for _, fa := range a.Faults {
		for _, fb := range b.Faults {
			if fa.Name != fb.Name {
				continue
			}
			if keys := otherSettings(fb.Config, fa.Config); fa.Type != fb.Type || len(keys) > 0 {
				differs("%s is configured in another way (%s)", fa.Name, orElse(strings.Join(keys, ", "), "its type"))
			}
			if fa.Planned != fb.Planned {
				differs("%s was to last %s, and was %s before", fa.Name, seconds(time.Duration(fa.Planned*float64(time.Second))), seconds(time.Duration(fb.Planned*float64(time.Second))))
			}
			if fa.Bites != fb.Bites {
				differs("%s had an effect in only one of the runs", fa.Name)
			}
			was, is := targetNames(fb), targetNames(fa)
			switch {
			case len(was) != len(is):
				differs("%s hit %d targets, and %d before", fa.Name, len(is), len(was))
			case !slices.Equal(was, is):
				notes = append(notes, fmt.Sprintf("%s hit %s, and before %s", fa.Name, strings.Join(is, ", "), strings.Join(was, ", ")))
			}
			break
		}
	}
	return same, notes
}

// otherSettings names the arguments of a fault that differ.
func otherSettings(before, after json.RawMessage) []string {
	was, is := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	for raw, into := range map[*json.RawMessage]*map[string]json.RawMessage{&before: &was, &after: &is} {
		if len(*raw) > 0 && json.Unmarshal(*raw, into) != nil {
			return []string{"it cannot be read"}
		}
	}
	var keys []string
	for k := range is {
		if string(was[k]) != string(is[k]) {
			keys = append(keys, k)
		}
		delete(was, k)
	}
	for k := range was {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func faultNames(e *Experiment) []string {
	var names []string
	for _, f := range e.Faults {
		names = append(names, f.Name)
	}
	slices.Sort(names)
	return names
}

// targetNames are the targets that a fault was injected into, without the number of a
// process, which is another one in each run.
func targetNames(f Fault) []string {
	var names []string
	for _, t := range f.Targets {
		if !t.Gone {
			name, _, _ := strings.Cut(t.Name, " (pid ")
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func compareObjectives(x *ExperimentComparison, b, a *Experiment) []ObjectiveComparison {
	var out []ObjectiveComparison
	note := func(format string, args ...any) {
		if text := fmt.Sprintf(format, args...); !slices.Contains(x.Notes, text) {
			x.Notes = append(x.Notes, text)
		}
	}
	for i := range a.Objectives {
		oa := &a.Objectives[i]
		ob := objectiveIn(b, oa.Objective, oa.Phase)
		switch {
		case ob == nil && !hasObjective(b, oa.Objective):
			note("%s is new", oa.Objective)
			continue
		case ob == nil:
			continue // a phase that only one of them came to: the verdicts say so
		case ob.Target != oa.Target:
			note("%s, %s: the target was %s, and is %s", oa.Objective, oa.Phase, share(ob.Target), share(oa.Target))
		}
		c := ObjectiveComparison{
			Objective: oa.Objective, Phase: oa.Phase, Judged: oa.Judged && ob.Judged, Target: oa.Target,
			Before: Sample{ob.N, ob.Bad, ob.D, ob.DAssumed}, After: Sample{oa.N, oa.Bad, oa.D, oa.DAssumed}, Change: Unclear,
		}
		switch {
		case ob.Probe != oa.Probe:
			c.Note = fmt.Sprintf("measured by another probe: %s, and before %s", oa.Probe, ob.Probe)
		case ob.Good != oa.Good:
			c.Note = "what is good is another condition"
		case ob.N == 0 || oa.N == 0:
			c.Note = "no samples in one of the runs"
		case cutShort(b, oa.Phase) || cutShort(a, oa.Phase):
			c.Note = "the phase was cut early in one of the runs: no claim is made"
		default:
			d, low, high := ShareDifference(c.Before.effective(), c.After.effective())
			c.Difference, c.Low, c.High = &d, &low, &high
			switch {
			case low > 0:
				c.Change = Worse
			case high < 0:
				c.Change = Better
			}
		}
		out = append(out, c)
	}
	for _, ob := range b.Objectives {
		if !hasObjective(a, ob.Objective) {
			note("%s is no longer there", ob.Objective)
		}
	}
	return out
}

func hasObjective(e *Experiment, name string) bool {
	return slices.ContainsFunc(e.Objectives, func(o ObjectiveResult) bool { return o.Objective == name })
}

func objectiveIn(e *Experiment, name string, p journal.Phase) *ObjectiveResult {
	for i := range e.Objectives {
		if o := &e.Objectives[i]; o.Objective == name && o.Phase == p {
			return o
		}
	}
	return nil
}

func cutShort(e *Experiment, p journal.Phase) bool {
	span, ok := spanOf(e.Phases, p)
	return ok && span.Cut
}

func compareLatency(b, a LatencyResult) []LatencyComparison {
	var out []LatencyComparison
	for _, qa := range a.Quantiles {
		for _, qb := range b.Quantiles {
			if qa.Q != qb.Q || !qa.Defined && !qb.Defined {
				continue
			}
			c := LatencyComparison{Probe: a.Probe, Phase: a.Phase, Before: qb, After: qa, Change: Unclear}
			switch {
			case !qa.Defined || !qb.Defined:
			case qa.Low > qb.High:
				c.Change = Worse
			case qa.High < qb.Low:
				c.Change = Better
			}
			out = append(out, c)
		}
	}
	return out
}

// compareSpans compares lengths of which each is known as an interval; a censored one is
// at least its minimum.
func compareSpans(b, a Span) Change {
	switch {
	case !b.Known || !a.Known:
	case !b.Censored && a.Min > b.Max:
		return Worse
	case !a.Censored && a.Max < b.Min:
		return Better
	}
	return Unclear
}
