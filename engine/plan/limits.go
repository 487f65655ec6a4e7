package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/faultline-go/faultline/engine/scenario"
)

// checkLimits holds an experiment's faults against the limits. Nothing is ever
// trimmed to fit: what does not fit is a problem of the plan.
func checkLimits(l Limits, e *Experiment, sets map[string]targetSet, pos func(step string) string) Problems {
	var ps Problems
	var faults []*Step
	for i := range e.Steps {
		if s := &e.Steps[i]; s.Kind == scenario.FaultStep && len(s.Targets) > 0 {
			faults = append(faults, s)
		}
	}
	for _, s := range faults {
		if share := 100 * float64(len(s.Targets)) / float64(max(s.Discovered, 1)); l.MaxPercent > 0 && share > l.MaxPercent {
			ps.add(pos(s.Name), fmt.Sprintf("%s would touch %.0f %% of what target %s discovered (%d of %d)", s.Name, share, s.Target, len(s.Targets), s.Discovered),
				fmt.Sprintf("The limit is max_percent = %g. Pick fewer targets, or raise the limit.", l.MaxPercent))
		}
		at := together(e.Steps, faults, s)
		if n := countTargets(at); l.MaxTargets > 0 && n > l.MaxTargets {
			ps.add(pos(s.Name), fmt.Sprintf("%s would be on with others so that %d targets are touched at once", s.Name, n),
				fmt.Sprintf("The limit is max_targets = %d. Pick fewer targets, let the faults follow each other with `after`, or raise the limit.", l.MaxTargets))
		}
		if l.KeepPerZone > 0 {
			keepZones(&ps, l.KeepPerZone, s, at, sets[s.Target], pos(s.Name))
		}
	}
	return ps
}

// together lists the faults that may be on while s begins, s included.
func together(steps []Step, faults []*Step, s *Step) []*Step {
	var out []*Step
	for _, o := range faults {
		if o == s || overlap(steps, s, o) && o.Start <= s.Start {
			out = append(out, o)
		}
	}
	return out
}

func countTargets(faults []*Step) int {
	ids := map[string]bool{}
	for _, s := range faults {
		for _, t := range s.Targets {
			ids[t.Kind+" "+t.ID] = true
		}
	}
	return len(ids)
}

// keepZones makes sure that enough of each zone of a target block stays untouched.
func keepZones(ps *Problems, keep int, s *Step, at []*Step, set targetSet, pos string) {
	touched := map[string]bool{}
	for _, o := range at {
		for _, t := range o.Targets {
			touched[t.Kind+" "+t.ID] = true
		}
	}
	left, hit := map[string]int{}, map[string]bool{}
	for _, c := range set.passed {
		zone := attribute(c, ZoneAttribute)
		if zone == "" {
			ps.add(pos, fmt.Sprintf("the zone of %s is not known", c.Name),
				"The limit keep_per_zone needs to know every candidate's zone. Give it one (for containers: the label \"zone\"), or filter it out.")
			return
		}
		if touched[c.Kind+" "+c.ID] {
			hit[zone] = true
		} else {
			left[zone]++
		}
	}
	var short []string
	for zone := range hit {
		if left[zone] < keep {
			short = append(short, zone)
		}
	}
	slices.Sort(short)
	if len(short) > 0 {
		ps.add(pos, fmt.Sprintf("%s would leave fewer than %d untouched in zone %s", s.Name, keep, strings.Join(short, ", ")),
			fmt.Sprintf("The limit is keep_per_zone = %d.", keep))
	}
}

// InWindow says whether a run may start at that time: a run that lasts as planned
// must also end inside the same window. No windows: always.
func (p *Plan) InWindow(at time.Time) bool {
	inAny := func(windows []scenario.Window) bool {
		return len(windows) == 0 || slices.ContainsFunc(windows, func(w scenario.Window) bool {
			return inWindow(w, at, at.Add(p.Longest))
		})
	}
	return inAny(p.Limits.windows) && inAny(p.Limits.policyWindows)
}

// inWindow says whether all of a time lies in a window, which lies within one day. The
// hours are those of the wall clock, on days with a change of it as well.
func inWindow(w scenario.Window, from, to time.Time) bool {
	zone := w.Zone
	if zone == nil {
		zone = time.UTC
	}
	from, to = from.In(zone), to.In(zone)
	if len(w.Days) > 0 && !slices.Contains(w.Days, from.Weekday()) {
		return false
	}
	y, m, d := from.Date()
	at := func(clock time.Duration) time.Time {
		return time.Date(y, m, d, int(clock/time.Hour), int(clock%time.Hour/time.Minute), 0, 0, zone)
	}
	return !from.Before(at(w.From)) && !to.After(at(w.To))
}

// describeWindow says a window in words.
func describeWindow(w scenario.Window) string {
	var days []string
	for _, d := range w.Days {
		days = append(days, strings.ToLower(d.String()[:3]))
	}
	clock := func(d time.Duration) string {
		return fmt.Sprintf("%02d:%02d", int(d.Hours()), int(d.Minutes())%60)
	}
	text := clock(w.From) + "-" + clock(w.To)
	if len(days) > 0 {
		text = strings.Join(days, ",") + " " + text
	}
	if w.Zone != nil {
		text += " " + w.Zone.String()
	}
	return text
}
