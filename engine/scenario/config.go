package scenario

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"github.com/faultline-go/faultline/sdk/schema"
)

// decoder turns the plugin's part of a block into the JSON that it is given,
// checked against the schema that it declared.
type decoder struct {
	l    *loader
	ctx  *hcl.EvalContext
	what string // of the block, in words
	meta []string
	// metaBlocks are nested blocks that the engine reads.
	metaBlocks []string
	// refuseSecrets: recovery needs this part without anybody who knows the secret, so
	// a sensitive value may only stand where the plugin says that it takes one.
	refuseSecrets bool
	missing       string // what to say after a missing argument

	full, redacted bytes.Buffer
	secret         bool // redacted differs from full
	bad            bool
}

// decode reads a body. at is where a missing argument is reported.
func (d *decoder) decode(body *hclsyntax.Body, s schema.Body, at hcl.Range) (Config, bool) {
	d.body(body, s, at, d.what, d.meta, d.metaBlocks)
	if d.bad {
		return Config{}, false
	}
	c := Config{Full: bytes.Clone(d.full.Bytes())}
	c.Redacted = c.Full
	if d.secret {
		c.Redacted = bytes.Clone(d.redacted.Bytes())
	}
	return c, true
}

func (d *decoder) error(at hcl.Range, summary, detail string, values ...any) {
	d.bad = true
	d.l.error(at, summary, detail, values...)
}

func (d *decoder) write(s string) {
	d.full.WriteString(s)
	d.redacted.WriteString(s)
}

// writeJSON writes a value, or in its redacted form that there is one.
func (d *decoder) writeJSON(v any, secret bool) {
	text, err := json.Marshal(v)
	if err != nil {
		text = []byte("null") // only strings, numbers and booleans come here
	}
	d.full.Write(text)
	if secret {
		d.secret = true
		text = []byte(`"` + redactedText + `"`)
	}
	d.redacted.Write(text)
}

func (d *decoder) body(body *hclsyntax.Body, s schema.Body, at hcl.Range, what string, meta, metaBlocks []string) {
	names, blocks := slices.Clone(meta), slices.Clone(metaBlocks)
	for _, a := range s.Attributes {
		names = append(names, a.Name)
	}
	for _, b := range s.Blocks {
		blocks = append(blocks, b.Name)
	}
	a := &args{l: d.l, body: body, at: at, what: what, ctx: d.ctx}
	a.only(names, blocks)
	d.bad = d.bad || a.bad

	d.write("{")
	comma := false
	field := func(name string) {
		if comma {
			d.write(",")
		}
		comma = true
		d.writeJSON(name, false)
		d.write(":")
	}
	for i := range s.Attributes {
		x := &s.Attributes[i]
		attr := body.Attributes[x.Name]
		// A name may be offered as an argument and as a block, of which one is used.
		asBlock := s.Block(x.Name) != nil && slices.ContainsFunc(body.Blocks, func(b *hclsyntax.Block) bool { return b.Type == x.Name })
		if asBlock {
			if attr != nil {
				d.error(attr.NameRange, "Given twice", "%q is given as an argument and as a block in %s. Remove one of the two.", x.Name, what)
			}
			continue
		}
		var v cty.Value
		ok := false
		if attr != nil {
			if v, ok = d.l.evaluate(attr.Expr, d.ctx); !ok {
				d.bad = true
				continue
			}
		}
		switch {
		case ok && !isNull(v):
			field(x.Name)
			d.attribute(v, x, attr.Expr.Range())
		case x.Default != nil:
			field(x.Name)
			d.writeJSON(x.Default, x.Sensitive)
		case x.Required:
			hint := d.missing
			if x.Doc != "" {
				hint = " It is " + trimStop(x.Doc) + "." + hint
			}
			d.error(at, "Missing argument", "The argument %q is needed in %s.%s", x.Name, what, hint)
		}
	}
	for i := range s.Blocks {
		d.blocks(body, &s.Blocks[i], at, what, field)
	}
	d.write("}")
}

func isNull(v cty.Value) bool {
	v, _ = v.Unmark()
	return v.IsNull()
}

// blocks writes the nested blocks of one name: an object where there can be only
// one, else a list of them.
func (d *decoder) blocks(body *hclsyntax.Body, s *schema.Block, at hcl.Range, what string, field func(string)) {
	var found []*hclsyntax.Block
	for _, b := range body.Blocks {
		if b.Type == s.Name {
			if !d.l.labelled(b, nil) {
				d.bad = true
				continue
			}
			found = append(found, b)
		}
	}
	if len(found) < s.Min && body.Attributes[s.Name] == nil {
		d.error(at, "Missing block", "%s needs %d %s { … } and has %d.", upperFirst(what), s.Min, s.Name, len(found))
	}
	if s.Max > 0 && len(found) > s.Max {
		d.error(found[s.Max].DefRange(), "Too many blocks", "%s takes at most %d %s { … }; the first is at %s.", upperFirst(what), s.Max, s.Name, place(found[0].DefRange()))
		return
	}
	if len(found) == 0 {
		return
	}
	field(s.Name)
	inner := fmt.Sprintf("%s { … } of %s", s.Name, what)
	if s.Max == 1 {
		d.body(found[0].Body, s.Body, header(found[0]), inner, nil, nil)
		return
	}
	d.write("[")
	for i, b := range found {
		if i > 0 {
			d.write(",")
		}
		d.body(b.Body, s.Body, header(b), inner, nil, nil)
	}
	d.write("]")
}

// trimStop takes the full stop off a sentence, so that it can go on.
func trimStop(s string) string { return strings.TrimSuffix(s, ".") }

func upperFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// attribute checks a value against its declaration and writes it.
func (d *decoder) attribute(v cty.Value, x *schema.Attribute, at hcl.Range) {
	marked := v.ContainsMarked()
	if marked && d.refuseSecrets && !x.Sensitive {
		d.error(at, "Sensitive value", "The argument %q of %s is written down, so that the fault can be put back after a crash, and cannot take a sensitive value. Name an environment variable or a file that holds it, where the plugin offers that.", x.Name, d.what)
		return
	}
	inner, kind := x.Type, ""
	if i := strings.IndexByte(x.Type, '('); i > 0 {
		kind, inner = x.Type[:i], x.Type[i+1:len(x.Type)-1]
	}
	secret := x.Sensitive || v.IsMarked()
	v, _ = v.Unmark()
	switch kind {
	case "":
		d.scalar(v, x, inner, at, secret, fmt.Sprintf("The argument %q", x.Name))
	case "list":
		t := v.Type()
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
			d.element(e, x, inner, at, secret)
		}
		d.write("]")
	case "map":
		t := v.Type()
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
			d.element(e, x, inner, at, secret)
		}
		d.write("}")
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
	want := map[string]cty.Type{"string": cty.String, "number": cty.Number, "bool": cty.Bool, "duration": cty.DynamicPseudoType}[typ]
	c, err := convert.Convert(v, want)
	if err != nil || !v.Type().IsPrimitiveType() {
		d.error(at, "Wrong type", "%s is %s, and this is %s.", subject, wordsOf(typ), typeInWords(v.Type()))
		return
	}
	switch typ {
	case "string":
		s := c.AsString()
		if len(x.Enum) > 0 && !slices.Contains(x.Enum, s) {
			if secret {
				s = redactedText
			}
			d.error(at, "Unknown value", "%s is %s, not %q.%s", subject, anyOf(x.Enum), s, d.l.didYouMean(s, x.Enum))
			return
		}
		d.writeJSON(s, secret)
	case "number":
		f, _ := c.AsBigFloat().Float64()
		if math.IsInf(f, 0) {
			d.error(at, "Number out of range", "%s is too large.", subject)
			return
		}
		least, most := x.Min, x.Max
		if strings.HasSuffix(x.Name, "percent") && least == nil && most == nil {
			zero, hundred := 0.0, 100.0
			least, most = &zero, &hundred
		}
		if msg := outside(f, least, most, shortNumber); msg != "" {
			hint := ""
			if f > 1 && f <= 100 && most != nil && *most == 1 {
				hint = fmt.Sprintf(" It is a share: for %s %%, write %s.", shortNumber(f), shortNumber(f/100))
			}
			d.error(at, "Number out of range", "%s is %s.%s", subject, msg, hint)
			return
		}
		d.writeJSON(json.Number(jsonNumber(c)), secret)
	case "bool":
		d.writeJSON(c.True(), secret)
	case "duration":
		t, ok := d.l.durationOf(c, x.Name, at)
		if !ok {
			d.bad = true
			return
		}
		zero := 0.0
		least := x.Min
		if least == nil {
			least = &zero
		}
		if msg := outside(seconds(t), least, x.Max, func(f float64) string {
			return fmt.Sprintf("%q", plainDuration(time.Duration(f*float64(time.Second))))
		}); msg != "" {
			d.error(at, "Duration out of range", "%s is %s.", subject, msg)
			return
		}
		d.writeJSON(plainDuration(t), secret)
	}
}

// jsonNumber writes a number without losing digits or growing hundreds of them.
func jsonNumber(v cty.Value) string {
	bf := v.AsBigFloat()
	if bf.IsInt() {
		if n, acc := bf.Int64(); acc == 0 {
			return fmt.Sprint(n)
		}
	}
	f, _ := bf.Float64()
	text, err := json.Marshal(f)
	if err != nil {
		return "0" // infinities were refused
	}
	return string(text)
}

// outside says what a number should be, when it is not.
func outside(f float64, least, most *float64, text func(float64) string) string {
	low, high := least != nil && f < *least, most != nil && f > *most
	switch {
	case !low && !high:
		return ""
	case least != nil && most != nil:
		return fmt.Sprintf("from %s to %s", text(*least), text(*most))
	case low:
		return "at least " + text(*least)
	}
	return "at most " + text(*most)
}

func wordsOf(typ string) string {
	switch typ {
	case "string":
		return typeInWords(cty.String)
	case "number":
		return typeInWords(cty.Number)
	case "bool":
		return typeInWords(cty.Bool)
	}
	return `a duration in quotes, such as "300ms"`
}
