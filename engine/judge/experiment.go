package judge

import (
	"fmt"
	"math"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
)

// judge gives one experiment its verdict.
func (f *Folder) judge(x *experimentLog) Experiment {
	j := judging{f: f, x: x, faults: f.faultsOf(x.spec.Name)}
	j.check = len(x.spec.Faults) == 0 && len(j.faults) == 0
	j.e = Experiment{
		Name: x.spec.Name, Hypothesis: x.spec.Hypothesis, Place: x.spec.Place, Expect: x.spec.Expect, Check: j.check,
		Started: moment(x.started), EarlyStop: x.stop, Actions: x.actions, Prompts: x.prompts,
	}
	until := f.last.Add(time.Microsecond) // the last event still belongs to what it ends
	if x.end != nil {
		j.e.Ending, j.e.Ended = x.end.Ending, moment(x.phases.ended)
		until = x.phases.ended
	}
	ph := x.phases
	ph.ended = until
	j.spans = ph.spans()
	j.markCut()
	j.e.Phases = j.spans
	for _, l := range j.faults {
		r := l.result()
		for _, s := range x.spec.Faults {
			if s.Name == l.name {
				r.Place, r.Planned = s.Place, s.Duration.Seconds()
				r.TargetBlock, r.Discovered = s.TargetBlock, s.Discovered
			}
		}
		j.e.Faults = append(j.e.Faults, r)
	}

	j.objectives()
	j.measureLatency()
	j.countLosses()
	j.e.Times = timesOf(j.faults, f.marks, j.track, j.spans, until)

	j.ending()
	j.earlyStop()
	j.faultReasons()
	j.objectiveReasons()
	j.recovery(until)
	j.conclude()
	return j.e
}

// judging is one experiment while it is judged.
type judging struct {
	f      *Folder
	x      *experimentLog
	faults []*faultLog
	check  bool
	spans  []PhaseSpan
	track  []trackers
	e      Experiment
}

func (j *judging) reason(v Verdict, o string, p journal.Phase, format string, args ...any) {
	j.e.Reasons = append(j.e.Reasons, Reason{Verdict: v, Text: fmt.Sprintf(format, args...), Objective: o, Phase: p})
}

// markCut finds the phases whose length somebody has decided while looking.
func (j *judging) markCut() {
	if a := j.f.abort; a != nil && j.f.abortIn == j.x {
		cutFrom(j.spans, a.At)
	}
	if j.x.stop != nil {
		if during, ok := spanOf(j.spans, journal.During); ok && !j.x.stop.At.Before(during.From) {
			for i := range j.spans {
				if j.spans[i].Phase == journal.During {
					j.spans[i].Cut = true
				}
			}
		}
	}
	if n := len(j.spans); n > 0 {
		switch j.e.Ending {
		case journal.EndedAborted, journal.EndedErrored, "":
			j.spans[n-1].Cut = true
		}
	}
}

// objectives judges every objective in every phase that there was or should have
// been.
func (j *judging) objectives() {
	spec := j.x.spec
	for _, o := range spec.Objectives {
		log := j.f.findLog(o.Probe)
		if log == nil {
			log = newSampleLog(o.Probe)
		}
		outcomes := log.outcomes(o.Name)
		tr := trackers{objective: o.Name}
		var baseline *Tally
		for _, p := range phaseOrder {
			span, ok := spanOf(j.spans, p)
			switch {
			case !ok && j.expected(p):
				j.e.Objectives = append(j.e.Objectives, j.blank(o, p, Inconclusive, "no samples"))
				continue
			case !ok || p == journal.Baseline && span.From.Equal(span.To):
				continue
			}
			c := ClaimOf(o, p, !j.check)
			lo, hi := log.between(span.From, span.To)
			switch p {
			case journal.During:
				tr.during = steadyOf(c, span.From, log.at[lo:hi], outcomes[lo:hi])
			case journal.After:
				tr.after = steadyOf(c, span.From, log.at[lo:hi], outcomes[lo:hi])
			}
			var since *time.Time
			if p == journal.After && spec.Expect == journal.Recover {
				at, ok := tr.after.Since()
				if !ok {
					r := j.blank(o, p, Inconclusive, "never steady again, so that there is nothing to judge")
					r.addTally(tally(log, outcomes, lo, hi))
					j.e.Objectives = append(j.e.Objectives, r)
					continue
				}
				since = &at
				lo, _ = log.between(at, span.To)
			}
			t := tally(log, outcomes, lo, hi)
			if p == journal.Baseline {
				baseline = t
			}
			r := j.objective(o, c, p, t)
			r.From = since
			if span.Cut {
				j.cutObjective(&r, o, c, watchOver(log, outcomes, lo, hi, c, baseline, r.Expected))
			}
			j.e.Objectives = append(j.e.Objectives, r)
		}
		j.track = append(j.track, tr)
	}
}

// expected says whether a phase that never began should have been judged.
func (j *judging) expected(p journal.Phase) bool {
	if j.e.Ending != journal.Completed || !judgedIn(j.x.spec, p, j.check) {
		return false
	}
	return p == journal.During || j.x.spec.Observe > 0 || j.x.spec.Expect == journal.Recover
}

func tally(log *sampleLog, outcomes []byte, lo, hi int) *Tally {
	t := new(Tally)
	for i := lo; i < hi; i++ {
		t.add(log.at[i], Outcome(outcomes[i]))
	}
	return t
}

// watchOver asks for a phase that was cut what the watch over it would have said.
func watchOver(log *sampleLog, outcomes []byte, lo, hi int, c Claim, baseline *Tally, planned int) *Watch {
	w := NewWatch(c, baseline, planned)
	for i := lo; i < hi; i++ {
		w.tally.add(log.at[i], Outcome(outcomes[i]))
		// One look a second, as the run itself would.
		if i+1 == hi || log.at[i+1]/1e6 != log.at[i]/1e6 {
			if _, stop := w.Stop(); stop {
				break
			}
		}
	}
	return w
}

// blank is an objective without a sample.
func (j *judging) blank(o journal.ObjectiveSpec, p journal.Phase, v Verdict, note string) ObjectiveResult {
	c := ClaimOf(o, p, !j.check)
	return ObjectiveResult{
		Objective: o.Name, Probe: o.Probe, Good: o.Good, Place: o.Place, Phase: p, Judged: judgedIn(j.x.spec, p, j.check),
		Verdict: v, Target: c.Target, Point: c.Point, Needed: c.Needed(), D: 1, DAssumed: true, Note: note,
		Expected: Expected(o.Rate, planned(j.x.spec, p, j.check)), Confidence: Confidence,
	}
}

func (r *ObjectiveResult) addTally(t *Tally) {
	r.N, r.Bad, r.Missing = t.N, t.Bad, t.Missing
	if t.N > 0 {
		share := 1 - float64(t.Bad)/float64(t.N)
		r.Share = &share
	}
}

// objective judges an objective over a whole phase.
func (j *judging) objective(o journal.ObjectiveSpec, c Claim, p journal.Phase, t *Tally) ObjectiveResult {
	v := c.JudgeTally(t)
	r := j.blank(o, p, v.Verdict, v.Note)
	r.addTally(t)
	r.Needed, r.D, r.DAssumed = v.Needed, v.D, !v.Measured
	if t.N > 0 {
		r.BadLow, r.BadHigh = &v.BadLow, &v.BadHigh
		if !c.Point {
			r.P = &v.P
		}
	}
	return r
}

// cutObjective replaces the verdict over a phase that was cut: only what may be
// said at any moment is said, by the rule that ends faults early.
func (j *judging) cutObjective(r *ObjectiveResult, o journal.ObjectiveSpec, c Claim, w *Watch) {
	r.P, r.BadLow, r.BadHigh = nil, nil, nil
	stop := j.x.stop
	if stop != nil && stop.Objective == o.Name && r.Phase == journal.During {
		r.Verdict, r.StoppedBy, r.Note = Broken, true, stop.Rule
		e := stop.E
		r.E = &e
		return
	}
	s, proven := w.Stop()
	switch {
	case proven && c.allowed() > 0:
		r.Verdict, r.Note = Broken, s.Rule
		r.E = &s.E
	case proven:
		r.Verdict, r.Note = Broken, s.Rule
	default:
		r.Verdict = Inconclusive
		r.Note = "the phase was cut short"
		if r.N > 0 && c.allowed() > 0 && !c.Point {
			e := w.E()
			r.E = &e
		}
	}
}

// probesOf are the probes of the experiment's objectives, each once.
func (j *judging) probesOf() []*sampleLog {
	var out []*sampleLog
	seen := make(map[string]bool)
	for _, o := range j.x.spec.Objectives {
		if l := j.f.findLog(o.Probe); l != nil && !seen[o.Probe] {
			seen[o.Probe] = true
			out = append(out, l)
		}
	}
	return out
}

func (j *judging) measureLatency() {
	for _, l := range j.probesOf() {
		for _, span := range j.spans {
			h := NewLatencies()
			lo, hi := l.between(span.From, span.To)
			for i := lo; i < hi; i++ {
				if l.status[i] == journal.StatusOK && l.latency[i] >= 0 {
					h.record(int64(l.latency[i]))
				}
			}
			if h.N() == 0 {
				continue
			}
			r := LatencyResult{Probe: l.probe, Phase: span.Phase, N: h.N()}
			for _, q := range Quantiles {
				r.Quantiles = append(r.Quantiles, h.Quantile(q))
			}
			j.e.Latencies = append(j.e.Latencies, r)
		}
	}
}

// countLosses counts what was sent and what failed from the first fault on.
func (j *judging) countLosses() {
	for _, l := range j.probesOf() {
		loss := Loss{Probe: l.probe}
		for _, span := range j.spans {
			if span.Phase == journal.Baseline {
				continue
			}
			lo, hi := l.between(span.From, span.To)
			for i := lo; i < hi; i++ {
				switch l.status[i] {
				case journal.StatusOK:
					loss.Sent++
				case journal.StatusFailed:
					loss.Sent++
					loss.Failed++
				default:
					loss.Missing++
				}
			}
		}
		if loss.Sent+loss.Missing > 0 {
			j.e.Lost = append(j.e.Lost, loss)
		}
	}
}

// ending is what the way in which the experiment ended says about it.
func (j *judging) ending() {
	why := ""
	if j.x.end != nil {
		why = j.x.end.Reason
	}
	switch j.e.Ending {
	case journal.Completed, journal.StoppedEarly:
	case journal.BaselineFailed:
		j.reason(NotStarted, "", journal.Baseline, "nothing was injected: %s", orElse(why, "the system was not steady beforehand"))
	case journal.NotRun:
		j.reason(NotStarted, "", "", "it was not run: %s", orElse(why, "the run had stopped before"))
	case journal.NoTargets:
		j.reason(NotExercised, "", "", "%s", orElse(why, "there was no target to inject a fault into"))
	case journal.NotDue:
		j.reason(NotDue, "", "", "%s", orElse(why, "it was not due"))
	case journal.EndedAborted:
		v := Aborted
		if a := j.f.abort; a != nil {
			v = abortVerdict(a.Cause)
			why = orElse(why, abortText(a))
		}
		j.reason(v, "", "", "%s", orElse(why, "the run was stopped"))
	case journal.EndedErrored:
		j.reason(Errored, "", "", "%s", orElse(why, "the tool or a plugin failed"))
	case "":
		if j.x.started.IsZero() {
			j.reason(NotStarted, "", "", "the run did not come to it")
		} else {
			j.reason(Errored, "", "", "the run broke off in the middle of it")
		}
	default:
		j.reason(Errored, "", "", "it ended in a way that this version does not know: %s", j.e.Ending)
	}
}

func (j *judging) earlyStop() {
	if s := j.x.stop; s != nil {
		j.reason(Broken, s.Objective, journal.During, "%s was proven broken and the fault was ended early: %s", s.Objective, s.Rule)
	} else if j.e.Ending == journal.StoppedEarly {
		j.reason(Inconclusive, "", journal.During, "the fault was ended early, but the journal does not say why")
	}
}

// faultReasons are faults that could not be injected and faults without effect.
func (j *judging) faultReasons() {
	for _, l := range j.faults {
		if _, gone := l.gone(); gone && l.stuck != "" {
			j.reason(Errored, "", "", "%s was put back only later, the first attempt failed on %s", l.name, l.stuck)
		}
		switch {
		case l.failed != nil:
			j.reason(Errored, "", journal.During, "%s could not be injected: %s", l.name, l.failed.Error)
		case l.ambiguous != nil:
			j.reason(Errored, "", journal.During, "it is not known whether %s was injected: %s", l.name, l.ambiguous.Error)
		case !l.bites():
			j.reason(NotExercised, "", journal.During, "%s had no measured effect", l.name)
		}
	}
	if j.e.Ending != journal.Completed {
		return
	}
	for _, spec := range j.x.spec.Faults {
		injected := false
		for _, l := range j.faults {
			injected = injected || l.name == spec.Name
		}
		if !injected {
			j.reason(NotExercised, "", journal.During, "%s was never injected", spec.Name)
		}
	}
}

func (j *judging) objectiveReasons() {
	for _, r := range j.e.Objectives {
		switch {
		case !r.Judged || r.StoppedBy: // the early stop has said it
		case r.Verdict == Broken && r.N > 0:
			j.reason(Broken, r.Objective, r.Phase, "%s was broken %s: %s of %s samples bad (%s), allowed %s",
				r.Objective, in(r.Phase, j.check), count(r.Bad), count(r.N), share(float64(r.Bad)/float64(r.N)), share(1-r.Target))
		case r.Verdict == Inconclusive:
			j.reason(Inconclusive, r.Objective, r.Phase, "%s, %s: %s", r.Objective, in(r.Phase, j.check), r.Note)
		}
	}
}

func in(p journal.Phase, check bool) string {
	switch {
	case check && p == journal.During:
		return "in the check"
	case p == journal.During:
		return "while the fault was on"
	case p == journal.After:
		return "after the fault"
	}
	return "in the baseline"
}

// recovery asks whether every objective was steady again in time.
func (j *judging) recovery(until time.Time) {
	within := j.x.spec.RecoverWithin
	after, ok := spanOf(j.spans, journal.After)
	if !ok || j.check || within <= 0 {
		return
	}
	deadline := after.From.Add(within)
	for _, tr := range j.track {
		if tr.after == nil {
			continue
		}
		since, steady := tr.after.Since()
		n, _ := tr.after.Seen()
		switch {
		case steady && !since.After(deadline):
		case !steady && (until.Before(deadline) || after.Cut && until.Before(deadline.Add(SteadyWindow))):
			// The phase was not long enough to see it. With expect = "recover" that
			// leaves the objective open, which its own result says.
		case tr.after.perhapsBy(deadline):
			j.reason(Inconclusive, tr.objective, journal.After, "so many samples are missing after the fault that %s may have been steady again within %s, or not",
				tr.objective, seconds(within))
		case steady:
			j.reason(Broken, tr.objective, journal.After, "%s was steady again only %s after the fault, %s were allowed",
				tr.objective, seconds(since.Sub(after.From)), seconds(within))
		case n < tr.after.claim.MinSamples:
			j.reason(Inconclusive, tr.objective, journal.After, "%s had too few samples after the fault to call it steady: %s of %s",
				tr.objective, count(n), count(tr.after.claim.MinSamples))
		case !until.Before(deadline.Add(SteadyWindow)) || tr.after.BrokenNow():
			j.reason(Broken, tr.objective, journal.After, "%s was not steady again within %s", tr.objective, seconds(within))
		default:
			j.reason(Inconclusive, tr.objective, journal.After, "%s was about to be steady again when the watch ended", tr.objective)
		}
	}
}

func seconds(d time.Duration) string {
	return fmt.Sprintf("%g s", math.Round(d.Seconds()*10)/10)
}

// conclude turns the reasons into the verdict. Without a single one, and with at
// least one judged objective, everything that was claimed is held.
func (j *judging) conclude() {
	judged := 0
	for _, r := range j.e.Objectives {
		if r.Judged {
			judged++
		}
	}
	if len(j.e.Reasons) == 0 {
		if judged > 0 {
			j.reason(Held, "", "", "every objective held in every phase it was judged in")
		} else {
			j.reason(Inconclusive, "", "", "no objective was judged")
		}
	}
	sortReasons(j.e.Reasons)
	j.e.Verdict = j.e.Reasons[0].Verdict
}
