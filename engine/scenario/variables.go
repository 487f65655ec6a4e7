package scenario

import (
	"fmt"
	"os"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// environPrefix comes before the name of a variable in the environment.
const environPrefix = "FAULTLINE_VAR_"

// variable is a declared variable and its value. A value that is unknown means that
// what is wrong with it was reported.
type variable struct {
	name      string
	block     *hclsyntax.Block
	typ       cty.Type
	defaults  *typeexpr.Defaults
	sensitive bool
	about     string // its description
	value     cty.Value
	at        hcl.Range // of the value, where it stands in a source file
}

// given is a value from outside the scenario, and where it came from in words.
type given struct {
	value cty.Value // of a variable file
	text  string    // of -var or the environment; then value is NilVal
	from  string
	at    hcl.Range // of an input: where it stands
	name  hcl.Range // of an input: where its name does
}

func (l *loader) loadVariables() {
	l.functions = &hcl.EvalContext{Functions: functions()}
	outside := l.givenValues()
	l.declareVariables(outside)
	for _, name := range sortedKeys(outside) {
		if l.variables[name] == nil && !l.opts.Survey {
			l.add(&hcl.Diagnostic{
				Severity: hcl.DiagError,
				Summary:  "Unknown variable",
				Detail:   fmt.Sprintf("%s sets the variable %q, which the scenario does not declare.%s", outside[name].from, name, l.didYouMean(name, sortedKeys(l.variables))),
			})
		}
	}
	for name, v := range l.variables {
		if v.sensitive || !v.value.IsWhollyKnown() {
			continue
		}
		if j, err := ctyjson.Marshal(v.value, v.value.Type()); err == nil {
			l.scenario.Variables[name] = j
		}
	}
	l.enterVariables()
}

// declareVariables reads the variable blocks, each with the value that it is given or
// its default.
func (l *loader) declareVariables(outside map[string]given) {
	for _, b := range l.blocks["variable"] {
		name := b.Labels[0]
		if first := l.variables[name]; first != nil {
			l.error(b.DefRange(), "Duplicate variable", "The variable %q is already declared at %s. Remove one of the two.", name, place(first.block.DefRange()))
			continue
		}
		v := &variable{name: name, block: b, typ: cty.DynamicPseudoType, value: cty.DynamicVal}
		l.variables[name] = v
		l.loadVariable(v, outside)
	}
}

// enterVariables makes the values known to expressions, and holds each against its
// conditions.
func (l *loader) enterVariables() {
	values := map[string]cty.Value{}
	for name, v := range l.variables {
		value := v.value
		if v.sensitive {
			l.keepSecret(value)
			value = value.Mark(sensitive)
		}
		values[name] = value
	}
	l.root = l.functions.NewChild()
	l.root.Variables = map[string]cty.Value{"var": cty.ObjectVal(values), "local": cty.EmptyObjectVal}
	for _, b := range l.blocks["variable"] {
		if v := l.variables[b.Labels[0]]; v.block == b && v.value.IsWhollyKnown() {
			l.validate(v)
		}
	}
}

func (l *loader) loadVariable(v *variable, outside map[string]given) {
	b := v.block
	a := l.args(b, "a variable block", l.functions)
	a.knows("variable")
	v.about = a.str("description", "")
	v.sensitive = a.boolean("sensitive", false)
	if attr := b.Body.Attributes["type"]; attr != nil {
		typ, defaults, diags := typeexpr.TypeConstraintWithDefaults(attr.Expr)
		if diags.HasErrors() {
			hint := ""
			if t, ok := attr.Expr.(*hclsyntax.TemplateExpr); ok && t.IsStringLiteral() {
				hint = " A type has no quotes."
			}
			l.error(attr.Expr.Range(), "Invalid type", "A type is string, number, bool, list(string), map(number), object({ … }) or any.%s", hint)
			return
		}
		v.typ, v.defaults = typ, defaults
	}
	var value cty.Value
	at := b.DefRange()
	from := "the default"
	if g, ok := outside[v.name]; ok {
		from = g.from
		value = g.value
		if g.at.Filename != "" {
			at, v.at = g.at, g.at
		}
		if g.value == cty.NilVal {
			if value, ok = l.fromText(v, g); !ok {
				return
			}
		}
	} else if attr := b.Body.Attributes["default"]; attr != nil {
		if len(attr.Expr.Variables()) > 0 {
			l.error(attr.Expr.Range(), "Reference in a default", "A default is a constant, as it is needed before anything else has a value. Use a locals block for what is calculated.")
			return
		}
		var ok bool
		if value, ok = l.evaluate(attr.Expr, l.functions); !ok {
			return
		}
		at = attr.Expr.Range()
	} else if l.used != nil {
		l.missingInput(v)
		return
	} else if l.opts.Survey {
		value = standIn(v.typ)
	} else {
		l.error(at, "Variable without a value", "The variable %q has no default. Give it a value: -var %s=…, a variable file, or %s%s in the environment.", v.name, v.name, environPrefix, v.name)
		return
	}
	if v.defaults != nil && !value.IsNull() {
		value = v.defaults.Apply(value)
	}
	c, err := convert.Convert(value, v.typ)
	if err != nil {
		what := "variable"
		if l.used != nil {
			what = "input"
		}
		l.error(at, "Wrong type", "The %s %q is %s, and %s is not: %s.", what, v.name, typeexpr.TypeString(v.typ), from, err)
		return
	}
	v.value = c
}

// standIn is a value of a type that takes the place of one that is not given. The text
// is one that can be read as a duration, too.
func standIn(t cty.Type) cty.Value {
	switch {
	case t == cty.Number:
		return cty.NumberIntVal(1)
	case t == cty.Bool:
		return cty.False
	case t.IsListType():
		return cty.ListValEmpty(t.ElementType())
	case t.IsSetType():
		return cty.SetValEmpty(t.ElementType())
	case t.IsMapType():
		return cty.MapValEmpty(t.ElementType())
	case t.IsObjectType():
		values := map[string]cty.Value{}
		for name, of := range t.AttributeTypes() {
			values[name] = standIn(of)
		}
		return cty.ObjectVal(values)
	case t.IsTupleType():
		var values []cty.Value
		for _, of := range t.TupleElementTypes() {
			values = append(values, standIn(of))
		}
		return cty.TupleVal(values)
	}
	return cty.StringVal("1s")
}

// fromText reads a value from the command line or the environment: text for a
// variable that is text, an expression for the others.
func (l *loader) fromText(v *variable, g given) (cty.Value, bool) {
	if v.typ == cty.String || v.typ == cty.DynamicPseudoType {
		return cty.StringVal(g.text), true
	}
	if v.typ.IsPrimitiveType() {
		return cty.StringVal(strings.TrimSpace(g.text)), true // converted by the caller
	}
	s := &source{text: []byte(g.text)}
	if s.tooDeep() == nil {
		expr, diags := hclsyntax.ParseExpression(s.text, g.from, hcl.InitialPos)
		if !diags.HasErrors() && len(expr.Variables()) == 0 {
			if value, diags := expr.Value(l.functions); !diags.HasErrors() {
				return value, true
			}
		}
	}
	// The text itself is not shown, as it may be a secret.
	l.error(v.block.DefRange(), "Invalid value", "%s gives the variable %q a value that is not an expression of type %s, such as [\"a\", \"b\"] or { a = 1 }.", g.from, v.name, typeexpr.TypeString(v.typ))
	return cty.NilVal, false
}

// givenValues collects what the command line, variable files and the environment
// say, the strongest last.
func (l *loader) givenValues() map[string]given {
	all := map[string]given{}
	if l.opts.Environ != nil {
		for _, b := range l.blocks["variable"] {
			if s, ok := l.opts.Environ(environPrefix + b.Labels[0]); ok {
				all[b.Labels[0]] = given{text: s, from: environPrefix + b.Labels[0]}
			}
		}
	}
	for name, raw := range l.opts.Recorded {
		typ, err := ctyjson.ImpliedType(raw)
		var value cty.Value
		if err == nil {
			value, err = ctyjson.Unmarshal(raw, typ)
		}
		if err != nil {
			l.add(&hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Cannot read a recorded variable", Detail: fmt.Sprintf("The saved plan's value of the variable %q is not JSON: %s.", name, err)})
			continue
		}
		all[name] = given{value: value, from: "the saved plan"}
	}
	for _, file := range l.opts.VarFiles {
		values, err := readVarFile(file)
		if err != nil {
			l.add(&hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Cannot read a variable file", Detail: err.Error()})
			continue
		}
		for name, v := range values {
			all[name] = given{value: v, from: file}
		}
	}
	for name, s := range l.opts.Vars {
		all[name] = given{text: s, from: "-var " + name}
	}
	return all
}

// readVarFile reads `name = value` lines, or a JSON object. Errors name the line
// but never quote it: the file may well hold secrets.
func readVarFile(path string) (map[string]cty.Value, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read variable file: %w", err)
	}
	if strings.HasSuffix(path, ".json") {
		typ, err := ctyjson.ImpliedType(text)
		if err != nil || !typ.IsObjectType() {
			return nil, fmt.Errorf("the variable file %s is not a JSON object", path)
		}
		v, err := ctyjson.Unmarshal(text, typ)
		if err != nil || v.IsNull() {
			return nil, fmt.Errorf("the variable file %s is not a JSON object", path)
		}
		return v.AsValueMap(), nil
	}
	if d := (&source{path: path, text: text}).tooDeep(); d != nil {
		return nil, fmt.Errorf("%s: %s", place(*d.Subject), d.Detail)
	}
	f, diags := hclsyntax.ParseConfig(text, path, hcl.InitialPos)
	if diags.HasErrors() {
		return nil, fmt.Errorf("%s: %s; a variable file has lines of the form: name = value", place(*diags[0].Subject), diags[0].Summary)
	}
	body := f.Body.(*hclsyntax.Body)
	if len(body.Blocks) > 0 {
		return nil, fmt.Errorf("%s: a block; a variable file has lines of the form: name = value", place(body.Blocks[0].DefRange()))
	}
	values := map[string]cty.Value{}
	for _, a := range byPlace(body.Attributes) {
		v, diags := a.Expr.Value(nil)
		if diags.HasErrors() {
			return nil, fmt.Errorf("%s: the value of %q is not a constant", place(a.SrcRange), a.Name)
		}
		values[a.Name] = v
	}
	return values, nil
}

// validate checks the value of a variable against its own conditions.
func (l *loader) validate(v *variable) {
	for _, b := range v.block.Body.Blocks {
		if b.Type != "validation" {
			continue
		}
		a := l.args(b, "a validation block", l.root)
		a.knows("variable/validation")
		attr := b.Body.Attributes["condition"]
		if !a.require("condition", fmt.Sprintf("condition = var.%s != \"\"", v.name)) || !a.require("error_message", `error_message = "…"`) {
			continue
		}
		message := a.str("error_message", "")
		result, ok := l.evaluate(attr.Expr, l.root)
		if !ok {
			continue
		}
		result, _ = result.Unmark() // the answer is shown, never the value
		yes, err := convert.Convert(result, cty.Bool)
		if err != nil || yes.IsNull() {
			l.error(attr.Expr.Range(), "Wrong type", "A condition is true or false, and this is %s.", typeInWords(result.Type()))
			continue
		}
		if yes.False() {
			at, what := attr.Expr.Range(), "variable"
			if v.at.Filename != "" {
				at, what = v.at, "input"
			}
			l.error(at, "Invalid value", "The value of the %s %q is refused: %s", what, v.name, message)
		}
	}
}

// keepSecret remembers every text and number in a value, so that it can be kept out
// of all output.
func (l *loader) keepSecret(v cty.Value) {
	v, _ = v.UnmarkDeep()
	_ = cty.Walk(v, func(_ cty.Path, x cty.Value) (bool, error) {
		if !x.IsKnown() || x.IsNull() || !x.Type().IsPrimitiveType() || x.Type() == cty.Bool {
			return true, nil
		}
		if s, err := convert.Convert(x, cty.String); err == nil && s.AsString() != "" {
			l.secrets[s.AsString()] = true
		}
		return true, nil
	})
}
