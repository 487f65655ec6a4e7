package judge

import (
	"cmp"
	"slices"
)

// Exit codes of a run.
const (
	ExitHeld         = 0
	ExitBroken       = 1
	ExitInconclusive = 3
	ExitAborted      = 4
	ExitResidue      = 5
	ExitErrored      = 6
)

// standing orders verdicts: the highest decides. Errored comes before broken
// because a run that did not work as planned cannot be trusted to have shown what
// it seems to show; a proven broken comes before a later abort.
var standing = map[Verdict]int{
	NotDue: -1, Held: 0, Inconclusive: 1, NotExercised: 2, NotStarted: 3, Aborted: 4, Broken: 5, Errored: 6, Residue: 7,
}

// ExitCode is the exit code that goes with a verdict. Lenient lets inconclusive
// and not_exercised pass; never not_started, where nothing was tried at all.
func (v Verdict) ExitCode(lenient bool) int {
	switch v {
	case Held, NotDue: // a day without a turn is a normal day
		return ExitHeld
	case Broken:
		return ExitBroken
	case Aborted:
		return ExitAborted
	case Residue:
		return ExitResidue
	case Errored:
		return ExitErrored
	case Inconclusive, NotExercised:
		if lenient {
			return ExitHeld
		}
	}
	return ExitInconclusive
}

// Exit is the exit code of the run: the first of residue 5, errored 6, broken 1,
// aborted 4, inconclusive, not exercised or not started 3, held 0.
func (r *Result) Exit(lenient bool) int { return r.Verdict.ExitCode(lenient) }

// worst is the verdict that decides among several; held when there is none.
func worst(vs ...Verdict) Verdict {
	if len(vs) == 0 {
		return Held
	}
	w := vs[0]
	for _, v := range vs[1:] {
		if standing[v] > standing[w] {
			w = v
		}
	}
	return w
}

// sortReasons puts the deciding reasons first and keeps the order among equals.
func sortReasons(rs []Reason) {
	slices.SortStableFunc(rs, func(a, b Reason) int { return cmp.Compare(standing[b.Verdict], standing[a.Verdict]) })
}
