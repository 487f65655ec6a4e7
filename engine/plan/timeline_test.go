package plan

import (
	"fmt"
	"testing"
	"time"

	"github.com/faultline-go/faultline/engine/scenario"
)

// faultAt is a fault of a time line, in seconds.
func faultAt(name string, offset, duration int, after ...string) Step {
	return Step{
		Kind: scenario.FaultStep, Name: name, Offset: time.Duration(offset) * time.Second,
		Duration: time.Duration(duration) * time.Second, After: after, RevertBudget: time.Second,
	}
}

func actionAt(name string, offset int, after ...string) Step {
	return Step{Kind: scenario.ActionStep, Name: name, Offset: time.Duration(offset) * time.Second, After: after}
}

func TestLayOut(t *testing.T) {
	for _, c := range []struct {
		name        string
		steps       []Step
		starts      []int
		end         int
		first, last int // of the faults
		err         bool
	}{
		{name: "nothing"},
		{name: "one", steps: []Step{faultAt("a", 3, 10)}, starts: []int{3}, end: 13, first: 3, last: 13},
		{name: "side by side", steps: []Step{faultAt("a", 0, 10), faultAt("b", 5, 2)}, starts: []int{0, 5}, end: 10, first: 0, last: 10},
		{name: "in turn", steps: []Step{faultAt("a", 1, 10), faultAt("b", 2, 5, "a")}, starts: []int{1, 13}, end: 18, first: 1, last: 18},
		{name: "whatever their order in the file", steps: []Step{faultAt("b", 2, 5, "a"), faultAt("a", 1, 10)}, starts: []int{13, 1}, end: 18, first: 1, last: 18},
		{name: "after the later of two", steps: []Step{faultAt("a", 0, 4), faultAt("b", 0, 6), faultAt("c", 0, 1, "a", "b")}, starts: []int{0, 0, 6}, end: 7, first: 0, last: 7},
		{name: "actions take no time", steps: []Step{actionAt("n", 5), faultAt("a", 1, 4, "n"), actionAt("m", 20)}, starts: []int{5, 6, 20}, end: 20, first: 6, last: 10},
		{name: "a circle", steps: []Step{faultAt("a", 0, 1, "b"), faultAt("b", 0, 1, "a")}, err: true},
		{name: "after itself", steps: []Step{faultAt("a", 0, 1, "a")}, err: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := layOut(c.steps)
			if (err != nil) != c.err {
				t.Fatal(err)
			}
			if c.err {
				return
			}
			first, last := underFault(c.steps)
			end, _ := longest(c.steps)
			seconds := func(n int) time.Duration { return time.Duration(n) * time.Second }
			if end != seconds(c.end) || first != seconds(c.first) || last != seconds(c.last) {
				t.Errorf("ends at %s, faults from %s to %s", end, first, last)
			}
			for i, s := range c.steps {
				if s.Start != seconds(c.starts[i]) {
					t.Errorf("%s starts at %s, want %d s", s.Name, s.Start, c.starts[i])
				}
			}
		})
	}
}

func TestOverlap(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps []Step // the first two are compared
		want  bool
	}{
		{name: "at the same time", steps: []Step{faultAt("a", 0, 10), faultAt("b", 5, 10)}, want: true},
		{name: "one inside the other", steps: []Step{faultAt("a", 0, 10), faultAt("b", 5, 1)}, want: true},
		{name: "far apart", steps: []Step{faultAt("a", 0, 10), faultAt("b", 20, 1)}},
		{name: "while the first is put back", steps: []Step{faultAt("a", 0, 10), faultAt("b", 10, 1)}, want: true},
		{name: "when it should be back", steps: []Step{faultAt("a", 0, 10), faultAt("b", 11, 1)}},
		{name: "one waits for the other", steps: []Step{faultAt("a", 0, 10), faultAt("b", 0, 1, "a")}},
		{name: "through a third", steps: []Step{faultAt("a", 0, 10), faultAt("b", 0, 1, "c"), faultAt("c", 0, 1, "a")}},
		{name: "through an action", steps: []Step{faultAt("a", 0, 10), faultAt("b", 0, 1, "n"), actionAt("n", 0, "a")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := layOut(c.steps); err != nil {
				t.Fatal(err)
			}
			for i := range 2 {
				if got := overlap(c.steps, &c.steps[i], &c.steps[1-i]); got != c.want {
					t.Errorf("%s with %s: %v", c.steps[i].Name, c.steps[1-i].Name, got)
				}
			}
		})
	}
}

// A ladder in which every step waits for both of the rung below has a great many ways
// from the top to the bottom.
func TestOverlapOfALadder(t *testing.T) {
	var steps []Step
	for i := range 60 {
		for _, side := range []string{"l", "r"} {
			s := faultAt(fmt.Sprint(side, i), 0, 1)
			if i > 0 {
				s.After = []string{fmt.Sprint("l", i-1), fmt.Sprint("r", i-1)}
			}
			steps = append(steps, s)
		}
	}
	if err := layOut(steps); err != nil {
		t.Fatal(err)
	}
	if last := &steps[len(steps)-1]; overlap(steps, &steps[0], last) || !overlap(steps, &steps[0], &steps[1]) {
		t.Error("the rungs are mixed up")
	}
}

// layOut must not take exponential or endless time over what a generator may write.
func TestLayOutLongChain(t *testing.T) {
	var steps []Step
	for i := range 500 {
		s := faultAt(fmt.Sprint(i), 0, 1)
		if i > 0 {
			s.After = []string{fmt.Sprint(i - 1)}
		}
		steps = append(steps, s)
	}
	err := layOut(steps)
	if end, _ := longest(steps); err != nil || end != 500*time.Second {
		t.Errorf("ends at %s: %v", end, err)
	}
}
