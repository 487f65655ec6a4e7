package judge

import (
	"time"

	"github.com/faultline-go/faultline/engine/journal"
)

// MaxMissing is the share of missing samples above which nothing is claimed.
const MaxMissing = 0.05

// Outcome is what a sample is to an objective.
type Outcome byte

// The outcomes, in the letters of the journal.
const (
	Good    Outcome = journal.GoodYes
	Bad     Outcome = journal.GoodNo
	Missing Outcome = journal.GoodMissing
)

// outcomeAt is one of a batch; a sample that the batch says nothing about is missing.
func outcomeAt(letters string, i int) Outcome {
	if i < len(letters) {
		switch o := Outcome(letters[i]); o {
		case Good, Bad:
			return o
		}
	}
	return Missing
}

// Tally counts the outcomes of an objective in one phase. The zero value is
// empty and ready; samples may come in any order.
type Tally struct {
	N       int // good and bad
	Bad     int
	Missing int
	bins    Bins
}

// Add counts one sample.
func (t *Tally) Add(at time.Time, o Outcome) { t.add(at.UnixMicro(), o) }

func (t *Tally) add(us int64, o Outcome) {
	switch o {
	case Good, Bad:
		t.N++
		if o == Bad {
			t.Bad++
		}
		t.bins.add(us, o == Bad)
	default:
		t.Missing++
	}
}

// Design is the design effect of the samples, see [Bins.Effect].
func (t *Tally) Design() (d float64, measured bool) { return t.bins.Effect() }

// TooMuchMissing says whether so much is missing that nothing can be claimed.
func (t *Tally) TooMuchMissing() bool {
	return t.N == 0 || float64(t.Missing) > MaxMissing*float64(t.N+t.Missing)
}
