package scenario

import (
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// sensitive marks values that came from a sensitive variable.
type mark string

const sensitive mark = "sensitive"

const redactedText = "(sensitive)"

// streams are the names that have a value only while a run goes on.
var streams = rootsOf("stream")

// references are the roots that name blocks, and stand only where a block is meant.
var referenceRoots = rootsOf("block")

// evaluate computes an expression. It is not ok when something is wrong, which is
// reported, or depends on a variable that was reported already.
func (l *loader) evaluate(expr hclsyntax.Expression, ctx *hcl.EvalContext) (cty.Value, bool) {
	if !l.namesExist(expr, ctx, "") {
		return cty.NilVal, false
	}
	v, diags := expr.Value(ctx)
	l.addEvaluation(diags)
	if diags.HasErrors() || !v.IsWhollyKnown() {
		return cty.NilVal, false
	}
	return v, true
}

// addEvaluation enters what HCL says of an expression, with a suggestion for a
// function that there is not.
func (l *loader) addEvaluation(diags hcl.Diagnostics) {
	for _, d := range diags {
		if call, ok := hcl.DiagnosticExtra[hclsyntax.FunctionCallUnknownDiagExtra](d); ok {
			hint := l.didYouMean(call.CalledFunctionName(), sortedKeys(l.functions.Functions))
			if hint == "" {
				hint = " Functions are pure: none reads files, the clock or the environment."
			}
			l.error(*d.Subject, "Unknown function", "There is no function %q.%s", call.CalledFunctionName(), hint)
			continue
		}
		l.add(d)
	}
}

// namesExist checks every name that an expression uses, so that a wrong one gets
// better words than the evaluation would find. stream is the one of sample and
// candidate that may be used; its fields are checked by the caller.
func (l *loader) namesExist(expr hclsyntax.Expression, ctx *hcl.EvalContext, stream string) bool {
	switch e := expr.(type) { // most arguments are constants, and name nothing
	case *hclsyntax.LiteralValueExpr:
		return true
	case *hclsyntax.TemplateExpr:
		if e.IsStringLiteral() {
			return true
		}
	}
	ok := true
	for _, t := range expr.Variables() {
		if t.RootName() != stream || stream == "" {
			ok = l.nameExists(t, ctx, stream) && ok
		}
	}
	return ok
}

func (l *loader) nameExists(t hcl.Traversal, ctx *hcl.EvalContext, stream string) bool {
	root, second := t.RootName(), stepName(t, 1)
	at := t.SourceRange()
	switch {
	case root == "var":
		if second == "" {
			l.error(at, "Incomplete reference", "Name a variable: var.NAME.")
			return false
		}
		if l.variables[second] == nil {
			hint := l.didYouMean(second, sortedKeys(l.variables))
			if hint == "" {
				hint = fmt.Sprintf(" Declare it: variable %q { type = string }.", second)
			}
			l.error(at, "Unknown variable", "There is no variable %q.%s", second, hint)
			return false
		}
	case root == "local":
		if second == "" {
			l.error(at, "Incomplete reference", "Name a local value: local.NAME.")
			return false
		}
		if l.locals[second] == nil {
			hint := l.didYouMean(second, sortedKeys(l.locals))
			if hint == "" {
				hint = fmt.Sprintf(" Define it: locals { %s = … }.", second)
			}
			l.error(at, "Unknown local value", "There is no local value %q.%s", second, hint)
			return false
		}
	case root == "each":
		if !inForEach(ctx) {
			l.error(at, "each outside for_each", "each has a value only in a block with for_each, or inside one.")
			return false
		}
		if second != "key" && second != "value" {
			l.error(at, "Unknown name", "each has each.key and each.value.")
			return false
		}
	case slices.Contains(streams, root):
		where := "in the good of an objective or a guard"
		if root == "candidate" {
			where = "in the condition of a filter"
		}
		l.error(at, "Name not known here", "%s. has a value only while a run goes on; it stands %s.", root, where)
		return false
	case slices.Contains(referenceRoots, root):
		l.error(at, "Reference not possible here", "%s names a block, which is not a value that can be calculated with.", l.text(at))
		return false
	default:
		names := rootsOf("value")
		if stream != "" {
			names = append(names, stream)
		}
		hint := l.didYouMean(root, names)
		if len(t) == 1 {
			hint = fmt.Sprintf(" If it is text, write it in quotes: %q.", root)
			if stream != "" {
				hint = fmt.Sprintf(" A field of what is looked at is written %s.%s; text stands in quotes.", stream, root)
			}
		} else if hint == "" {
			hint = " Values come from " + allOf(names) + "."
		}
		l.error(at, "Unknown name", "There is nothing named %q.%s", root, hint)
		return false
	}
	return true
}

// stepName is the name at a place in a traversal, written a.b or a["b"], or "".
func stepName(t hcl.Traversal, i int) string {
	if i >= len(t) {
		return ""
	}
	switch s := t[i].(type) {
	case hcl.TraverseAttr:
		return s.Name
	case hcl.TraverseIndex:
		if s.Key.Type() == cty.String && s.Key.IsKnown() && !s.Key.IsNull() && !s.Key.IsMarked() {
			return s.Key.AsString()
		}
	}
	return ""
}

func inForEach(ctx *hcl.EvalContext) bool {
	for ; ctx != nil; ctx = ctx.Parent() {
		if _, ok := ctx.Variables["each"]; ok {
			return true
		}
	}
	return false
}

// text is what stands in a range of a source file.
func (l *loader) text(r hcl.Range) string { return l.sources[r.Filename].textOf(r) }

// instance is one round of for_each: the key and the context with each.
type instance struct {
	key string
	ctx *hcl.EvalContext
}

// forEach evaluates the for_each of a block into instances; a block without it has
// one, without a key. What it finds is entered in d.
func (l *loader) forEach(d *declared, ctx *hcl.EvalContext) []instance {
	attr := d.block.Body.Attributes["for_each"]
	if attr == nil {
		return []instance{{ctx: ctx}}
	}
	d.forEach = true
	d.broken = true // until proven otherwise
	v, ok := l.evaluate(attr.Expr, ctx)
	if !ok {
		return nil
	}
	at := attr.Expr.Range()
	typ := v.Type()
	switch {
	case v.IsMarked():
		l.error(at, "Sensitive value", "The keys of for_each become names in the plan and the reports, so they cannot come from a sensitive variable.")
		return nil
	case v.IsNull():
		l.error(at, "No value", "for_each is null; for no instance at all, give it an empty map: {}.")
		return nil
	case typ.IsTupleType() || typ.IsListType():
		l.error(at, "Wrong type", "for_each takes a map or a set of strings, so that each instance has a name that stays. Write toset(%s).", l.text(at))
		return nil
	case typ.IsSetType() && typ.ElementType() != cty.String && v.LengthInt() > 0, !typ.IsSetType() && !typ.IsMapType() && !typ.IsObjectType():
		l.error(at, "Wrong type", "for_each takes a map or a set of strings, and this is %s.", typeInWords(typ))
		return nil
	}
	d.hasKey = map[string]bool{}
	var all []instance
	for it := v.ElementIterator(); it.Next(); {
		key, value := it.Element()
		if typ.IsSetType() {
			key = value
		}
		if key.IsNull() {
			l.error(at, "Null key", "A key of for_each is null.")
			return nil
		}
		child := ctx.NewChild()
		child.Variables = map[string]cty.Value{"each": cty.ObjectVal(map[string]cty.Value{"key": key, "value": value})}
		all = append(all, instance{key.AsString(), child})
		d.keys = append(d.keys, key.AsString())
		d.hasKey[key.AsString()] = true
	}
	d.broken = false
	return all
}

// nameOf is the name of an instance of a block.
func (d *declared) nameOf(i instance) string {
	if d.forEach {
		return instanceName(d.name, i.key)
	}
	return d.name
}
