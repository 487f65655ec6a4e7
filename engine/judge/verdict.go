package judge

import (
	"fmt"
	"math"

	"github.com/faultline-go/faultline/engine/journal"
)

// Verdict is the word for how something went.
type Verdict string

// The verdicts. An objective is held, broken or inconclusive; an experiment and a
// run can be any of them. Residue is a run's alone: it is beside, not instead of,
// the verdict of an experiment.
const (
	Held         Verdict = "held"
	Broken       Verdict = "broken"
	Inconclusive Verdict = "inconclusive"
	NotExercised Verdict = "not_exercised" // the fault had no effect, or no target
	NotDue       Verdict = "not_due"       // it happens by chance, and not this time: nothing to see
	NotStarted   Verdict = "not_started"   // the baseline gate failed: nothing was injected
	Aborted      Verdict = "aborted"
	Errored      Verdict = "errored"
	Residue      Verdict = "residue" // something could not be put back
)

// DefaultMinSamples is used where an objective states none.
const DefaultMinSamples = 30

// The ways to judge an objective.
const (
	judgeExact = "exact"
	judgePoint = "point"
)

// Claim is what an objective claims, and how the claim is tested.
type Claim struct {
	Target     float64 // share of good samples, 0…1
	MinSamples int     // 0: DefaultMinSamples
	Point      bool    // compare the plain ratio: no statistical claim
}

// ClaimOf is an objective's claim in a phase. The target of its own that an
// objective may have for during holds only while a fault is active.
func ClaimOf(o journal.ObjectiveSpec, p journal.Phase, faults bool) Claim {
	c := Claim{Target: o.Target, MinSamples: o.MinSamples, Point: o.Judge == judgePoint}
	if p == journal.During && faults {
		c.Target = o.DuringTarget
	}
	return c.normal()
}

func (c Claim) normal() Claim {
	if !(c.Target >= 0) { // also NaN: an objective that cannot be met is no reason to panic
		c.Target = 0
	}
	c.Target = min(c.Target, 1)
	if c.MinSamples <= 0 {
		c.MinSamples = DefaultMinSamples
	}
	return c
}

// allowed is the bad share b that the claim allows. Rounding it takes away what
// the subtraction adds: 1 − 0.99 is a little above 0.01.
func (c Claim) allowed() float64 {
	return math.Round((1-c.Target)*1e12) / 1e12
}

// Needed is how many samples without a bad one it takes to claim held.
func (c Claim) Needed() int { return c.neededWith(0, 1) }

// neededWith is how many samples it takes when bad of them are bad and the design
// effect is d; 0 when no number does.
func (c Claim) neededWith(bad int, d float64) int {
	c = c.normal()
	b := c.allowed()
	switch {
	case b == 0 && bad > 0:
		return 0
	case b == 0 || c.Point:
		return c.MinSamples
	case d == 1:
		return Needed(b, bad)
	}
	// With D > 1 the effective bad count is a fraction; the next integer above is
	// the cautious answer.
	return int(math.Ceil(float64(Needed(b, int(math.Ceil(float64(bad)/d)))) * d))
}

// Judgement is a claim's verdict over one sample, with its reasons.
type Judgement struct {
	Verdict  Verdict
	P        float64 // P(at least this many bad | the target is just kept)
	BadLow   float64 // bounds of the true bad share, each with 95 % confidence
	BadHigh  float64
	D        float64 // design effect by which n and x were divided
	Measured bool    // whether D was measured; else it was assumed to be 1
	Needed   int     // samples needed for held with this many bad ones; 0: no number
	Note     string  // why it is inconclusive, or what to know about the verdict
}

// Judge gives the verdict over bad of n samples with the design effect d.
//
//	broken  P(Bin(n/d, b) ≥ bad/d) ≤ Alpha
//	held    upper Clopper–Pearson bound of bad/n at Confidence ≤ b
//
// A target of 1 allows no bad sample at all and is held with MinSamples good
// ones. Whether too much is missing is not asked here: see [Claim.JudgeTally].
func (c Claim) Judge(bad, n int, d float64) Judgement {
	c = c.normal()
	d = max(d, 1)
	b, nEff, xEff := c.allowed(), float64(n)/d, float64(bad)/d
	j := Judgement{
		P: Tail(nEff, xEff, b), D: d, Needed: c.neededWith(bad, d),
		BadLow: LowerBound(nEff, xEff, Confidence), BadHigh: UpperBound(nEff, xEff, Confidence),
	}
	switch {
	case n == 0:
		j.P, j.Verdict, j.Note = 1, Inconclusive, "no samples"
	case b == 0:
		j.judgePerfect(bad, n, c)
	case c.Point:
		j.judgePoint(bad, n, c)
	case j.P <= Alpha:
		j.Verdict = Broken
	case j.BadHigh <= b:
		j.Verdict = Held
	default:
		j.Verdict, j.Note = Inconclusive, shortfall(bad, n, b, j.Needed)
	}
	return j
}

// JudgeTally is Judge over a tally, with its design effect and its missing
// samples. When more than 5 % are missing nothing is claimed, with one exception:
// what is broken even if every missing sample had been good is broken.
func (c Claim) JudgeTally(t *Tally) Judgement {
	d, measured := t.Design()
	j := c.Judge(t.Bad, t.N, d)
	if t.N > 0 && t.TooMuchMissing() {
		best := c.Judge(t.Bad, t.N+t.Missing, d)
		j.Verdict = Inconclusive
		j.Note = fmt.Sprintf("%s of %s samples are missing, at most 5 %% may be", count(t.Missing), count(t.N+t.Missing))
		if best.Verdict == Broken {
			j.Verdict, j.P = Broken, best.P
			j.Note += "; broken even if all of these were good"
		}
	}
	j.Measured = measured
	return j
}

func (j *Judgement) judgePerfect(bad, n int, c Claim) {
	switch {
	case bad > 0:
		j.Verdict = Broken
		j.P = 0
	case n >= c.MinSamples:
		j.Verdict = Held
	default:
		j.Verdict, j.Note = Inconclusive, shortfall(bad, n, 0, c.MinSamples)
	}
}

func (j *Judgement) judgePoint(bad, n int, c Claim) {
	switch {
	case n < c.MinSamples:
		j.Verdict, j.Note = Inconclusive, shortfall(bad, n, c.allowed(), c.MinSamples)
	case float64(bad) > c.allowed()*float64(n)*(1+1e-12):
		j.Verdict = Broken
	default:
		j.Verdict = Held
	}
	if j.Note != "" {
		j.Note += "; "
	}
	j.Note += "plain ratio compared, without a statistical claim"
}

// shortfall says in words why n samples were not enough.
func shortfall(bad, n int, b float64, needed int) string {
	switch {
	case bad == 0:
		return fmt.Sprintf("needs %s good samples, had %s", count(needed), count(n))
	case float64(bad) > b*float64(n):
		return fmt.Sprintf("%s bad of %s samples is more than the target allows, but too few to prove it", count(bad), count(n))
	case needed > n:
		return fmt.Sprintf("with %s bad it needs %s samples, had %s", count(bad), count(needed), count(n))
	}
	return fmt.Sprintf("%s bad of %s samples is too close to the target to tell", count(bad), count(n))
}
