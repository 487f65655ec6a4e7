package scenario

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/faultline-go/faultline/sdk/schema"
)

// DefaultActionTimeout is how long an action may take that sets none.
const DefaultActionTimeout = 30 * time.Second

func (l *loader) loadExperiments() {
	instances := map[*declared][]instance{}
	for _, d := range l.experiments.order {
		instances[d] = l.forEach(d, l.root) // all at first, as depends_on may name a later one
	}
	var all []*Experiment
	for _, d := range l.experiments.order {
		a := l.args(d.block, "an experiment block", l.root)
		a.only(
			[]string{"for_each", "hypothesis", "steady_state", "expect", "baseline", "observe", "recover_within", "depends_on", "source", "inputs"},
			[]string{"fault", "action", "inputs"})
		a.notYet("source", "inputs")
		for _, i := range instances[d] {
			all = append(all, l.loadExperiment(d, i))
		}
	}
	if len(l.experiments.order) == 0 && !l.diags.HasErrors() {
		l.add(&hcl.Diagnostic{
			Severity: hcl.DiagError,
			Summary:  "No experiment",
			Detail:   "The scenario has no experiment block, so there is nothing to run. `faultline new` writes a scenario to start from.",
		})
	}
	l.dependencies(all)
	if l.diags.HasErrors() {
		return
	}
	l.scenario.Experiments = l.inOrder(all)
}

func (l *loader) loadExperiment(d *declared, i instance) *Experiment {
	a := l.args(d.block, "an experiment block", i.ctx)
	x := &Experiment{
		Name:          d.nameOf(i),
		Hypothesis:    a.str("hypothesis", ""),
		Expect:        a.enum("expect", "tolerate", "tolerate", "recover"),
		Baseline:      a.duration("baseline", DefaultBaseline, 0, 0),
		Observe:       a.duration("observe", 0, 0, 0),
		RecoverWithin: a.duration("recover_within", DefaultRecover, 0, 0),
		Pos:           place(d.block.TypeRange),
	}
	source := d.block.Body.Attributes["source"] != nil
	if !source && a.require("steady_state", "steady_state = ["+l.steady.example()+"]") {
		refs, _ := l.many(d.block.Body.Attributes["steady_state"].Expr, i.ctx, l.steady)
		seen := map[string]bool{}
		for _, r := range refs {
			if seen[r.to.name] {
				l.error(r.at, "Listed twice", "The steady state %q stands twice in the list. Remove one of them.", r.to.name)
				continue
			}
			seen[r.to.name] = true
			x.Objectives = append(x.Objectives, l.objectives[r.to.name]...)
		}
		if list, ok := d.block.Body.Attributes["steady_state"].Expr.(*hclsyntax.TupleConsExpr); ok && len(list.Exprs) == 0 {
			l.error(list.Range(), "No steady state", "Without a steady state there is nothing to judge. Write for example [%s].", l.steady.example())
		}
	}
	if attr := d.block.Body.Attributes["depends_on"]; attr != nil {
		refs, _ := l.many(attr.Expr, i.ctx, l.experiments)
		for _, r := range refs {
			x.DependsOn = append(x.DependsOn, r.to.name) // made into instances by dependencies
			if r.keyed {
				x.DependsOn[len(x.DependsOn)-1] = instanceName(r.to.name, r.key)
			}
		}
	}
	l.loadSteps(x, d.block, i.ctx)
	return x
}

// steps are the faults and actions of one experiment while they are read.
type steps struct {
	faults, actions *namespace
	after           map[string]*hclsyntax.Attribute // by name of the instance
	contexts        map[string]*hcl.EvalContext
	byName          map[string]*Step
}

func (l *loader) loadSteps(x *Experiment, b *hclsyntax.Block, ctx *hcl.EvalContext) {
	s := &steps{
		faults:   newNamespace("fault", 2),
		actions:  newNamespace("action", 2),
		after:    map[string]*hclsyntax.Attribute{},
		contexts: map[string]*hcl.EvalContext{},
		byName:   map[string]*Step{},
	}
	for _, inner := range b.Body.Blocks {
		space, other := s.faults, s.actions
		if inner.Type == "action" {
			space, other = s.actions, s.faults
		} else if inner.Type != "fault" {
			continue
		}
		if !l.labelled(inner, []string{"TYPE", "NAME"}) {
			continue
		}
		if first := other.all[strings.Join(inner.Labels, ".")]; first != nil {
			l.error(inner.DefRange(), "Duplicate step", "A step of this name is already declared at %s. Give one of them another name.", place(first.block.DefRange()))
			continue
		}
		d, ok := l.declare(space, inner)
		if !ok {
			continue
		}
		p := l.offered(inner, inner.Type)
		if p == nil {
			d.broken = true
		}
		for _, i := range l.forEach(d, ctx) {
			if p == nil {
				continue
			}
			step := l.loadFault
			if inner.Type == "action" {
				step = l.loadAction
			}
			made := step(d, i, p.description)
			if made == nil {
				d.broken = true
				continue
			}
			s.byName[made.Name] = made
			if attr := inner.Body.Attributes["after"]; attr != nil {
				s.after[made.Name], s.contexts[made.Name] = attr, i.ctx
			}
			x.Steps = append(x.Steps, made)
		}
	}
	for _, step := range x.Steps {
		if attr := s.after[step.Name]; attr != nil {
			refs, _ := l.many(attr.Expr, s.contexts[step.Name], s.faults, s.actions)
			for _, r := range refs {
				if !r.to.broken {
					step.After = append(step.After, r.instances()...)
				}
			}
		}
	}
	names := make([]string, len(x.Steps))
	needs := map[string][]string{}
	for i, step := range x.Steps {
		names[i], needs[step.Name] = step.Name, step.After
	}
	if cycle := findCycle(names, needs); cycle != nil {
		l.error(s.after[cycle[0]].Expr.Range(), "Cycle", "These steps wait for each other: %s. One of them must not.", strings.Join(cycle, " → "))
	}
}

func (l *loader) loadFault(d *declared, i instance, plugin *schema.Description) *Step {
	typ := d.block.Labels[0]
	kind := plugin.Fault(typ)
	what := fmt.Sprintf("a fault %q", typ)
	a := l.args(d.block, what, i.ctx)
	s := &Step{
		Kind:     FaultStep,
		Name:     d.nameOf(i),
		Type:     typ,
		Plugin:   schema.PluginOf(typ),
		Start:    a.duration("start", 0, 0, 0),
		Duration: a.duration("duration", 0, time.Millisecond, 0),
		Lease:    a.duration("lease", l.scenario.Lease, MinLease, 0),
		OnEmpty:  a.enum("on_empty", "", "fail", "skip"),
		Pos:      place(d.block.TypeRange),
	}
	s.AcceptIrreversible = a.enum("irreversible", "", "accept") == "accept"
	a.require("duration", `duration = "20s"`)
	if a.require("target", "target = "+l.targets.example()) {
		attr := d.block.Body.Attributes["target"]
		name, _, ok := l.one(attr.Expr, i.ctx, l.targets)
		if ok {
			s.Target = l.targetOf[name]
		}
		if s.Target == nil {
			a.bad = true // reported here, or where the target is declared
		} else {
			if s.OnEmpty == "" {
				s.OnEmpty = s.Target.OnEmpty
			}
			l.accepts(a, attr, kind, s.Target)
		}
	}
	if kind.Reversibility == schema.Irreversible && !s.AcceptIrreversible {
		a.error(a.at, "Irreversible fault", "Nothing puts back what %q breaks. If that is acceptable here, say so: irreversible = \"accept\".", typ)
	}
	dec := decoder{l: l, ctx: i.ctx, what: what, meta: schema.FaultMeta, refuseSecrets: true}
	config, ok := dec.decode(d.block.Body, kind.Config, header(d.block))
	if !ok || a.bad {
		return nil
	}
	s.Config = config
	return s
}

// accepts checks that a fault can work on the kind of target it was given.
func (l *loader) accepts(a *args, attr *hclsyntax.Attribute, kind *schema.Fault, t *Target) {
	target := l.plugins[t.Plugin].description.Target(t.Type)
	var interfaces, lacking []string
	for _, accept := range kind.Accepts {
		interfaces = append(interfaces, accept.Interface)
		if !slices.Contains(target.Interfaces, accept.Interface) {
			continue
		}
		missing := ""
		for _, name := range accept.Attributes {
			if !slices.ContainsFunc(candidateFields(target), func(x schema.Attribute) bool { return x.Name == name }) {
				missing = name
			}
		}
		if missing == "" {
			return
		}
		lacking = append(lacking, missing)
	}
	if len(lacking) > 0 {
		a.error(attr.Expr.Range(), "Target does not fit", "The fault %q needs the attribute %s of its target, which a target %q does not report.", kind.Type, anyOf(lacking), target.Type)
		return
	}
	offered := "nothing"
	if len(target.Interfaces) > 0 {
		offered = anyOf(target.Interfaces)
	}
	a.error(attr.Expr.Range(), "Target does not fit", "The fault %q works on %s, and a target %q is %s.", kind.Type, anyOf(interfaces), target.Type, offered)
}

func (l *loader) loadAction(d *declared, i instance, plugin *schema.Description) *Step {
	typ := d.block.Labels[0]
	what := fmt.Sprintf("an action %q", typ)
	a := l.args(d.block, what, i.ctx)
	s := &Step{
		Kind:    ActionStep,
		Name:    d.nameOf(i),
		Type:    typ,
		Plugin:  schema.PluginOf(typ),
		Start:   a.duration("start", 0, 0, 0),
		Timeout: a.duration("timeout", DefaultActionTimeout, time.Millisecond, 0),
		Pos:     place(d.block.TypeRange),
	}
	dec := decoder{l: l, ctx: i.ctx, what: what, meta: schema.ActionMeta}
	config, ok := dec.decode(d.block.Body, plugin.Action(typ).Config, header(d.block))
	if !ok || a.bad {
		return nil
	}
	s.Config = config
	return s
}
