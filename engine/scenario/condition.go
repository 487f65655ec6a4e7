package scenario

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/faultline-go/faultline/sdk/schema"
)

// condition is an expression over the fields of a stream ("sample" or "candidate"),
// checked against what the fields are declared to be.
type condition struct {
	expr   hclsyntax.Expression
	ctx    *hcl.EvalContext
	stream string
	fields map[string]*schema.Attribute // those that it reads
	// keys are the entries that it reads of fields that are maps; one that is absent
	// is null, where HCL would fail.
	keys   map[string][]string
	source string
	pos    string
}

// fieldType is the type of a declared field in the expression language.
func fieldType(a *schema.Attribute) cty.Type {
	switch a.Type {
	case "number":
		return cty.Number
	case "bool":
		return cty.Bool
	case "list(string)":
		return cty.List(cty.String)
	case "list(number)":
		return cty.List(cty.Number)
	case "map(string)":
		return cty.Map(cty.String)
	}
	return cty.String // also a duration
}

// compileCondition checks an expression, and returns nil after reporting what is
// wrong. of says in words what has the fields: `a probe "http"`.
func (l *loader) compileCondition(expr hclsyntax.Expression, ctx *hcl.EvalContext, stream string, fields []schema.Attribute, of string) *condition {
	c := &condition{
		expr:   expr,
		ctx:    ctx,
		stream: stream,
		fields: map[string]*schema.Attribute{},
		keys:   map[string][]string{},
		source: l.text(expr.Range()),
		pos:    place(expr.Range()),
	}
	ok := l.namesExist(expr, ctx, stream)
	for _, t := range expr.Variables() {
		if t.RootName() == stream {
			ok = l.readsField(c, t, fields, of) && ok
		}
	}
	if !ok {
		return nil
	}
	if len(c.fields) == 0 {
		l.error(expr.Range(), "Condition on nothing", "This never looks at the %s, so it is the same for all. Use a field, such as %s.%s.", stream, stream, fields[0].Name)
		return nil
	}
	unknown := c.context(func(a *schema.Attribute) cty.Value { return cty.UnknownVal(fieldType(a)) })
	if !l.comparable(c, unknown) {
		return nil
	}
	v, diags := expr.Value(unknown)
	l.addEvaluation(diags)
	if diags.HasErrors() {
		return nil
	}
	v, _ = v.Unmark()
	if t := v.Type(); t != cty.Bool && t != cty.DynamicPseudoType {
		example := " < 1"
		if t == cty.String {
			example = ` == "web"`
		}
		l.error(expr.Range(), "Wrong type", "A condition is true or false, and this is %s. Compare it with something, as in: %s%s.", typeInWords(t), c.source, example)
		return nil
	}
	if v.IsKnown() {
		word := "null"
		if !v.IsNull() {
			word = strconv.FormatBool(v.True())
		}
		l.error(expr.Range(), "Condition on nothing", "This is always %s, whatever the %s is.", word, stream)
		return nil
	}
	return c
}

// readsField checks one use of the stream and enters it.
func (l *loader) readsField(c *condition, t hcl.Traversal, fields []schema.Attribute, of string) bool {
	at := t.SourceRange()
	name := stepName(t, 1)
	if name == "" {
		l.error(at, "Incomplete reference", "Name a field: %s.%s.", c.stream, fields[0].Name)
		return false
	}
	i := slices.IndexFunc(fields, func(a schema.Attribute) bool { return a.Name == name })
	if i < 0 {
		names := make([]string, len(fields))
		for j := range fields {
			names[j] = fields[j].Name
		}
		slices.Sort(names)
		hint := l.didYouMean(name, names)
		if hint == "" {
			hint = " It has " + allOf(names) + "."
		}
		l.error(at, "Unknown field", "The %s of %s has no field %q.%s", c.stream, of, name, hint)
		return false
	}
	c.fields[name] = &fields[i]
	if key := stepName(t, 2); key != "" && fields[i].Type == "map(string)" && !slices.Contains(c.keys[name], key) {
		c.keys[name] = append(c.keys[name], key)
	}
	return true
}

// comparable reports comparisons that can never be equal: of different types, and
// with a text that the field cannot have.
func (l *loader) comparable(c *condition, unknown *hcl.EvalContext) bool {
	ok := true
	diags := hclsyntax.VisitAll(c.expr, func(n hclsyntax.Node) hcl.Diagnostics {
		e, is := n.(*hclsyntax.BinaryOpExpr)
		if !is {
			return nil
		}
		a, wrongA := e.LHS.Value(unknown)
		b, wrongB := e.RHS.Value(unknown)
		if wrongA.HasErrors() || wrongB.HasErrors() {
			return nil // reported when the whole is evaluated, or a variable of a for
		}
		x, y := a.Type(), b.Type()
		if x == cty.Number && l.isDuration(e.RHS, b) || y == cty.Number && l.isDuration(e.LHS, a) {
			ok = false
			return nil
		}
		if e.Op != hclsyntax.OpEqual && e.Op != hclsyntax.OpNotEqual {
			return nil
		}
		if x.IsPrimitiveType() && y.IsPrimitiveType() && x != y {
			l.error(e.SrcRange, "Never equal", "The left side is %s and the right side is %s, so they are never equal.", typeInWords(x), typeInWords(y))
			ok = false
			return nil
		}
		ok = l.possible(c, e.LHS, b) && l.possible(c, e.RHS, a) && ok
		return nil
	})
	return ok && !diags.HasErrors()
}

// isDuration reports a duration in quotes where a number belongs.
func (l *loader) isDuration(e hclsyntax.Expression, v cty.Value) bool {
	v, _ = v.Unmark()
	if v.Type() != cty.String || !v.IsKnown() || v.IsNull() || v.AsString() == "0" {
		return false
	}
	if _, _, ok := parseDuration(v.AsString()); !ok {
		return false
	}
	l.error(e.Range(), "Text compared with a number", "Measured times are numbers of seconds. Write duration(%s).", l.text(e.Range()))
	return true
}

// possible checks a constant text against the values that a field can have.
func (l *loader) possible(c *condition, field hclsyntax.Expression, v cty.Value) bool {
	t, ok := field.(*hclsyntax.ScopeTraversalExpr)
	if !ok || t.Traversal.RootName() != c.stream || len(t.Traversal) != 2 {
		return true
	}
	a := c.fields[stepName(t.Traversal, 1)]
	v, _ = v.Unmark()
	if a == nil || len(a.Enum) == 0 || v.Type() != cty.String || !v.IsKnown() || v.IsNull() || slices.Contains(a.Enum, v.AsString()) {
		return true
	}
	l.error(c.expr.Range(), "Never equal", "%s.%s is %s, never %q.%s", c.stream, a.Name, anyOf(a.Enum), v.AsString(), l.didYouMean(v.AsString(), a.Enum))
	return false
}

// context is what the expression is evaluated in, with values for the fields that
// it reads.
func (c *condition) context(value func(*schema.Attribute) cty.Value) *hcl.EvalContext {
	values := make(map[string]cty.Value, len(c.fields))
	for name, a := range c.fields {
		values[name] = value(a)
	}
	child := c.ctx.NewChild()
	child.Variables = map[string]cty.Value{c.stream: cty.ObjectVal(values)}
	return child
}

// floatValue is the number that a float is written as, so that a measured 0.3
// equals the 0.3 of the scenario, which HCL keeps as a decimal of 512 bits.
func floatValue(f float64) cty.Value {
	if math.IsInf(f, 1) {
		return cty.PositiveInfinity
	}
	if math.IsInf(f, -1) {
		return cty.NegativeInfinity
	}
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return cty.NumberIntVal(int64(f))
	}
	v, err := cty.ParseNumberVal(strconv.FormatFloat(f, 'g', -1, 64))
	if err != nil {
		return cty.NumberFloatVal(f)
	}
	return v
}

// plainValue is a JSON value as a declared field; what does not fit is null.
func (c *condition) plainValue(a *schema.Attribute, v any) cty.Value {
	typ := fieldType(a)
	switch v := v.(type) {
	case string:
		if typ == cty.String {
			return cty.StringVal(v)
		}
	case bool:
		if typ == cty.Bool {
			return cty.BoolVal(v)
		}
	case float64:
		if typ == cty.Number && !math.IsNaN(v) {
			return floatValue(v)
		}
	case int:
		if typ == cty.Number {
			return cty.NumberIntVal(int64(v))
		}
	case int64:
		if typ == cty.Number {
			return cty.NumberIntVal(v)
		}
	case []string:
		all := make([]any, len(v))
		for i, s := range v {
			all[i] = s
		}
		return c.plainValue(a, all)
	case []any:
		if !typ.IsListType() {
			break
		}
		element := &schema.Attribute{Type: a.Type[len("list(") : len(a.Type)-1]}
		all := make([]cty.Value, len(v))
		for i, e := range v {
			all[i] = c.plainValue(element, e)
		}
		if len(all) == 0 {
			return cty.ListValEmpty(typ.ElementType())
		}
		return cty.ListVal(all)
	case map[string]string:
		all := make(map[string]any, len(v))
		for k, s := range v {
			all[k] = s
		}
		return c.plainValue(a, all)
	case map[string]any:
		if !typ.IsMapType() {
			break
		}
		all := make(map[string]cty.Value, len(v)+len(c.keys[a.Name]))
		for _, k := range c.keys[a.Name] {
			all[k] = cty.NullVal(cty.String)
		}
		for k, e := range v {
			all[k] = c.plainValue(&schema.Attribute{Type: "string"}, e)
		}
		if len(all) == 0 {
			return cty.MapValEmpty(cty.String)
		}
		return cty.MapVal(all)
	case nil:
		if typ.IsMapType() {
			return c.plainValue(a, map[string]any{})
		}
	}
	return cty.NullVal(typ)
}

// filter is a condition on candidates.
type filter struct{ *condition }

func (l *loader) compileFilter(expr hclsyntax.Expression, ctx *hcl.EvalContext, kind *schema.Target) Filter {
	c := l.compileCondition(expr, ctx, "candidate", candidateFields(kind), fmt.Sprintf("a target %q", kind.Type))
	if c == nil {
		return nil
	}
	return filter{c}
}

func (f filter) Source() string { return f.source }
func (f filter) Pos() string    { return f.pos }

func (f filter) Eval(c schema.Candidate) (bool, error) {
	ctx := f.context(func(a *schema.Attribute) cty.Value {
		v, ok := c.Attributes[a.Name]
		if !ok {
			switch a.Name {
			case "id":
				v = c.ID
			case "name":
				v = c.Name
			}
		}
		return f.plainValue(a, v)
	})
	v, diags := f.expr.Value(ctx)
	if diags.HasErrors() {
		return false, fmt.Errorf("filter at %s on %s: %s", f.pos, c.Name, diags[0].Detail)
	}
	v, _ = v.Unmark()
	if v.Type() != cty.Bool || !v.IsKnown() || v.IsNull() {
		return false, fmt.Errorf("filter at %s on %s: the condition is neither true nor false", f.pos, c.Name)
	}
	return v.True(), nil
}
