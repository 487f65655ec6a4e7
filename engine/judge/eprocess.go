package judge

import (
	"fmt"
	"math"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
)

// multiples of the allowed bad share that the e-process bets on. A mixture keeps
// it quick for a small burn and for an outage without knowing which one comes.
var multiples = [...]float64{2, 5, 14.4, 50, 200, 900}

const (
	// maxBet keeps a bet short of certainty: one good sample must not end it.
	maxBet = 0.95
	// maxE stands for anything larger, because JSON has no infinity.
	maxE = 1e300
)

// EValue is the mixture e-process after good and bad samples of a system that was
// allowed the bad share b0, divided by the design effect d: the mean of the
// likelihood ratios of the multiples against b0. Under any bad share up to b0 its
// mean is at most 1 at every moment, so that it ever reaches 1/Alpha with a chance
// of at most Alpha, however often one looks (Ville's inequality).
func EValue(good, bad int, b0, d float64) float64 {
	if b0 <= 0 {
		if bad > 0 {
			return maxE
		}
		return 1
	}
	var logs [len(multiples)]float64
	used, top := 0, math.Inf(-1)
	for _, m := range multiples {
		q := min(m*b0, maxBet)
		if q <= b0 {
			continue
		}
		l := (float64(bad)*math.Log(q/b0) + float64(good)*math.Log((1-q)/(1-b0))) / max(d, 1)
		logs[used] = l
		used++
		top = max(top, l)
	}
	if used == 0 {
		return 0 // almost everything may be bad: there is nothing to bet on
	}
	var sum float64
	for _, l := range logs[:used] {
		sum += math.Exp(l - top)
	}
	return min(math.Exp(min(top+math.Log(sum/float64(used)), 700)), maxE)
}

// Watch follows one objective while a fault is active and says when it is proven
// broken, so that the fault can end early. It may be asked after every sample.
//
// It stops when the e-process reaches 1/Alpha and the bad count has reached what
// makes the whole planned phase broken: an early stop then says nothing that the
// whole phase would not have said.
type Watch struct {
	claim    Claim
	b0       float64
	d        float64 // measured in the baseline, 1 if it could not be
	planned  int
	tally    Tally
	proven   journal.EarlyStop
	isProven bool
}

// NewWatch begins to watch a claim. The baseline tally may be nil; what was bad
// before the fault is no proof against it, so that the null hypothesis is the
// baseline's upper bound where that is above the allowed share. planned is the
// number of samples that the whole phase will have; 0: not known, and the
// e-process decides alone.
func NewWatch(c Claim, baseline *Tally, planned int) *Watch {
	w := &Watch{claim: c.normal(), d: 1, planned: max(planned, 0)}
	w.b0 = w.claim.allowed()
	if baseline != nil && baseline.N > 0 && w.b0 > 0 {
		w.d, _ = baseline.Design()
		w.b0 = max(w.b0, UpperBound(float64(baseline.N)/w.d, float64(baseline.Bad)/w.d, Confidence))
	}
	return w
}

// Add feeds one sample by its scheduled time. A missing one proves nothing.
func (w *Watch) Add(at time.Time, o Outcome) { w.tally.add(at.UnixMicro(), o) }

// Design is the larger of the design effects of baseline and phase so far. Before
// 20 s there is only a rough one, and that is used as it is: a first burst must not
// end a fault because nobody knows yet that errors come in bursts.
func (w *Watch) Design() float64 {
	return max(w.tally.bins.early(), w.d)
}

// E is the e-process now.
func (w *Watch) E() float64 {
	return EValue(w.tally.N-w.tally.Bad, w.tally.Bad, w.b0, w.Design())
}

// Stop says whether the objective is proven broken. The answer stays yes once it
// was, with the numbers of that moment; Experiment and Objective are the caller's.
func (w *Watch) Stop() (journal.EarlyStop, bool) {
	if w.isProven {
		return w.proven, true
	}
	t := &w.tally
	if t.Bad == 0 || float64(t.Bad) <= w.claim.allowed()*float64(t.N) {
		return journal.EarlyStop{}, false
	}
	d := w.Design()
	e := EValue(t.N-t.Bad, t.Bad, w.b0, d)
	if e < 1/Alpha {
		return journal.EarlyStop{}, false
	}
	critical := 0
	if w.planned > 0 {
		n := max(w.planned, t.N)
		if !w.claim.brokenAt(t.Bad, n, d) {
			return journal.EarlyStop{}, false
		}
		critical = w.claim.critical(n, d)
	}
	w.isProven = true
	w.proven = journal.EarlyStop{E: e, Samples: t.N, Bad: t.Bad, Critical: critical, Rule: stopRule(e, t, critical, w.planned)}
	return w.proven, true
}

// brokenAt says whether bad of n samples are broken, whatever the rest is.
func (c Claim) brokenAt(bad, n int, d float64) bool {
	switch b := c.allowed(); {
	case b == 0:
		return bad > 0
	case c.Point:
		return float64(bad) > b*float64(n)
	default:
		return Tail(float64(n)/d, float64(bad)/d, b) <= Alpha
	}
}

// critical is the smallest bad count for which brokenAt is true.
func (c Claim) critical(n int, d float64) int {
	switch b := c.allowed(); {
	case b == 0:
		return 1
	case c.Point:
		return int(math.Floor(b*float64(n))) + 1
	default:
		return criticalCount(float64(n), b, d)
	}
}

func stopRule(e float64, t *Tally, critical, planned int) string {
	odds := count(int(min(e, 1e6)))
	if e > 1e6 {
		odds = "over " + odds
	}
	s := fmt.Sprintf("the evidence against it is %s to 1 (%.0f to 1 suffices) after %s samples, %s of them bad", odds, 1/Alpha, count(t.N), count(t.Bad))
	if e >= maxE {
		s = fmt.Sprintf("%s of %s samples were bad and none may be", count(t.Bad), count(t.N))
	}
	if critical > 0 {
		s += fmt.Sprintf("; %s bad are enough to break the whole phase of %s samples", count(critical), count(max(planned, t.N)))
	}
	return s
}
