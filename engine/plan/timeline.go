package plan

import (
	"fmt"
	"slices"
	"time"

	"github.com/faultline-go/faultline/engine/scenario"
)

// underFault is when the first fault of a time line starts and the last one ends; the
// time between is under fault, gaps included.
func underFault(steps []Step) (first, last time.Duration) {
	none := true
	for _, s := range steps {
		if s.Kind != scenario.FaultStep {
			continue
		}
		if none || s.Start < first {
			first = s.Start
		}
		last, none = max(last, s.Start+s.Duration), false
	}
	return first, last
}

// layOut gives every step its planned start, from its offset and the ends of the
// steps that it comes after, and returns the end of the last one. What a fault
// takes to revert comes on top when it runs, and is not planned.
func layOut(steps []Step) (end time.Duration, err error) {
	done := map[string]time.Duration{}
	for len(done) < len(steps) {
		progress := false
		for i := range steps {
			s := &steps[i]
			if _, ok := done[s.Name]; ok {
				continue
			}
			from, ready := time.Duration(0), true
			for _, name := range s.After {
				e, ok := done[name]
				ready = ready && ok
				from = max(from, e)
			}
			if !ready {
				continue
			}
			s.Start = from + s.Offset
			done[s.Name] = s.Start + s.Duration
			end = max(end, s.Start+s.Duration)
			progress = true
		}
		if !progress {
			return 0, fmt.Errorf("the steps wait for each other in a circle by `after`")
		}
	}
	return end, nil
}

// overlap says whether two steps may be on at the same time: their planned times
// touch, and neither waits for the other's end.
func overlap(steps []Step, a, b *Step) bool {
	if waits(steps, a, b.Name) || waits(steps, b, a.Name) {
		return false
	}
	return a.Start < b.Start+b.Duration+b.RevertBudget && b.Start < a.Start+a.Duration+a.RevertBudget
}

// waits says whether s comes after the named step, directly or not.
func waits(steps []Step, s *Step, name string) bool {
	seen := map[string]bool{}
	open := slices.Clone(s.After)
	for len(open) > 0 {
		before := open[len(open)-1]
		open = open[:len(open)-1]
		if before == name {
			return true
		}
		if seen[before] {
			continue
		}
		seen[before] = true
		if i := slices.IndexFunc(steps, func(x Step) bool { return x.Name == before }); i >= 0 {
			open = append(open, steps[i].After...)
		}
	}
	return false
}
