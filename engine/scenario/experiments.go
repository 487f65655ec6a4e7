package scenario

import (
	"fmt"
	"slices"
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
		all = append(all, l.loadExperimentBlock(d, instances[d])...)
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

// loadExperimentBlock reads one block into an experiment an instance. Its steps stand in
// it, or come from a source.
func (l *loader) loadExperimentBlock(d *declared, instances []instance) []*Experiment {
	source := d.block.Body.Attributes["source"]
	what, blocks := "an experiment block", known["experiment"].blocks
	if source != nil {
		what = "an experiment block with a source"
	}
	a := l.args(d.block, what, l.root)
	if attr := d.block.Body.Attributes["inputs"]; attr != nil && source == nil {
		a.error(attr.NameRange, "Inputs without a source", "inputs are those of a source: add source = \"catalog:NAME\", or remove them.")
	}
	for _, b := range d.block.Body.Blocks {
		if source != nil && slices.Contains(blocks, b.Type) {
			a.error(b.DefRange(), "Two places of steps", "The steps of this experiment come from its source, so it cannot have a %s block of its own. Put it into another experiment, or take a copy of the source with `faultline catalog`.", b.Type)
		}
	}
	a.knows("experiment")
	var e *entry
	if source != nil {
		e = l.sourceOf(source)
	}
	var all []*Experiment
	for _, i := range instances {
		x := l.loadExperiment(d, i, e)
		l.steadyStateOf(x, d.block, i.ctx)
		l.dependsOn(x, d.block, i.ctx)
		all = append(all, x)
	}
	return all
}

func (l *loader) loadExperiment(d *declared, i instance, e *entry) *Experiment {
	var x *Experiment
	switch {
	case e != nil:
		x = l.loadUse(d, i, e)
	default:
		a := l.args(d.block, "an experiment block", i.ctx)
		x = l.experimentHead(a, d.nameOf(i), plainHead)
		if d.block.Body.Attributes["source"] == nil {
			x.Chance = l.loadChance(a)
			l.loadSteps(x, d.block, i.ctx)
		}
	}
	x.Pos = place(d.block.TypeRange)
	if x.Chance != nil && x.Chance.Group == "" {
		x.Chance.Group = l.scenario.Name + "/" + x.Name
	}
	return x
}

// plainHead is what an experiment is that says nothing.
var plainHead = Experiment{Expect: "tolerate", Baseline: DefaultBaseline, RecoverWithin: DefaultRecover}

// experimentHead reads what an experiment says beside its steps.
func (l *loader) experimentHead(a *args, name string, otherwise Experiment) *Experiment {
	return &Experiment{
		Name:          name,
		Hypothesis:    a.str("hypothesis", otherwise.Hypothesis),
		Expect:        a.enum("expect", otherwise.Expect, "tolerate", "recover"),
		Baseline:      a.duration("baseline", otherwise.Baseline, 0, 0),
		Observe:       a.duration("observe", otherwise.Observe, 0, 0),
		RecoverWithin: a.duration("recover_within", otherwise.RecoverWithin, 0, 0),
	}
}

func (l *loader) steadyStateOf(x *Experiment, b *hclsyntax.Block, ctx *hcl.EvalContext) {
	a := l.args(b, "an experiment block", ctx)
	if !a.require("steady_state", "steady_state = ["+l.steady.example()+"]") {
		return
	}
	attr := b.Body.Attributes["steady_state"]
	refs, _ := l.many(attr.Expr, ctx, l.steady)
	seen := map[string]bool{}
	for _, r := range refs {
		if seen[r.to.name] {
			l.error(r.at, "Listed twice", "The steady state %q stands twice in the list. Remove one of them.", r.to.name)
			continue
		}
		seen[r.to.name] = true
		x.Objectives = append(x.Objectives, l.objectives[r.to.name]...)
	}
	if list, ok := attr.Expr.(*hclsyntax.TupleConsExpr); ok && len(list.Exprs) == 0 {
		l.error(list.Range(), "No steady state", "Without a steady state there is nothing to judge. Write for example [%s].", l.steady.example())
	}
}

func (l *loader) dependsOn(x *Experiment, b *hclsyntax.Block, ctx *hcl.EvalContext) {
	attr := b.Body.Attributes["depends_on"]
	if attr == nil {
		return
	}
	refs, _ := l.many(attr.Expr, ctx, l.experiments)
	for _, r := range refs {
		x.DependsOn = append(x.DependsOn, r.to.name) // made into instances by dependencies
		if r.keyed {
			x.DependsOn[len(x.DependsOn)-1] = instanceName(r.to.name, r.key)
		}
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
		Pos:      l.pos(d.block.TypeRange),
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

// Fits says whether a fault can work on a kind of target: whether it accepts one of its
// interfaces, and is told what it needs to know of it.
func Fits(fault *schema.Fault, target *schema.Target) bool {
	return slices.ContainsFunc(fault.Accepts, func(a schema.Accept) bool {
		return slices.Contains(target.Interfaces, a.Interface) && lacks(a, target) == ""
	})
}

// lacks names an attribute that a fault needs and a target does not report.
func lacks(a schema.Accept, target *schema.Target) string {
	missing := ""
	for _, name := range a.Attributes {
		if !slices.ContainsFunc(candidateFields(target), func(x schema.Attribute) bool { return x.Name == name }) {
			missing = name
		}
	}
	return missing
}

// accepts checks that a fault can work on the kind of target it was given.
func (l *loader) accepts(a *args, attr *hclsyntax.Attribute, kind *schema.Fault, t *Target) {
	target := l.plugins[t.Plugin].description.Target(t.Type)
	if Fits(kind, target) {
		return
	}
	var interfaces, lacking []string
	for _, accept := range kind.Accepts {
		interfaces = append(interfaces, accept.Interface)
		if slices.Contains(target.Interfaces, accept.Interface) {
			lacking = append(lacking, lacks(accept, target))
		}
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
		Pos:     l.pos(d.block.TypeRange),
	}
	dec := decoder{l: l, ctx: i.ctx, what: what, meta: schema.ActionMeta}
	config, ok := dec.decode(d.block.Body, plugin.Action(typ).Config, header(d.block))
	if !ok || a.bad {
		return nil
	}
	s.Config = config
	return s
}
