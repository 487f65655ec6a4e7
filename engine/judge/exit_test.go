package judge

import "testing"

func TestExitCodes(t *testing.T) {
	for _, tc := range []struct {
		verdict         Verdict
		strict, lenient int
	}{
		{Held, 0, 0}, {NotDue, 0, 0}, {Broken, 1, 1}, {Inconclusive, 3, 0}, {NotExercised, 3, 0}, {NotStarted, 3, 3},
		{Aborted, 4, 4}, {Residue, 5, 5}, {Errored, 6, 6}, {"unheard of", 3, 3},
	} {
		if s, l := tc.verdict.ExitCode(false), tc.verdict.ExitCode(true); s != tc.strict || l != tc.lenient {
			t.Errorf("%s: %d, lenient %d; want %d, %d", tc.verdict, s, l, tc.strict, tc.lenient)
		}
	}
}

// The run's code is the first of residue 5, errored 6, broken 1, aborted 4, the
// open ones 3, held 0, for every pair of experiments.
func TestTheWorstVerdictDecides(t *testing.T) {
	order := []Verdict{Residue, Errored, Broken, Aborted, NotStarted, NotExercised, Inconclusive, Held, NotDue}
	for i, a := range order {
		for j, b := range order {
			if got, want := worst(a, b), order[min(i, j)]; got != want {
				t.Errorf("%s and %s make %s, want %s", a, b, got, want)
			}
		}
	}
}
