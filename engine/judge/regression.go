package judge

import (
	"fmt"

	"github.com/faultline-go/faultline/engine/journal"
)

// Regression is something that became worse than before, by more than chance and by
// more than a margin, although every threshold may still hold.
type Regression struct {
	Experiment string        `json:"experiment"`
	What       string        `json:"what"` // loss, latency, recovery
	Phase      journal.Phase `json:"phase,omitempty"`
	Text       string        `json:"text"`
}

// What counts as a regression. Two runs are two days: other load, other neighbours. The
// intervals of a comparison know nothing of that, so each rule asks for a margin on top.
const (
	// A loss: the bad share of a judged objective rose, at 95 % confidence, by at least
	// this part of what the objective allows. Bursts that could not be measured are
	// taken as of this many bad samples.
	LossMargin   = 0.25
	AssumedBurst = 10.0
	// A latency: p50 or p95 while or after the fault, its interval wholly above that of
	// before by this factor and by so many seconds. p99 hangs on too few samples.
	LatencyFactor = 1.25
	LatencyLeast  = 0.010
	// A recovery: one observation against one, so the whole interval must be above that
	// of before by this factor and by so many seconds.
	RecoveryFactor = 1.5
	RecoveryLeast  = 2.0
)

// regressions finds what became worse in experiments that can be compared and that both
// came to a result.
func regressions(c *Comparison) []Regression {
	out := []Regression{}
	for i := range c.Experiments {
		x := &c.Experiments[i]
		if !x.conclusive() {
			continue
		}
		add := func(what string, p journal.Phase, format string, args ...any) {
			out = append(out, Regression{Experiment: x.Name, What: what, Phase: p, Text: fmt.Sprintf(format, args...)})
		}
		for _, o := range x.Objectives {
			if low, ok := o.lossLow(); ok && low > LossMargin*(Claim{Target: o.Target}).allowed() {
				add("loss", o.Phase, "%s, %s: %s of %s bad (%s), before %s of %s (%s)", o.Objective, in(o.Phase, false),
					count(o.After.Bad), count(o.After.N), share(float64(o.After.Bad)/float64(o.After.N)),
					count(o.Before.Bad), count(o.Before.N), share(float64(o.Before.Bad)/float64(o.Before.N)))
			}
		}
		for _, l := range x.Latencies {
			if l.Phase != journal.Baseline && l.Before.Q < 0.99 && l.Change == Worse &&
				l.After.Low > LatencyFactor*l.Before.High && l.After.Low-l.Before.High > LatencyLeast {
				add("latency", l.Phase, "%s, %s: p%g %.4g ms (at least %.4g), before %.4g ms (at most %.4g)", l.Probe, in(l.Phase, false),
					l.After.Q*100, l.After.Value*1e3, l.After.Low*1e3, l.Before.Value*1e3, l.Before.High*1e3)
			}
		}
		for _, t := range x.Times {
			if t.What == "recover" && t.Change == Worse && t.After.Min > RecoveryFactor*t.Before.Max && t.After.Min-t.Before.Max > RecoveryLeast {
				add("recovery", "", "it took at least %.3g s to recover, before at most %.3g s", t.After.Min, t.Before.Max)
			}
		}
	}
	return out
}

// conclusive says whether the same test has come to a result both times.
func (x *ExperimentComparison) conclusive() bool {
	concluded := func(v Verdict) bool { return v == Held || v == Broken }
	return x.Comparable && concluded(x.Before) && concluded(x.After)
}

// lossLow is the lower 95 % bound of the rise of the bad share when bursts that could not
// be measured are assumed.
func (o *ObjectiveComparison) lossLow() (float64, bool) {
	if !o.Judged || o.Difference == nil {
		return 0, false
	}
	before, after := o.Before, o.After
	// Bursts seen on one side are believed of the other.
	for _, s := range []*Sample{&before, &after} {
		other := &after
		if s == other {
			other = &before
		}
		if s.DAssumed {
			s.D = max(s.D, AssumedBurst)
			if !other.DAssumed {
				s.D = max(other.D, 1)
			}
		}
	}
	_, low, _ := ShareDifference(before.effective(), after.effective())
	return low, true
}

// RegressionExit is the exit code of a run that was compared with another one: the code
// of broken when something regressed, unless the run's own outranks that.
func (r *Result) RegressionExit(regressed, lenient bool) int {
	if regressed {
		return worst(r.Verdict, Broken).ExitCode(lenient)
	}
	return r.Exit(lenient)
}
