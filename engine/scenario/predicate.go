package scenario

import (
	"fmt"
	"math"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/faultline-go/faultline/sdk/schema"
)

// predicate is a condition on samples. The common forms are compiled to a closure,
// as a probe may take a thousand samples a second; the rest is left to HCL.
type predicate struct {
	*condition
	countFailed bool
	fast        func(*schema.Sample) truth // nil: HCL evaluates
}

func (l *loader) compilePredicate(expr hclsyntax.Expression, ctx *hcl.EvalContext, probe *Probe, countFailed bool) Predicate {
	c := l.compileCondition(expr, ctx, "sample", l.sampleFields(probe), fmt.Sprintf("a probe %q", probe.Type))
	if c == nil {
		return nil
	}
	return &predicate{condition: c, countFailed: countFailed, fast: c.compile(expr)}
}

func (p *predicate) Source() string { return p.source }
func (p *predicate) Pos() string    { return p.pos }

func (p *predicate) Eval(s *schema.Sample) Answer {
	switch s.Status {
	case schema.Missing:
		return Unknown
	case schema.Failed:
		if p.countFailed {
			return No
		}
		return Unknown
	}
	if p.fast != nil {
		return p.fast(s).answer()
	}
	return p.slow(s)
}

// slow lets HCL evaluate the condition.
func (p *predicate) slow(s *schema.Sample) Answer {
	v, diags := p.expr.Value(p.context(func(a *schema.Attribute) cty.Value {
		switch a.Name {
		case "ok":
			return cty.BoolVal(s.Status == schema.OK)
		case "latency", "value", "time":
			f := numberField(a.Name)(s)
			if math.IsNaN(f) {
				return cty.NullVal(cty.Number)
			}
			return floatValue(f)
		}
		return p.plainValue(a, s.Extra[a.Name])
	}))
	if diags.HasErrors() {
		return Unknown
	}
	v, _ = v.Unmark()
	if v.Type() != cty.Bool || !v.IsKnown() || v.IsNull() {
		return Unknown
	}
	if v.True() {
		return Yes
	}
	return No
}

// truth is what a condition can be in HCL.
type truth uint8

const (
	isFalse truth = iota
	isTrue
	null   // a field that is null
	failed // the evaluation has an error
)

func (t truth) answer() Answer {
	switch t {
	case isFalse:
		return No
	case isTrue:
		return Yes
	}
	return Unknown
}

func truthOf(b bool) truth {
	if b {
		return isTrue
	}
	return isFalse
}

// compile makes a closure of an expression, or returns nil when its form is not one
// of those that it knows: fields, constants, comparisons, !, && and ||. Its answers
// are those of HCL, which a property test checks.
func (c *condition) compile(expr hclsyntax.Expression) func(*schema.Sample) truth {
	switch e := expr.(type) {
	case *hclsyntax.ParenthesesExpr:
		return c.compile(e.Expression)
	case *hclsyntax.ScopeTraversalExpr:
		return c.boolField(e)
	case *hclsyntax.UnaryOpExpr:
		if e.Op != hclsyntax.OpLogicalNot {
			return nil
		}
		x := c.compile(e.Val)
		if x == nil {
			return nil
		}
		return func(s *schema.Sample) truth {
			switch x(s) {
			case isFalse:
				return isTrue
			case isTrue:
				return isFalse
			}
			return failed
		}
	case *hclsyntax.BinaryOpExpr:
		switch e.Op {
		case hclsyntax.OpLogicalAnd, hclsyntax.OpLogicalOr:
			x, y := c.compile(e.LHS), c.compile(e.RHS)
			if x == nil || y == nil {
				return nil
			}
			if e.Op == hclsyntax.OpLogicalAnd {
				return and(x, y)
			}
			return or(x, y)
		}
		return c.compileComparison(e)
	}
	return nil
}

// and is false as soon as one side is; HCL takes a null for false here.
func and(x, y func(*schema.Sample) truth) func(*schema.Sample) truth {
	return func(s *schema.Sample) truth {
		a := x(s)
		if a == isFalse || a == null {
			return isFalse
		}
		b := y(s)
		if b == isFalse || b == null {
			return isFalse
		}
		if a == isTrue && b == isTrue {
			return isTrue
		}
		return failed
	}
}

func or(x, y func(*schema.Sample) truth) func(*schema.Sample) truth {
	return func(s *schema.Sample) truth {
		a := x(s)
		if a == isTrue {
			return isTrue
		}
		b := y(s)
		if b == isTrue {
			return isTrue
		}
		if a == isFalse && b == isFalse {
			return isFalse
		}
		return failed
	}
}

// boolField reads sample.ok or a field of type bool.
func (c *condition) boolField(e *hclsyntax.ScopeTraversalExpr) func(*schema.Sample) truth {
	name, a := c.field(e)
	if a == nil || a.Type != "bool" {
		return nil
	}
	if name == "ok" {
		return func(s *schema.Sample) truth { return truthOf(s.Status == schema.OK) }
	}
	return func(s *schema.Sample) truth {
		b, ok := s.Extra[name].(bool)
		if !ok {
			return null
		}
		return truthOf(b)
	}
}

// field is the field that an expression names and nothing more.
func (c *condition) field(e *hclsyntax.ScopeTraversalExpr) (string, *schema.Attribute) {
	if e.Traversal.RootName() != c.stream || len(e.Traversal) != 2 {
		return "", nil
	}
	name := stepName(e.Traversal, 1)
	return name, c.fields[name]
}

// compileComparison compares numbers, and texts for being equal.
func (c *condition) compileComparison(e *hclsyntax.BinaryOpExpr) func(*schema.Sample) truth {
	if x, y := c.number(e.LHS), c.number(e.RHS); x != nil && y != nil {
		return compareNumbers(e.Op, x, y)
	}
	if x, y := c.string(e.LHS), c.string(e.RHS); x != nil && y != nil {
		switch e.Op {
		case hclsyntax.OpEqual, hclsyntax.OpNotEqual:
			equal := e.Op == hclsyntax.OpEqual
			return func(s *schema.Sample) truth {
				a, okA := x(s)
				b, okB := y(s)
				return truthOf((okA == okB && a == b) == equal)
			}
		}
	}
	return nil
}

// compareNumbers compares two numbers, of which NaN is null: null equals only null,
// and is neither more nor less than anything.
func compareNumbers(op *hclsyntax.Operation, x, y func(*schema.Sample) float64) func(*schema.Sample) truth {
	var test func(a, b float64) bool
	switch op {
	case hclsyntax.OpEqual, hclsyntax.OpNotEqual:
		equal := op == hclsyntax.OpEqual
		return func(s *schema.Sample) truth {
			a, b := x(s), y(s)
			return truthOf((a == b || math.IsNaN(a) && math.IsNaN(b)) == equal)
		}
	case hclsyntax.OpLessThan:
		test = func(a, b float64) bool { return a < b }
	case hclsyntax.OpLessThanOrEqual:
		test = func(a, b float64) bool { return a <= b }
	case hclsyntax.OpGreaterThan:
		test = func(a, b float64) bool { return a > b }
	case hclsyntax.OpGreaterThanOrEqual:
		test = func(a, b float64) bool { return a >= b }
	default:
		return nil
	}
	return func(s *schema.Sample) truth {
		a, b := x(s), y(s)
		if math.IsNaN(a) || math.IsNaN(b) {
			return failed
		}
		return truthOf(test(a, b))
	}
}

// number compiles a field or a constant that is a number; null is NaN.
func (c *condition) number(e hclsyntax.Expression) func(*schema.Sample) float64 {
	if p, ok := e.(*hclsyntax.ParenthesesExpr); ok {
		return c.number(p.Expression)
	}
	if t, ok := e.(*hclsyntax.ScopeTraversalExpr); ok {
		if name, a := c.field(t); a != nil {
			if a.Type != "number" {
				return nil
			}
			return numberField(name)
		}
	}
	v, ok := c.constant(e, cty.Number)
	if !ok {
		return nil
	}
	// A constant with more digits than a float holds is left to HCL.
	f, _ := v.AsBigFloat().Float64()
	if math.IsInf(f, 0) || v.AsBigFloat().Cmp(floatValue(f).AsBigFloat()) != 0 {
		return nil
	}
	return func(*schema.Sample) float64 { return f }
}

func numberField(name string) func(*schema.Sample) float64 {
	switch name {
	case "latency":
		return func(s *schema.Sample) float64 { return s.Latency }
	case "value":
		return func(s *schema.Sample) float64 { return s.Value }
	case "time":
		// Whole microseconds: a float has no more digits at today's date.
		return func(s *schema.Sample) float64 { return float64(s.Scheduled.UnixMicro()) / 1e6 }
	}
	return func(s *schema.Sample) float64 {
		switch v := s.Extra[name].(type) {
		case float64:
			return v
		case int:
			return float64(v)
		case int64:
			return float64(v)
		}
		return math.NaN()
	}
}

// string compiles a field or a constant that is a text; ok is false for null.
func (c *condition) string(e hclsyntax.Expression) func(*schema.Sample) (string, bool) {
	if p, ok := e.(*hclsyntax.ParenthesesExpr); ok {
		return c.string(p.Expression)
	}
	if t, ok := e.(*hclsyntax.ScopeTraversalExpr); ok {
		if name, a := c.field(t); a != nil {
			if fieldType(a) != cty.String {
				return nil
			}
			return func(s *schema.Sample) (string, bool) {
				v, ok := s.Extra[name].(string)
				return cty.NormalizeString(v), ok
			}
		}
	}
	v, ok := c.constant(e, cty.String)
	if !ok {
		return nil
	}
	text := v.AsString()
	return func(*schema.Sample) (string, bool) { return text, true }
}

// constant evaluates an expression that does not read the stream.
func (c *condition) constant(e hclsyntax.Expression, typ cty.Type) (cty.Value, bool) {
	for _, t := range e.Variables() {
		if t.RootName() == c.stream {
			return cty.NilVal, false
		}
	}
	v, diags := e.Value(c.ctx)
	v, _ = v.Unmark()
	if diags.HasErrors() || v.Type() != typ || !v.IsKnown() || v.IsNull() {
		return cty.NilVal, false
	}
	return v, true
}
