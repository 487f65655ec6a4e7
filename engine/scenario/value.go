package scenario

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"github.com/faultline-go/faultline/internal/lazyregexp"
	"github.com/faultline-go/faultline/sdk/schema"
)

// attribute checks a value against its declaration and writes it.
func (d *decoder) attribute(v cty.Value, x *schema.Attribute, expr hclsyntax.Expression) {
	at := expr.Range()
	if v.ContainsMarked() && d.refuseSecrets && !x.Sensitive {
		d.error(at, "Sensitive value", "The argument %q of %s is written down, so that the fault can be put back after a crash, and cannot take a sensitive value. Name an environment variable or a file that holds it, where the plugin offers that.", x.Name, d.what)
		return
	}
	secret := x.Sensitive || v.IsMarked()
	v, _ = v.Unmark()
	t := v.Type()
	switch collection, scalar, _ := schema.Elements(x.Type); collection {
	case "":
		d.scalar(v, x, scalar, at, secret, fmt.Sprintf("The argument %q", x.Name))
	case "list":
		if !t.IsTupleType() && !t.IsListType() && !t.IsSetType() {
			hint := ""
			if t.IsPrimitiveType() {
				hint = fmt.Sprintf(" Write [%s].", d.l.text(at))
			}
			d.error(at, "Wrong type", "The argument %q is a list, and this is %s.%s", x.Name, typeInWords(t), hint)
			return
		}
		d.write("[")
		n := 0
		for it := v.ElementIterator(); it.Next(); n++ {
			if n > 0 {
				d.write(",")
			}
			_, e := it.Element()
			d.element(e, x, scalar, elementRange(expr, n), secret)
		}
		d.write("]")
		d.items(n, x, at)
	case "map":
		if !t.IsMapType() && !t.IsObjectType() {
			d.error(at, "Wrong type", "The argument %q is a map { name = value }, and this is %s.", x.Name, typeInWords(t))
			return
		}
		d.write("{")
		n := 0
		for it := v.ElementIterator(); it.Next(); n++ {
			if n > 0 {
				d.write(",")
			}
			key, e := it.Element()
			d.writeJSON(key.AsString(), false)
			d.write(":")
			d.element(e, x, scalar, entryRange(expr, key.AsString(), d.ctx), secret)
		}
		d.write("}")
		d.items(n, x, at)
	}
}

// items checks how many there are.
func (d *decoder) items(n int, x *schema.Attribute, at hcl.Range) {
	switch {
	case n < x.MinItems && n == 0:
		d.error(at, "Too few values", "The argument %q is empty, and needs at least %s.", x.Name, counted(x.MinItems, "value"))
	case n < x.MinItems:
		d.error(at, "Too few values", "The argument %q has %s, and needs at least %d.", x.Name, counted(n, "value"), x.MinItems)
	case x.MaxItems > 0 && n > x.MaxItems:
		d.error(at, "Too many values", "The argument %q has %s, and takes at most %d.", x.Name, counted(n, "value"), x.MaxItems)
	}
}

func (d *decoder) element(e cty.Value, x *schema.Attribute, typ string, at hcl.Range, secret bool) {
	secret = secret || e.IsMarked()
	e, _ = e.Unmark()
	if e.IsNull() {
		d.error(at, "Null value", "A value in %q is null. Leave it out.", x.Name)
		return
	}
	d.scalar(e, x, typ, at, secret, fmt.Sprintf("Each value of %q", x.Name))
}

func (d *decoder) scalar(v cty.Value, x *schema.Attribute, typ string, at hcl.Range, secret bool, subject string) {
	if secret {
		d.l.keepSecret(v)
	}
	want := map[string]cty.Type{"number": cty.Number, "bool": cty.Bool, "duration": cty.DynamicPseudoType}[typ]
	if want == cty.NilType {
		want = cty.String
	}
	c, err := convert.Convert(v, want)
	if err != nil || !v.Type().IsPrimitiveType() {
		d.error(at, "Wrong type", "%s is %s, and this is %s.%s", subject, wordsOf(typ), typeInWords(v.Type()), typeHint(v, x, typ))
		return
	}
	switch typ {
	case "string":
		d.text(c.AsString(), x, at, secret, subject)
	case "number":
		d.number(c, x, at, secret, subject)
	case "bool":
		d.writeJSON(c.True(), secret)
	case "duration":
		t, ok := d.l.durationOf(c, x.Name, at)
		if !ok {
			d.bad = true
			return
		}
		least, most := x.Bounds()
		if msg := outside(seconds(t), least, most, func(f float64) string {
			return fmt.Sprintf("%q", plainDuration(time.Duration(f*float64(time.Second))))
		}); msg != "" {
			d.error(at, "Duration out of range", "%s is %s.", subject, msg)
			return
		}
		d.writeJSON(plainDuration(t), secret)
	default:
		d.quantity(c.AsString(), v.Type() == cty.Number, x, typ, at, secret, subject)
	}
}

func (d *decoder) text(s string, x *schema.Attribute, at hcl.Range, secret bool, subject string) {
	shown := s
	if secret {
		shown = redactedText
	}
	if len(x.Enum) > 0 && !slices.Contains(x.Enum, s) {
		d.error(at, "Unknown value", "%s is %s, not %q.%s", subject, anyOf(x.Enum), shown, d.l.didYouMean(shown, x.Enum))
		return
	}
	if x.Pattern != "" {
		// The pattern was compiled when the plugin's description was checked.
		if whole, err := regexp.Compile(`\A(?:` + x.Pattern + `)\z`); err == nil && !whole.MatchString(s) {
			hint := ""
			if text, ok := x.Example.(string); ok {
				hint = fmt.Sprintf(" Write it as in %q.", text)
			}
			if x.Doc != "" {
				hint += " " + trimStop(x.Doc) + "."
			}
			d.error(at, "Wrong form", "%s has the form %s, which %q does not.%s", subject, x.Pattern, shown, hint)
			return
		}
	}
	d.writeJSON(s, secret)
}

func (d *decoder) number(c cty.Value, x *schema.Attribute, at hcl.Range, secret bool, subject string) {
	f, _ := c.AsBigFloat().Float64()
	if math.IsInf(f, 0) {
		d.error(at, "Number out of range", "%s is too large.", subject)
		return
	}
	if x.Whole {
		if _, accuracy := c.AsBigFloat().Int64(); accuracy != 0 {
			d.error(at, "Number out of range", "%s is a whole number%s, and this is %s.", subject, ofUnit(x), shortNumber(f))
			return
		}
	}
	least, most := x.Bounds()
	if msg := outside(f, least, most, shortNumber); msg != "" {
		hint := ""
		switch {
		case f > 1 && f <= 100 && most != nil && *most == 1:
			hint = fmt.Sprintf(" It is a share: for %s %%, write %s.", shortNumber(f), shortNumber(f/100))
		case x.IsPercent():
			hint = " It is in per cent."
		case x.Unit != "":
			hint = fmt.Sprintf(" It is in %s.", x.Unit)
		}
		d.error(at, "Number out of range", "%s is %s.%s", subject, msg, hint)
		return
	}
	d.writeJSON(json.Number(jsonNumber(c)), secret)
}

func ofUnit(x *schema.Attribute) string {
	switch {
	case x.IsPercent():
		return " of per cent"
	case x.Unit != "":
		return " of " + x.Unit
	}
	return ""
}

// quantity checks a size, a rate or an amount, and writes it as it stands: a number in it
// is one without a unit, of which only 0 means anything.
func (d *decoder) quantity(s string, bare bool, x *schema.Attribute, typ string, at hcl.Range, secret bool, subject string) {
	var n float64
	var err error
	show, share := schema.FormatSize, false
	switch typ {
	case "size":
		var size int64
		size, err = schema.ParseSize(s)
		n = float64(size)
	case "rate":
		n, err = schema.ParseRate(s)
		show = schema.FormatRate
	case "amount":
		n, share, err = schema.ParseAmount(s)
	}
	if err != nil {
		text := err.Error()
		if bare {
			text = strings.Replace(text, fmt.Sprintf("%q", s), s, 1)
		}
		d.error(at, "Invalid "+typ, "%s is %s: %s.", subject, wordsOf(typ), text)
		return
	}
	least, most := x.Min, x.Max
	if share {
		least, most = nil, nil
	}
	if msg := outside(n, least, most, func(f float64) string { return fmt.Sprintf("%q", show(f)) }); msg != "" {
		d.error(at, upperFirst(typ)+" out of range", "%s is %s.", subject, msg)
		return
	}
	d.writeJSON(s, secret)
}

func wordsOf(typ string) string {
	switch typ {
	case "string":
		return typeInWords(cty.String)
	case "number":
		return typeInWords(cty.Number)
	case "bool":
		return typeInWords(cty.Bool)
	case "size":
		return `a size in quotes, such as "64MiB"`
	case "rate":
		return `a rate in quotes, such as "10mbit" or "1MB/s"`
	case "amount":
		return `a size or a share in quotes, such as "512MB" or "20%"`
	}
	return `a duration in quotes, such as "300ms"`
}

var percentText = lazyregexp.New(`^\s*([0-9]+(?:\.[0-9]+)?)\s*%\s*$`)

// typeHint says what to write in the place of a value of another type.
func typeHint(v cty.Value, x *schema.Attribute, typ string) string {
	if v.Type() != cty.String || v.IsNull() {
		return ""
	}
	s := v.AsString()
	switch typ {
	case "number":
		if m := percentText().FindStringSubmatch(s); m != nil {
			if _, most := x.Bounds(); most != nil && *most == 1 {
				if d, err := convert.Convert(cty.StringVal(m[1]), cty.Number); err == nil {
					f, _ := d.AsBigFloat().Float64()
					return fmt.Sprintf(" It is a share: write %s.", shortNumber(f/100))
				}
			}
			return fmt.Sprintf(" Write %s.", m[1])
		}
		if m := withWord().FindStringSubmatch(strings.TrimSpace(s)); m != nil {
			unit := ""
			if x.Unit != "" {
				unit = fmt.Sprintf(", in %s", x.Unit)
			}
			return fmt.Sprintf(" Write a number without a unit%s.", unit)
		}
	case "bool":
		switch strings.ToLower(s) {
		case "yes", "on", "1":
			return " Write true."
		case "no", "off", "0":
			return " Write false."
		}
	}
	return ""
}

// literal is a JSON value as HCL has it.
func literal(v any) string {
	switch v := v.(type) {
	case []any:
		all := make([]string, len(v))
		for i, e := range v {
			all[i] = literal(e)
		}
		return "[" + strings.Join(all, ", ") + "]"
	case map[string]any:
		var all []string
		for _, k := range sortedKeys(v) {
			all = append(all, fmt.Sprintf("%q = %s", k, literal(v[k])))
		}
		return "{ " + strings.Join(all, ", ") + " }"
	case string:
		return hclQuote(v)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return "null"
	}
	return string(text)
}

// hclQuote is a text as HCL reads it: a template begins with what is doubled here.
func hclQuote(s string) string {
	s = fmt.Sprintf("%q", s)
	return strings.NewReplacer("${", "$${", "%{", "%%{").Replace(s)
}
