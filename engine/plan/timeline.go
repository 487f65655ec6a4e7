package plan

import (
	"fmt"
	"slices"
	"time"

	"github.com/faultline-go/faultline/engine/scenario"
)

// underFault is when the first fault of a time line starts and the last one ends, as
// laid out; the time between is under fault, gaps included.
func underFault(steps []Step) (first, last time.Duration) {
	none := true
	for _, s := range steps {
		if s.Kind != scenario.FaultStep {
			continue
		}
		if none || s.Start < first {
			first = s.Start
		}
		last, none = max(last, s.end), false
	}
	return first, last
}

// layOut gives every step its planned start, from its offset and the ends of the
// steps that it comes after, and its end. What a fault takes to revert comes on top
// when it runs, and is not planned; nor is how long a prompt waits for its answer.
func layOut(steps []Step) error {
	return lay(steps, func(s *Step, done map[string]time.Duration) time.Duration {
		end := s.Start + s.Duration
		if len(s.EndsAfter) == 0 {
			return end
		}
		over := s.Start
		for _, name := range s.EndsAfter {
			over = max(over, done[name])
		}
		return min(end, over)
	})
}

// longest is when a time line ends, and when its last fault does, if every prompt waits
// for its timeout, and every fault stays for its duration.
func longest(steps []Step) (end, fault time.Duration) {
	slow := slices.Clone(steps)
	err := lay(slow, func(s *Step, _ map[string]time.Duration) time.Duration {
		if s.Kind == scenario.PromptStep {
			return s.Start + s.Timeout
		}
		return s.Start + s.Duration
	})
	if err != nil {
		return 0, 0 // layOut has said it
	}
	for _, s := range slow {
		end = max(end, s.end)
	}
	_, fault = underFault(slow)
	return end, fault
}

// lay walks a time line in the order that its steps make; endOf says when one is over
// whose start is known, and so are the ends of those before.
func lay(steps []Step, endOf func(s *Step, done map[string]time.Duration) time.Duration) error {
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
			for _, name := range s.EndsAfter {
				_, ok := done[name]
				ready = ready && ok
			}
			if !ready {
				continue
			}
			s.Start = from + s.Offset
			s.end = endOf(s, done)
			done[s.Name] = s.end
			progress = true
		}
		if !progress {
			return fmt.Errorf("the steps wait for each other in a circle by `after` or `ends_after`")
		}
	}
	return nil
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
