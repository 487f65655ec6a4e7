package scenario

import (
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// args reads the arguments of one block that the engine itself understands. What
// is wrong is reported where it is found; bad says that something was.
type args struct {
	l    *loader
	body *hclsyntax.Body
	at   hcl.Range // where a missing argument is reported
	what string    // in words, with its article: "a scenario block"
	ctx  *hcl.EvalContext
	bad  bool
	// elsewhere says where a name belongs that is not known here. Optional.
	elsewhere func(name string) string
}

func (l *loader) args(b *hclsyntax.Block, what string, ctx *hcl.EvalContext) *args {
	return &args{l: l, body: b.Body, at: header(b), what: what, ctx: ctx}
}

func (a *args) error(at hcl.Range, summary, detail string, values ...any) {
	a.bad = true
	a.l.error(at, summary, detail, values...)
}

// only reports every argument and nested block that is not in the lists.
func (a *args) only(names, blocks []string) {
	if len(a.body.Attributes) > 0 && !allIn(a.body.Attributes, names) {
		for _, attr := range byPlace(a.body.Attributes) {
			if slices.Contains(names, attr.Name) {
				continue
			}
			if slices.Contains(blocks, attr.Name) {
				a.error(attr.NameRange, "Block written as an argument", "%q is a block in %s: write %s { … }, without the equals sign.", attr.Name, a.what, attr.Name)
				continue
			}
			a.error(attr.NameRange, "Unknown argument", "There is no argument %q in %s.%s", attr.Name, a.what, a.meant(attr.Name, names, blocks))
		}
	}
	for _, b := range a.body.Blocks {
		if slices.Contains(blocks, b.Type) {
			continue
		}
		if slices.Contains(laterBlocks, b.Type) {
			a.error(b.TypeRange, "Not supported yet", "The block %q is not supported yet. Remove it to run the rest.", b.Type)
			continue
		}
		if slices.Contains(names, b.Type) {
			a.error(b.TypeRange, "Argument written as a block", "%q is an argument of %s: write %s = …", b.Type, a.what, b.Type)
			continue
		}
		a.error(b.TypeRange, "Unknown block", "There is no block %q in %s.%s", b.Type, a.what, a.meant(b.Type, blocks, names))
	}
}

func (a *args) meant(given string, first, second []string) string {
	if a.elsewhere != nil {
		if hint := a.elsewhere(given); hint != "" {
			return hint
		}
	}
	if hint := a.l.didYouMean(given, first); hint != "" {
		return hint
	}
	if hint := a.l.didYouMean(given, second); hint != "" {
		return hint
	}
	if n := len(first); n > 0 && n <= 12 {
		return " It takes " + allOf(first) + "."
	}
	return ""
}

func allIn(m hclsyntax.Attributes, names []string) bool {
	for name := range m {
		if !slices.Contains(names, name) {
			return false
		}
	}
	return true
}

// notYet refuses an argument or block of the language that this version lacks.
func (a *args) notYet(names ...string) {
	for _, name := range names {
		if attr := a.body.Attributes[name]; attr != nil {
			a.error(attr.NameRange, "Not supported yet", "The argument %q is not supported yet. Remove it to run the rest.", name)
		}
		for _, b := range a.body.Blocks {
			if b.Type == name {
				a.error(b.TypeRange, "Not supported yet", "The block %q is not supported yet. Remove it to run the rest.", name)
			}
		}
	}
}

func (a *args) has(name string) bool { return a.body.Attributes[name] != nil }

// rangeOf is the place of an argument's value, or of the block.
func (a *args) rangeOf(name string) hcl.Range {
	if attr := a.body.Attributes[name]; attr != nil {
		return attr.Expr.Range()
	}
	return a.at
}

// require reports an argument that is not there. example is how it may be written.
func (a *args) require(name, example string) bool {
	if a.has(name) {
		return true
	}
	a.error(a.at, "Missing argument", "The argument %q is needed in %s, for example: %s", name, a.what, example)
	return false
}

// value evaluates an argument and converts it to a type. It is not ok when there is
// no such argument, when it is null, and when something was wrong and reported.
func (a *args) value(name string, typ cty.Type) (cty.Value, bool) {
	attr := a.body.Attributes[name]
	if attr == nil {
		return cty.NilVal, false
	}
	v, ok := a.l.evaluate(attr.Expr, a.ctx)
	if !ok {
		a.bad = true
		return cty.NilVal, false
	}
	if v.ContainsMarked() {
		a.error(attr.Expr.Range(), "Sensitive value", "The argument %q is written to the plan, the journal and the reports, so it cannot be made from a sensitive variable.", name)
		return cty.NilVal, false
	}
	if v.IsNull() {
		return cty.NilVal, false
	}
	c, err := convert.Convert(v, typ)
	if err != nil {
		a.error(attr.Expr.Range(), "Wrong type", "The argument %q is %s, and this is %s.", name, typeInWords(typ), typeInWords(v.Type()))
		return cty.NilVal, false
	}
	if r := actingIn(c); r != 0 {
		a.error(attr.Expr.Range(), "Control character", "The argument %q has the character %U, which changes what a screen shows. Remove it.", name, r)
		return cty.NilVal, false
	}
	return c, true
}

// typeInWords names a type with its article.
func typeInWords(t cty.Type) string {
	switch {
	case t == cty.String:
		return "a text in quotes"
	case t == cty.Number:
		return "a number"
	case t == cty.Bool:
		return "true or false"
	case t.IsMapType() || t.IsObjectType():
		return "a map { name = value }"
	case t.IsListType() || t.IsTupleType():
		return "a list [ … ]"
	case t.IsSetType():
		return "a set"
	}
	return "a " + t.FriendlyName()
}

func (a *args) str(name, otherwise string) string {
	v, ok := a.value(name, cty.String)
	if !ok {
		return otherwise
	}
	return v.AsString()
}

func (a *args) boolean(name string, otherwise bool) bool {
	v, ok := a.value(name, cty.Bool)
	if !ok {
		return otherwise
	}
	return v.True()
}

// number reads a number; ok is false when there is none.
func (a *args) number(name string) (float64, bool) {
	v, ok := a.value(name, cty.Number)
	if !ok {
		return 0, false
	}
	f, _ := v.AsBigFloat().Float64()
	if math.IsInf(f, 0) {
		a.error(a.rangeOf(name), "Number out of range", "The argument %q is too large.", name)
		return 0, false
	}
	return f, true
}

// whole reads a whole number of at least min.
func (a *args) whole(name string, otherwise, min int) int {
	f, ok := a.number(name)
	if !ok {
		return otherwise
	}
	if f != math.Trunc(f) || f < float64(min) || f > math.MaxInt32 {
		a.error(a.rangeOf(name), "Number out of range", "The argument %q is a whole number, at least %d.", name, min)
		return otherwise
	}
	return int(f)
}

// share reads a ratio from 0 to 1.
func (a *args) share(name string, otherwise float64) float64 {
	f, ok := a.number(name)
	if !ok {
		return otherwise
	}
	if f > 1 && f <= 100 {
		a.error(a.rangeOf(name), "Share above 1", "The argument %q is a share from 0 to 1. For %s %%, write %s.", name, shortNumber(f), shortNumber(f/100))
		return otherwise
	}
	if f < 0 || f > 1 {
		a.error(a.rangeOf(name), "Share out of range", "The argument %q is a share from 0 to 1, such as 0.99.", name)
		return otherwise
	}
	return f
}

// percent reads a number above 0 and up to 100.
func (a *args) percent(name string) float64 {
	f, ok := a.number(name)
	if !ok {
		return 0
	}
	if f <= 0 || f > 100 {
		a.error(a.rangeOf(name), "Percentage out of range", "The argument %q is a percentage above 0 and up to 100.", name)
		return 0
	}
	return f
}

// enum reads one of a few texts.
func (a *args) enum(name, otherwise string, values ...string) string {
	attr := a.body.Attributes[name]
	if attr == nil {
		return otherwise
	}
	// A bare word is the commonest slip here, and worth its own words.
	if word := hcl.ExprAsKeyword(attr.Expr); slices.Contains(values, word) {
		a.error(attr.Expr.Range(), "Missing quotes", "Write it in quotes: %q.", word)
		return otherwise
	}
	s := a.str(name, otherwise)
	if !slices.Contains(values, s) {
		a.error(attr.Expr.Range(), "Unknown value", "The argument %q is %s, not %q.%s", name, anyOf(values), s, a.l.didYouMean(s, values))
		return otherwise
	}
	return s
}

// duration reads a duration of at least min and, unless max is 0, at most max.
func (a *args) duration(name string, otherwise, min, max time.Duration) time.Duration {
	attr := a.body.Attributes[name]
	if attr == nil {
		return otherwise
	}
	v, ok := a.value(name, cty.DynamicPseudoType)
	if !ok {
		return otherwise
	}
	d, ok := a.l.durationOf(v, name, attr.Expr.Range())
	if !ok {
		a.bad = true
		return otherwise
	}
	switch {
	case d < min && min == 0:
		a.error(attr.Expr.Range(), "Negative duration", "The argument %q cannot be negative.", name)
	case d < min:
		a.error(attr.Expr.Range(), "Duration too short", "The argument %q is at least %q.", name, plainDuration(min))
	case max != 0 && d > max:
		a.error(attr.Expr.Range(), "Duration too long", "The argument %q is at most %q.", name, plainDuration(max))
	default:
		return d
	}
	return otherwise
}

// durationOf reads a value that is to be a duration.
func (l *loader) durationOf(v cty.Value, name string, at hcl.Range) (time.Duration, bool) {
	switch v.Type() {
	case cty.Number:
		l.error(at, "Duration without a unit", "The argument %q is a duration, and %s.", name, numberHint(numberText(v)))
		return 0, false
	case cty.String:
		d, hint, ok := parseDuration(v.AsString())
		if !ok {
			l.error(at, "Invalid duration", "%q is not a duration: %s.", v.AsString(), hint)
		}
		return d, ok
	}
	l.error(at, "Wrong type", `The argument %q is a duration in quotes, such as "300ms", and this is %s.`, name, typeInWords(v.Type()))
	return 0, false
}

// numberText is a number as one would write it.
func numberText(v cty.Value) string {
	f, _ := v.AsBigFloat().Float64()
	return shortNumber(f)
}

func shortNumber(f float64) string {
	return strconv.FormatFloat(math.Round(f*1e9)/1e9, 'f', -1, 64)
}
