package scenario

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// reference is a block that an expression names.
type reference struct {
	space *namespace
	to    *declared
	keyed bool
	key   string
	at    hcl.Range
}

// instances are the names of the instances meant: all of them without a key.
func (r reference) instances() []string {
	if r.keyed {
		return []string{instanceName(r.to.name, r.key)}
	}
	return r.to.instances()
}

// one reads an expression that names exactly one block of a namespace, and returns
// the name of the instance.
func (l *loader) one(expr hclsyntax.Expression, ctx *hcl.EvalContext, space *namespace) (string, *declared, bool) {
	r, ok := l.reference(expr, ctx, space)
	if !ok {
		return "", nil, false
	}
	if r.to.forEach && !r.keyed {
		if !r.to.broken {
			hint := `["KEY"]`
			if len(r.to.keys) > 0 {
				hint = fmt.Sprintf("[%q]", r.to.keys[0])
			}
			l.error(r.at, "Which instance?", "%s.%s has for_each, so it is many. Name one of them: %s.%s%s.", space.root, r.to.name, space.root, r.to.name, hint)
		}
		return "", nil, false
	}
	return r.instances()[0], r.to, true
}

// many reads a list of references.
func (l *loader) many(expr hclsyntax.Expression, ctx *hcl.EvalContext, spaces ...*namespace) ([]reference, bool) {
	list, ok := expr.(*hclsyntax.TupleConsExpr)
	if !ok {
		if r, ok := l.reference(expr, ctx, spaces...); ok {
			l.error(expr.Range(), "List expected", "Several can stand here, so write a list: [%s].", l.text(r.at))
		}
		return nil, false
	}
	var all []reference
	good := true
	for _, e := range list.Exprs {
		r, ok := l.reference(e, ctx, spaces...)
		if !ok {
			good = false
			continue
		}
		all = append(all, r)
	}
	return all, good
}

// reference reads probe.http.checkout, probe.http.checkout["a"],
// probe.http.checkout[each.key], and a condition that chooses between such.
func (l *loader) reference(expr hclsyntax.Expression, ctx *hcl.EvalContext, spaces ...*namespace) (reference, bool) {
	switch e := expr.(type) {
	case *hclsyntax.ParenthesesExpr:
		return l.reference(e.Expression, ctx, spaces...)
	case *hclsyntax.ConditionalExpr:
		v, ok := l.evaluate(e.Condition, ctx)
		if !ok {
			return reference{}, false
		}
		v, _ = v.Unmark()
		b, err := convert.Convert(v, cty.Bool)
		if err != nil || b.IsNull() {
			l.error(e.Condition.Range(), "Wrong type", "A condition is true or false, and this is %s.", typeInWords(v.Type()))
			return reference{}, false
		}
		if b.True() {
			return l.reference(e.TrueResult, ctx, spaces...)
		}
		return l.reference(e.FalseResult, ctx, spaces...)
	case *hclsyntax.IndexExpr:
		if t, ok := e.Collection.(*hclsyntax.ScopeTraversalExpr); ok {
			v, ok := l.evaluate(e.Key, ctx)
			if !ok {
				return reference{}, false
			}
			return l.follow(append(t.Traversal[:len(t.Traversal):len(t.Traversal)], hcl.TraverseIndex{Key: v, SrcRange: e.Key.Range()}), e.Range(), spaces)
		}
	case *hclsyntax.ScopeTraversalExpr:
		return l.follow(e.Traversal, e.Range(), spaces)
	case *hclsyntax.TemplateExpr:
		if v, diags := e.Value(nil); !diags.HasErrors() && v.Type() == cty.String && v.IsKnown() {
			for _, n := range spaces {
				if n.all[v.AsString()] != nil {
					l.error(expr.Range(), "Reference expected", "A reference has no quotes: %s.%s.", n.root, v.AsString())
					return reference{}, false
				}
			}
		}
	}
	l.error(expr.Range(), "Reference expected", "This names no %s. Write a reference such as %s.", whatOf(spaces), spaces[0].example())
	return reference{}, false
}

func whatOf(spaces []*namespace) string {
	s := spaces[0].what()
	for _, n := range spaces[1:] {
		s += " or " + n.what()
	}
	return s
}

func (l *loader) follow(t hcl.Traversal, at hcl.Range, spaces []*namespace) (reference, bool) {
	var space *namespace
	for _, n := range spaces {
		if n.root == t.RootName() {
			space = n
		}
	}
	if space == nil {
		var roots []string
		for _, n := range spaces {
			roots = append(roots, n.root)
		}
		l.error(at, "Wrong reference", "A %s is meant here, and %s is none. Write a reference such as %s.%s", whatOf(spaces), l.text(at), spaces[0].example(), l.didYouMean(t.RootName(), roots))
		return reference{}, false
	}
	name := ""
	for i := 1; i <= space.labels; i++ {
		step := stepName(t, i)
		if step == "" {
			l.error(at, "Incomplete reference", "A reference to a %s looks like %s.", space.what(), space.example())
			return reference{}, false
		}
		if i > 1 {
			name += "."
		}
		name += step
	}
	to := space.all[name]
	if to == nil {
		l.error(at, "Unknown "+space.what(), "There is no %s %q.%s", space.what(), name, l.nearest(space, name))
		return reference{}, false
	}
	to.used = true
	r := reference{space: space, to: to, at: at}
	rest := t[space.labels+1:]
	if len(rest) == 0 {
		return r, true
	}
	index, isIndex := rest[0].(hcl.TraverseIndex)
	if !isIndex || len(rest) > 1 {
		l.error(at, "Wrong reference", "A reference to a %s looks like %s; it has no parts that can be read.", space.what(), space.root+"."+name)
		return reference{}, false
	}
	key, err := convert.Convert(index.Key, cty.String)
	if err != nil || key.IsNull() || key.IsMarked() || !key.IsKnown() {
		l.error(at, "Wrong reference", "The key of an instance is a text that is not sensitive, as in %s.%s[\"a\"].", space.root, name)
		return reference{}, false
	}
	r.keyed, r.key = true, key.AsString()
	if to.broken {
		return reference{}, false
	}
	if !to.forEach {
		l.error(at, "Not many", "%s.%s has no for_each, so it has no instances: write it without the key.", space.root, name)
		return reference{}, false
	}
	if !to.hasKey[r.key] {
		hint := l.didYouMean(r.key, to.keys)
		if hint == "" && len(to.keys) > 0 && len(to.keys) <= 12 {
			hint = " It has " + allOf(to.keys) + "."
		}
		l.error(at, "Unknown instance", "%s.%s has no instance %q.%s", space.root, name, r.key, hint)
		return reference{}, false
	}
	return r, true
}

// nearest suggests a block for a name that is none: one that is written nearly so,
// else one whose last part is the same.
func (l *loader) nearest(space *namespace, name string) string {
	if len(space.order) == 0 {
		return fmt.Sprintf(" There is no %s block at all.", space.root)
	}
	names := space.names()
	if hint := l.didYouMean(name, names); hint != "" {
		return hint
	}
	if space.labels == 2 {
		for _, d := range space.order {
			if _, last, _ := strings.Cut(name, "."); last != "" && d.block.Labels[1] == last {
				return fmt.Sprintf(" Did you mean %q?", d.name)
			}
		}
	}
	if len(names) <= 12 {
		return " There is " + allOf(names) + "."
	}
	return ""
}
