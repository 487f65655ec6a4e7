package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/faultline-go/faultline/engine/scenario"
	"github.com/faultline-go/faultline/sdk/schema"
)

// Policy is what an environment allows. It can only tighten a scenario: the
// smaller of two limits holds, and a run must be inside a window of both.
type Policy struct {
	Source      string // file, for messages
	Limits      scenario.Limits
	Plugins     []string // allowed; empty: all
	Faults      []string // allowed types; empty: all
	Environment string

	DenyCapabilities []schema.Capability
}

// Allow is for whoever is about to start the plugins of a scenario: the error is Problems
// where the policy does not let it be planned, or a plugin that cannot be described.
func (p *Policy) Allow(s *scenario.Scenario, describe Describe) error {
	if p == nil {
		return nil
	}
	all, err := needs(s, describe)
	if err != nil {
		return err
	}
	if forbidden := p.forbids(s, all); len(forbidden) > 0 {
		return forbidden
	}
	return nil
}

// forbids is everything in a scenario, and in what its blocks need, that the policy does not
// allow.
func (p *Policy) forbids(s *scenario.Scenario, all []need) Problems {
	return append(p.check(s), p.deny(all)...)
}

// check refuses what the policy does not allow. A nil policy allows everything.
func (p *Policy) check(s *scenario.Scenario) Problems {
	if p == nil {
		return nil
	}
	var ps Problems
	for _, x := range s.Plugins {
		if len(p.Plugins) > 0 && !slices.Contains(p.Plugins, x.Name) {
			ps.refuse(x.Pos, fmt.Sprintf("plugin %s is not allowed in environment %s", x.Name, p.Environment), "Allowed by "+p.Source+": "+strings.Join(p.Plugins, ", ")+".")
		}
	}
	for _, e := range s.Experiments {
		for _, step := range e.Steps {
			if step.Kind == scenario.FaultStep && len(p.Faults) > 0 && !slices.Contains(p.Faults, step.Type) {
				ps.refuse(step.Pos, fmt.Sprintf("fault %s is not allowed in environment %s", step.Type, p.Environment), "Allowed by "+p.Source+": "+strings.Join(p.Faults, ", ")+".")
			}
		}
	}
	return ps
}

// tighten takes the narrower of each limit.
func (p *Policy) tighten(l *Limits) {
	if p == nil {
		return
	}
	l.MaxTargets = narrower(l.MaxTargets, p.Limits.MaxTargets)
	l.MaxPercent = narrower(l.MaxPercent, p.Limits.MaxPercent)
	l.KeepPerZone = max(l.KeepPerZone, p.Limits.KeepPerZone)
	l.policyWindows = p.Limits.Windows
}

// narrower is the smaller of two limits of which 0 means none.
func narrower[T int | float64](a, b T) T {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}
