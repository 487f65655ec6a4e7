package scenario

import (
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// local is a named value of a locals block.
type local struct {
	attr  *hclsyntax.Attribute
	needs []string // other locals, in the order in which they are used
	state visit
	value cty.Value
}

// visit is how far a walk over a graph has come with a node.
type visit int

const (
	unseen visit = iota
	open         // on the path being walked: meeting it again is a cycle
	closed
)

// loadLocals evaluates the locals in the order that their references make.
func (l *loader) loadLocals() {
	var order []string
	for _, b := range l.blocks["locals"] {
		for _, inner := range b.Body.Blocks {
			l.error(inner.TypeRange, "Unknown block", "A locals block has only lines of the form: name = value.")
		}
		for _, attr := range byPlace(b.Body.Attributes) {
			if first := l.locals[attr.Name]; first != nil {
				l.error(attr.NameRange, "Duplicate local value", "%q is already defined at %s. Remove one of the two.", attr.Name, place(first.attr.NameRange))
				continue
			}
			x := &local{attr: attr, value: cty.DynamicVal}
			for _, t := range attr.Expr.Variables() {
				if t.RootName() == "local" {
					x.needs = append(x.needs, stepName(t, 1))
				}
			}
			l.locals[attr.Name] = x
			order = append(order, attr.Name)
		}
	}
	values := map[string]cty.Value{}
	for _, name := range order {
		l.resolveLocal(name, nil)
		values[name] = l.locals[name].value
	}
	l.root.Variables["local"] = cty.ObjectVal(values)
}

// resolveLocal evaluates one local after those it needs. path is how it was
// reached. It reports a cycle once, and leaves its members unknown.
func (l *loader) resolveLocal(name string, path []string) {
	x := l.locals[name]
	if x == nil || x.state == closed {
		return // unknown names are reported by the evaluation
	}
	path = append(path, name)
	if x.state == open {
		from := 0
		for path[from] != name {
			from++
		}
		l.error(x.attr.NameRange, "Cycle", "These local values need each other: %s. One of them must stand by itself.", strings.Join(path[from:], " → "))
		return
	}
	x.state = open
	known := map[string]cty.Value{}
	for _, n := range x.needs {
		l.resolveLocal(n, path)
		if other := l.locals[n]; other != nil {
			known[n] = other.value
		}
	}
	ctx := l.root.NewChild()
	ctx.Variables = map[string]cty.Value{"local": cty.ObjectVal(known)}
	if v, ok := l.evaluate(x.attr.Expr, ctx); ok {
		x.value = v
	}
	x.state = closed
}
