package judge

import (
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/trust"
)

// Folder follows the events of a run. It is usable while the run goes on: Add
// every event as it is written, ask Progress as often as you like, and Result when
// a whole answer is wanted, which looks at every sample again.
//
// It belongs to one goroutine.
type Folder struct {
	seq     int
	started *journal.RunStarted
	begin   time.Time
	last    time.Time
	ended   *journal.RunEnded
	endedAt time.Time

	experiments []*experimentLog
	faults      []*faultLog
	logs        []*sampleLog
	scans       scanLog
	guards      []GuardTrip
	abort       *Abort
	abortIn     *experimentLog // that was going on when the run was aborted
	marks       []Mark
	takeovers   []Takeover
	warnings    []Warning

	live live
}

// experimentLog is what the journal says of one experiment, without its samples.
type experimentLog struct {
	spec    journal.ExperimentSpec
	phases  phases
	started time.Time
	end     *journal.ExperimentEnded
	stop    *EarlyStop
	actions []Action
	prompts []Prompt
}

// answer takes in how the latest hold point of a name was left.
func (x *experimentLog) answer(d *journal.PromptAnswered) {
	for i := len(x.prompts) - 1; i >= 0; i-- {
		if p := &x.prompts[i]; p.Name == d.Prompt {
			p.Answer, p.By, p.Took = d.Answer, d.By, d.Took.Seconds()
			return
		}
	}
}

// NewFolder is a Folder without any events.
func NewFolder() *Folder { return &Folder{} }

// Fold judges a whole journal.
func Fold(events iter.Seq2[journal.Event, error]) (*Result, error) {
	f := NewFolder()
	for e, err := range events {
		if err != nil {
			return nil, fmt.Errorf("judge the run: %w", err)
		}
		f.Add(e)
	}
	if f.started == nil {
		return nil, errors.New("judge the run: the journal does not say which run it is of (no run.started)")
	}
	return f.Result(), nil
}

// FoldEvents judges events that are at hand.
func FoldEvents(events []journal.Event) (*Result, error) {
	return Fold(func(yield func(journal.Event, error) bool) {
		for _, e := range events {
			if !yield(e, nil) {
				return
			}
		}
	})
}

// Add takes in the next event. It must not be changed afterwards.
func (f *Folder) Add(e journal.Event) {
	f.seq++
	if e.Time.After(f.last) {
		f.last = e.Time
	}
	switch d := e.Data.(type) {
	case *journal.RunStarted:
		if f.started == nil {
			f.started, f.begin = d, e.Time
			for _, spec := range d.Experiments {
				f.experiment(spec.Name).spec = spec
			}
		}
	case *journal.ExperimentStarted:
		if x := f.experiment(d.Experiment); x.started.IsZero() {
			x.started = e.Time
		}
	case *journal.PhaseStarted:
		x := f.experiment(d.Experiment)
		if _, ok := x.phases.starts[d.Phase]; !ok {
			x.phases.starts[d.Phase] = e.Time
			f.live.enter(x, d.Phase, e.Time)
		}
	case *journal.ExperimentEnded:
		if x := f.experiment(d.Experiment); x.end == nil {
			x.end, x.phases.ended = d, e.Time
			f.live.leave(x)
		}
	case *journal.Samples:
		f.log(d.Probe).add(d)
		f.live.add(d)
	case *journal.EarlyStop:
		if x := f.experiment(d.Experiment); x.stop == nil {
			x.stop = &EarlyStop{At: e.Time.UTC(), Objective: d.Objective, E: min(d.E, maxE), Samples: d.Samples, Bad: d.Bad, Critical: d.Critical, Rule: d.Rule}
		}
	case *journal.ActionDone:
		x := f.experiment(d.Experiment)
		x.actions = append(x.actions, Action{Name: d.Action, At: e.Time.UTC(), Took: d.Took.Seconds(), Detail: d.Detail, Error: d.Error})
	case *journal.PromptAsked:
		x := f.experiment(d.Experiment)
		x.prompts = append(x.prompts, Prompt{Name: d.Prompt, At: e.Time.UTC(), Question: d.Question})
	case *journal.PromptAnswered:
		f.experiment(d.Experiment).answer(d)
	case *journal.RunEnded:
		// The last one counts: recover ends a run that has not ended itself.
		f.ended, f.endedAt = d, e.Time
	default:
		f.addFault(e)
		f.addFact(e)
	}
}

// addFault takes in what concerns a fault.
func (f *Folder) addFault(e journal.Event) {
	switch d := e.Data.(type) {
	case *journal.FaultIntent:
		f.fault(d.ID).intend(e.Time, d)
		if x := f.experiment(d.Experiment); x.phases.firstIntent.IsZero() {
			x.phases.firstIntent = e.Time
		}
	case *journal.FaultActive:
		log := f.fault(d.ID)
		log.active = true
		log.inject(d.Targets)
	case *journal.FaultFailed:
		log := f.fault(d.ID)
		log.failed = d
		log.inject(d.Targets)
	case *journal.FaultAmbiguous:
		f.fault(d.ID).ambiguous = d
	case *journal.FaultObserved:
		f.fault(d.ID).observe(d.Effects)
	case *journal.FaultReverted:
		f.fault(d.ID).revert(f.seq, d)
	case *journal.Residue:
		f.scans.add(f.seq, d)
	}
}

// addFact takes in what concerns the run as a whole.
func (f *Folder) addFact(e journal.Event) {
	at := e.Time.UTC()
	switch d := e.Data.(type) {
	case *journal.GuardTripped:
		f.guards = append(f.guards, GuardTrip{At: at, Guard: d.Guard, Experiment: d.Experiment, Reason: d.Reason})
	case *journal.Aborted:
		if f.abort == nil {
			f.abort = &Abort{At: at, Cause: d.Cause, Reason: d.Reason}
			f.abortIn = f.current()
		}
	case *journal.Mark:
		f.marks = append(f.marks, Mark{At: at, What: d.What, Text: d.Text, By: d.By})
	case *journal.Takeover:
		f.takeovers = append(f.takeovers, Takeover{At: at, By: d.By, Why: d.Why})
	case *journal.Warning:
		f.warnings = append(f.warnings, Warning{Experiment: d.Experiment, Text: d.Text})
	}
}

// current is the experiment that began last and has not ended.
func (f *Folder) current() *experimentLog {
	var last *experimentLog
	for _, x := range f.experiments {
		if !x.started.IsZero() && x.end == nil {
			last = x
		}
	}
	return last
}

// experiment finds an experiment by its name, and adds one that the plan did not
// name: what a journal tells is reported, even when it should not be there.
func (f *Folder) experiment(name string) *experimentLog {
	for _, x := range f.experiments {
		if x.spec.Name == name {
			return x
		}
	}
	x := &experimentLog{spec: journal.ExperimentSpec{Name: name}}
	x.phases.starts = make(map[journal.Phase]time.Time)
	f.experiments = append(f.experiments, x)
	return x
}

func (f *Folder) fault(id string) *faultLog {
	for _, l := range f.faults {
		if l.id == id {
			return l
		}
	}
	l := &faultLog{id: id, name: id}
	f.faults = append(f.faults, l)
	return l
}

func (f *Folder) log(probe string) *sampleLog {
	if l := f.findLog(probe); l != nil {
		return l
	}
	l := newSampleLog(probe)
	f.logs = append(f.logs, l)
	return l
}

func (f *Folder) findLog(probe string) *sampleLog {
	for _, l := range f.logs {
		if l.probe == probe {
			return l
		}
	}
	return nil
}

// faultsOf are the injections of an experiment, in the order of their intents.
func (f *Folder) faultsOf(experiment string) []*faultLog {
	var out []*faultLog
	for _, l := range f.faults {
		if l.intent != nil && l.experiment == experiment {
			out = append(out, l)
		}
	}
	return out
}

// Result is everything that is known of the run so far.
func (f *Folder) Result() *Result {
	for _, l := range f.logs {
		l.sort()
	}
	r := &Result{Format: Format, Unfinished: f.ended == nil, Abort: f.abort, Experiments: []Experiment{}}
	r.Guards = append(r.Guards, f.guards...)
	r.Marks = append(r.Marks, f.marks...)
	r.Takeovers = append(r.Takeovers, f.takeovers...)
	r.Run = f.run()
	r.Residue = f.scans.residueOf(r.Run.ID, f.faults)
	for _, x := range f.experiments {
		e := f.judge(x)
		for _, l := range r.Residue {
			e.Residue = e.Residue || l.Experiment == e.Name
		}
		r.Experiments = append(r.Experiments, e)
	}
	for _, l := range f.logs {
		r.Probes = append(r.Probes, l.summary())
	}
	r.Warnings = f.allWarnings()
	r.Reasons = f.runReasons(r)
	verdicts := []Verdict{}
	for _, e := range r.Experiments {
		verdicts = append(verdicts, e.Verdict)
	}
	for _, reason := range r.Reasons {
		verdicts = append(verdicts, reason.Verdict)
	}
	r.Verdict = worst(verdicts...)
	r.ExitCode = r.Exit(false)
	return r
}

func (f *Folder) run() Run {
	r := Run{Started: f.begin.UTC()}
	if s := f.started; s != nil {
		r.ID, r.Scenario, r.Seed, r.PlanHash, r.Engine = s.Run, s.Scenario, s.Seed, s.PlanHash, s.Engine
		for _, p := range s.Plugins {
			r.Plugins = append(r.Plugins, Plugin{Name: p.Name, Version: p.Version, SHA256: p.SHA256, Trust: trust.Basis(p.Trust)})
		}
		for _, g := range s.Guards {
			r.Guards = append(r.Guards, Guard{Name: g.Name, Probe: g.Probe, Good: g.Good, For: g.For.Seconds(), NoDataAfter: g.NoDataAfter.Seconds()})
		}
		r.Sources = s.Sources
	}
	end := f.last
	if f.ended != nil {
		end = f.endedAt
		r.Ended, r.EndedBy, r.Error = moment(f.endedAt), f.ended.By, f.ended.Error
	}
	r.Duration = max(end.Sub(f.begin).Seconds(), 0)
	return r
}

// runReasons are the grounds for the run's verdict that no experiment has.
func (f *Folder) runReasons(r *Result) []Reason {
	var rs []Reason
	if n := len(r.Residue); n > 0 {
		rs = append(rs, Reason{Verdict: Residue, Text: fmt.Sprintf("%s could not be put back", things(n))})
	}
	if r.Run.Error != "" {
		rs = append(rs, Reason{Verdict: Errored, Text: r.Run.Error})
	}
	if f.abort != nil && f.abortIn == nil {
		rs = append(rs, Reason{Verdict: abortVerdict(f.abort.Cause), Text: abortText(f.abort)})
	}
	if r.Unfinished {
		rs = append(rs, Reason{Verdict: Errored, Text: "the run did not come to its end"})
	}
	if len(r.Experiments) == 0 && len(rs) == 0 {
		rs = append(rs, Reason{Verdict: Inconclusive, Text: "there was nothing to judge"})
	}
	sortReasons(rs)
	return rs
}

// allWarnings are those of the journal, and what else a reader should not miss.
func (f *Folder) allWarnings() []Warning {
	ws := append([]Warning(nil), f.warnings...)
	add := func(experiment, format string, args ...any) {
		ws = append(ws, Warning{Experiment: experiment, Text: fmt.Sprintf(format, args...)})
	}
	if f.started != nil {
		for _, p := range f.started.Plugins {
			if note := trust.Basis(p.Trust).Note(p.Name); note != "" {
				add("", "%s", note)
			}
		}
	}
	for _, b := range f.scans.before {
		add("", "before the run, %s had something left over: %s", b.Target, b.Detail)
	}
	for _, text := range f.scans.errors {
		add("", "the search for anything left over was not complete: %s", text)
	}
	for _, l := range f.faults {
		for _, t := range l.targets {
			switch {
			case t.gone:
				add(l.experiment, "%s was gone before %s reached it", t.name, l.name)
			case l.bites() && !t.bites && l.active:
				add(l.experiment, "%s had no measured effect on %s", l.name, t.name)
			}
			if t.observeError != "" {
				add(l.experiment, "the effect of %s on %s could not be measured: %s", l.name, t.name, t.observeError)
			}
			if o := t.outcome; o != nil && o.Outcome == journal.ForeignChange && !o.Residue {
				add(l.experiment, "%s was changed by somebody else during %s and was left as it is", t.name, l.name)
			}
		}
	}
	for _, x := range f.experiments {
		for _, a := range x.actions {
			if a.Error != "" {
				add(x.spec.Name, "action %s failed: %s", a.Name, a.Error)
			}
		}
	}
	return ws
}

func things(n int) string {
	if n == 1 {
		return "1 thing"
	}
	return count(n) + " things"
}

// abortVerdict tells a wish to stop from a tool that could not go on.
func abortVerdict(cause string) Verdict {
	if cause == "plugin" || cause == "journal" {
		return Errored
	}
	return Aborted
}

func abortText(a *Abort) string {
	return fmt.Sprintf("stopped by %s: %s", orElse(a.Cause, "an unknown cause"), orElse(a.Reason, "no reason given"))
}
