package scenario

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/faultline-go/faultline/internal/lazyregexp"
)

// use is one experiment of a scenario that takes its steps from an entry. The entry is
// read by a loader of its own, so that no name of the one is known in the other: what
// goes in are the inputs, what comes out is the experiment.
type use struct {
	by     *loader // the scenario's
	entry  *entry
	name   string    // of the experiment's instance
	at     hcl.Range // of the source
	inputs hcl.Range // where a missing input is reported
}

// loadUse reads an experiment with a source.
func (l *loader) loadUse(d *declared, i instance, e *entry) *Experiment {
	a := l.args(d.block, "an experiment block with a source", i.ctx)
	u := &use{by: l, entry: e, name: d.nameOf(i), at: d.block.Body.Attributes["source"].Expr.Range(), inputs: header(d.block)}
	inputs, ok := l.inputsOf(u, d.block.Body.Attributes["inputs"], i.ctx)
	if !ok || e.broken {
		return l.experimentHead(a, d.nameOf(i), plainHead)
	}
	inner := l.inside(u)
	block := inner.collectEntry(e)
	if block == nil {
		return l.experimentHead(a, d.nameOf(i), plainHead)
	}
	inner.loadInputs(inputs)
	inner.loadLocals()
	inner.loadTargets()

	b := inner.args(block, "an experiment block that others use", inner.root)
	b.only([]string{"hypothesis", "expect", "baseline", "observe", "recover_within"}, known["experiment"].blocks)
	x := l.experimentHead(a, u.name, *inner.experimentHead(b, u.name, plainHead))
	x.Source = e.source
	x.Chance = inner.loadChance(b)
	inner.loadSteps(x, block, inner.root)
	return x
}

// inside is the loader of an entry that is used. Diagnostics, files, plugins and secrets are
// the scenario's; names are its own.
func (l *loader) inside(u *use) *loader {
	inner := newLoader(l.scenario.Source, l.opts)
	inner.used = u
	inner.sources, inner.plugins, inner.secrets = l.sources, l.plugins, l.secrets
	inner.functions, inner.scenario = l.functions, l.scenario
	inner.prefix = u.name + "."
	return inner
}

// here is the place where the scenario says what the entry was read for: what is wrong
// there is for its author to mend.
func (l *loader) here(at hcl.Range) hcl.Range {
	if l.used != nil {
		return l.used.at
	}
	return at
}

// pos is the place of something, for later: that in an entry is said with where it is
// used.
func (l *loader) pos(at hcl.Range) string {
	if l.used != nil {
		return place(l.used.at) + ", in " + place(at)
	}
	return place(at)
}

// inputsOf evaluates the inputs that a scenario gives, each with its place.
func (l *loader) inputsOf(u *use, attr *hclsyntax.Attribute, ctx *hcl.EvalContext) (map[string]given, bool) {
	all := map[string]given{}
	if attr == nil {
		return all, true
	}
	u.inputs = attr.NameRange
	v, ok := l.evaluate(attr.Expr, ctx)
	if !ok {
		return nil, false
	}
	at := attr.Expr.Range()
	if v.IsMarked() {
		l.error(at, "Sensitive value", "Which inputs are given cannot depend on a sensitive value; the value of one of them can.")
		return nil, false
	}
	if t := v.Type(); v.IsNull() || !t.IsObjectType() && !t.IsMapType() {
		l.error(at, "Wrong type", "inputs is a map { name = value }, and this is %s.", typeInWords(t))
		return nil, false
	}
	places, _ := attr.Expr.(*hclsyntax.ObjectConsExpr)
	for it := v.ElementIterator(); it.Next(); {
		key, value := it.Element()
		g := given{value: value, from: "this", at: at}
		for _, item := range itemsOf(places) {
			if k, diags := item.KeyExpr.Value(ctx); !diags.HasErrors() && k.Type() == cty.String && k.IsKnown() && !k.IsNull() && !k.IsMarked() && k.AsString() == key.AsString() {
				g.at, g.name = item.ValueExpr.Range(), item.KeyExpr.Range()
			}
		}
		if g.name.Filename == "" {
			g.name = at
		}
		all[key.AsString()] = g
	}
	return all, true
}

func itemsOf(o *hclsyntax.ObjectConsExpr) []hclsyntax.ObjectConsItem {
	if o == nil {
		return nil
	}
	return o.Items
}

// loadInputs gives the variables of an entry their values: null is as good as none.
func (l *loader) loadInputs(inputs map[string]given) {
	outside := map[string]given{}
	var names []string
	for _, b := range l.blocks["variable"] {
		names = append(names, b.Labels[0])
	}
	declared := map[string]bool{}
	for _, name := range names {
		declared[name] = true
	}
	for _, name := range sortedKeys(inputs) {
		g := inputs[name]
		if !declared[name] {
			hint := l.didYouMean(name, names)
			switch {
			case hint == "" && len(names) == 0:
				hint = " It has none."
			case hint == "" && len(names) <= 20:
				hint = " It has " + allOf(names) + "."
			}
			l.error(g.name, "Unknown input", "%s has no input %q.%s", l.used.entry.source, name, hint)
			continue
		}
		if unmarked, _ := g.value.Unmark(); !unmarked.IsNull() {
			outside[name] = g
		}
	}
	l.declareVariables(outside)
	l.enterVariables()
}

// missingInput reports an input that has no default and was not given.
func (l *loader) missingInput(v *variable) {
	about := ""
	if v.about != "" {
		about = ": " + trimStop(v.about)
	}
	l.error(l.used.inputs, "Missing input", "%s needs the input %q%s. Add it to the experiment: inputs = { %s = … }.", l.used.entry.source, v.name, about, v.name)
}

var namesVariable = lazyregexp.New(`\bvar\.([\pL_][\pL\pN_-]*)`)

// toInput moves what is wrong with an expression of an entry to the input that made it
// so, where that is one and was given.
func (l *loader) toInput(d *hcl.Diagnostic) {
	if d.Subject == nil {
		return
	}
	var given *variable
	for _, m := range namesVariable().FindAllStringSubmatch(l.text(*d.Subject), -1) {
		v := l.variables[m[1]]
		if v == nil || v.at.Filename == "" || given != nil && given != v {
			return
		}
		given = v
	}
	if given == nil {
		return
	}
	d.Detail += fmt.Sprintf(" The input %q is used at %s.", given.name, place(*d.Subject))
	at := given.at
	d.Subject = &at
}
