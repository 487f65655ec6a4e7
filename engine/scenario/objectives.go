package scenario

import "github.com/hashicorp/hcl/v2/hclsyntax"

func (l *loader) loadSteadyStates() {
	for _, d := range l.steady.order {
		a := l.args(d.block, "a steady_state block", l.root)
		a.knows("steady_state")
		a.str("description", "")
		seen := map[string]*hclsyntax.Block{}
		var all []*Objective
		for _, b := range d.block.Body.Blocks {
			if b.Type != "objective" {
				continue
			}
			if !l.labelled(b, []string{"NAME"}) {
				a.bad = true
				continue
			}
			name := b.Labels[0]
			if first := seen[name]; first != nil {
				a.error(b.DefRange(), "Duplicate objective", "The objective %q is already declared at %s. Give one of them another name.", name, place(first.DefRange()))
				continue
			}
			seen[name] = b
			if o := l.loadObjective(b, d.name); o != nil {
				all = append(all, o)
			} else {
				a.bad = true
			}
		}
		if len(seen) == 0 && !a.bad {
			a.error(a.at, "No objective", "A steady state needs at least one objective: what is measured, when it is good, and which share of it must be.")
		}
		d.broken = a.bad
		l.objectives[d.name] = all
	}
}

func (l *loader) loadObjective(b *hclsyntax.Block, state string) *Objective {
	a := l.args(b, "an objective block", l.root)
	a.knows("steady_state/objective")
	a.str("description", "")
	o := &Objective{
		Name:       state + "." + b.Labels[0],
		MinSamples: a.whole("min_samples", DefaultMinSamples, 1),
		Judge:      a.enum("judge", "exact", "exact", "point"),
		Pos:        place(b.TypeRange),
	}
	countFailed := a.boolean("count_failed", true)
	o.Probe, o.Good = l.watch(a, countFailed)
	if a.require("target", "target = 0.99") {
		o.Target = a.share("target", 0)
	}
	o.DuringTarget = o.Target
	if during := a.single("during"); during != nil {
		x := l.args(during, "a during block", l.root)
		x.knows("steady_state/objective/during")
		if x.require("target", "target = 0.95") {
			o.DuringTarget = x.share("target", o.Target)
		}
		a.bad = a.bad || x.bad
	}
	if a.bad {
		return nil
	}
	return o
}

// watch reads probe and good, which an objective and a guard have in common.
func (l *loader) watch(a *args, countFailed bool) (*Probe, Predicate) {
	var probe *Probe
	if a.require("probe", "probe = "+l.probes.example()) {
		name, _, ok := l.one(a.body.Attributes["probe"].Expr, a.ctx, l.probes)
		if ok {
			probe = l.probeOf[name]
		}
		if probe == nil {
			a.bad = true // reported here, or where the probe is declared
		}
	}
	if !a.require("good", "good = sample.ok") || probe == nil {
		return probe, nil
	}
	good := l.compilePredicate(a.body.Attributes["good"].Expr, a.ctx, probe, countFailed)
	if good == nil {
		a.bad = true
		return probe, nil
	}
	return probe, good
}

func (l *loader) loadGuards() {
	for _, d := range l.guards.order {
		a := l.args(d.block, "a guard block", l.root)
		a.knows("guard")
		a.str("description", "")
		g := &Guard{
			Name:        d.name,
			For:         a.duration("for", 0, 0, 0),
			NoDataAfter: a.duration("no_data_after", DefaultNoData, 0, 0),
			Pos:         place(d.block.TypeRange),
		}
		g.Probe, g.Good = l.watch(a, true)
		if !a.bad && a.has("no_data_after") && g.NoDataAfter > 0 && g.NoDataAfter < g.Probe.Interval {
			a.error(a.rangeOf("no_data_after"), "Guard trips at once", "The probe takes a sample every %s, so there is always no data for %s. Make no_data_after longer than that.", plainDuration(g.Probe.Interval), plainDuration(g.NoDataAfter))
		}
		if !a.bad {
			l.scenario.Guards = append(l.scenario.Guards, g)
		}
	}
}
