// Package coverage holds what scenarios declare, and what the plugins here could do, against
// what was ever tried: so that a team sees what it has never tried. It is pure.
package coverage

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/faultline-go/faultline/engine/history"
	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/engine/scenario"
	"github.com/faultline-go/faultline/sdk/schema"
)

// Format names Coverage's JSON form and its version.
const Format = "faultline.coverage/v1"

// Coverage is what scenarios try on which group of targets, when that last held, and
// what none of them tries.
type Coverage struct {
	Format    string   `json:"format"`
	Scenarios int      `json:"scenarios"`
	Rows      []Row    `json:"faults"`
	Groups    []Group  `json:"groups"`
	Unread    []Unread `json:"unread,omitempty"`
}

// Row is a fault type on a group of targets, over all experiments that have it.
type Row struct {
	Group         string        `json:"group"` // the target block: "docker_container.web"
	Environment   string        `json:"environment,omitempty"`
	Fault         string        `json:"fault"`
	Experiments   []string      `json:"experiments"` // "checkout/lose-one-web"
	Runs          int           `json:"runs"`        // in which it had an effect
	LastTried     *time.Time    `json:"last_tried"`  // nil: never
	Verdict       judge.Verdict `json:"verdict,omitempty"`
	LastHeld      *time.Time    `json:"last_held"`
	DaysSinceHeld *float64      `json:"days_since_held"`
}

// Group is a group of targets, and the faults that the plugins here offer for it
// and no scenario has.
type Group struct {
	Group       string   `json:"group"`
	Environment string   `json:"environment,omitempty"`
	Kind        string   `json:"kind"`
	Untried     []string `json:"untried"`
}

// Unread is a scenario that could not be read.
type Unread struct {
	Path  string `json:"path"`
	Error string `json:"error"`
}

// group is where faults can be tried: target blocks of the same name in scenarios of the
// same environment are taken for one.
type group struct{ block, environment string }

// Of makes the coverage of some scenarios.
func Of(scenarios []*scenario.Scenario, plugins []*schema.Description, tried []history.Tried, now time.Time) Coverage {
	c := Coverage{Format: Format, Scenarios: len(scenarios), Rows: []Row{}, Groups: []Group{}}
	kinds := map[group]string{}
	rows := map[group]map[string]*Row{} // by fault type
	for _, s := range scenarios {
		for _, t := range s.Targets {
			kinds[group{t.Name, s.Environment}] = t.Type
		}
		for _, e := range s.Experiments {
			for _, step := range e.Steps {
				if step.Kind != scenario.FaultStep || step.Target == nil {
					continue
				}
				g := group{step.Target.Name, s.Environment}
				kinds[g] = step.Target.Type
				if rows[g] == nil {
					rows[g] = map[string]*Row{}
				}
				r := rows[g][step.Type]
				if r == nil {
					r = &Row{Group: g.block, Environment: g.environment, Fault: step.Type}
					rows[g][step.Type] = r
				}
				if name := s.Name + "/" + e.Name; !slices.Contains(r.Experiments, name) {
					r.Experiments = append(r.Experiments, name)
				}
			}
		}
	}
	for _, t := range tried {
		// What was tried in another scenario on a group of the same name counts, too:
		// it is the group that has shown something, not the text.
		if r := rows[group{t.TargetBlock, t.Environment}][t.Type]; r != nil {
			add(r, t, now)
			continue
		}
		if t.TargetBlock != "" {
			continue
		}
		for g := range rows { // the first journals do not name the group
			if r := rows[g][t.Type]; r != nil && g.environment == t.Environment && slices.Contains(r.Experiments, t.Scenario+"/"+t.Experiment) {
				add(r, t, now)
			}
		}
	}
	for g, kind := range kinds {
		for _, r := range rows[g] {
			slices.Sort(r.Experiments)
			c.Rows = append(c.Rows, *r)
		}
		c.Groups = append(c.Groups, Group{Group: g.block, Environment: g.environment, Kind: kind, Untried: untried(kind, plugins, rows[g])})
	}
	slices.SortFunc(c.Rows, func(a, b Row) int {
		return cmp.Or(strings.Compare(a.Group, b.Group), strings.Compare(a.Environment, b.Environment), strings.Compare(a.Fault, b.Fault))
	})
	slices.SortFunc(c.Groups, func(a, b Group) int {
		return cmp.Or(strings.Compare(a.Group, b.Group), strings.Compare(a.Environment, b.Environment))
	})
	return c
}

func add(r *Row, t history.Tried, now time.Time) {
	r.Runs += t.Runs
	if r.LastTried == nil || t.Last.After(*r.LastTried) {
		r.LastTried, r.Verdict = &t.Last, t.Verdict
	}
	if !t.LastHeld.IsZero() && (r.LastHeld == nil || t.LastHeld.After(*r.LastHeld)) {
		days := now.Sub(t.LastHeld).Hours() / 24
		r.LastHeld, r.DaysSinceHeld = &t.LastHeld, &days
	}
}

// untried are the fault types that fit a kind of target and are not among the rows.
func untried(kind string, plugins []*schema.Description, rows map[string]*Row) []string {
	out := []string{}
	var target *schema.Target
	for _, p := range plugins {
		if t := p.Target(kind); t != nil {
			target = t
		}
	}
	if target == nil {
		return out
	}
	for _, p := range plugins {
		for i := range p.Faults {
			if f := &p.Faults[i]; rows[f.Type] == nil && scenario.Fits(f, target) {
				out = append(out, f.Type)
			}
		}
	}
	slices.Sort(out)
	return out
}
