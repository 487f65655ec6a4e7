package run

import (
	"fmt"
	"slices"
)

// overLimit holds an injection against the limits once more: what was planned may
// take longer than planned, and then be on together with something else.
func (r *run) overLimit(x *experiment, s *step) string {
	limits := r.Plan.Limits
	touched := map[string]bool{}
	for _, o := range x.steps {
		if o == s || o.state != waiting && o.state != done {
			for _, t := range o.plan.Targets {
				touched[t.Kind+" "+t.ID] = true
			}
		}
	}
	if n := len(touched); limits.MaxTargets > 0 && n > limits.MaxTargets {
		return fmt.Sprintf("%d targets would be touched at once, the limit is max_targets = %d", n, limits.MaxTargets)
	}
	if limits.KeepPerZone == 0 || len(s.plan.Targets) == 0 {
		return ""
	}
	kind := s.plan.Targets[0].Kind // a target block has one
	left, hit := map[string]int{}, map[string]bool{}
	for id, zone := range s.plan.ZoneOf {
		if touched[kind+" "+id] {
			hit[zone] = true
		} else {
			left[zone]++
		}
	}
	var short []string
	for zone := range hit {
		if left[zone] < limits.KeepPerZone {
			short = append(short, zone)
		}
	}
	if len(short) == 0 {
		return ""
	}
	slices.Sort(short)
	return fmt.Sprintf("fewer than %d would be left untouched in zone %s, the limit is keep_per_zone = %d", limits.KeepPerZone, short[0], limits.KeepPerZone)
}
