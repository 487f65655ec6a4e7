package scenario

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

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
	c := Config{Full: bytes.Clone(d.full.Bytes()), origin: &origin{d.l, body, at, d.ctx, d.what}}
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
	a := &args{l: d.l, body: body, at: at, what: what, ctx: d.ctx, elsewhere: func(name string) string { return inside(s, name) }}
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
			d.attribute(v, x, attr.Expr)
			if x.Deprecated != "" {
				d.l.warn(attr.NameRange, "Deprecated argument", "The argument %q of %s still works, and will not for ever: %s.", x.Name, what, trimStop(x.Deprecated))
			}
		case x.Default != nil:
			field(x.Name)
			d.writeJSON(x.Default, x.Sensitive)
		case x.Required:
			hint := d.missing
			if x.Example != nil {
				hint += fmt.Sprintf(" Write for example: %s = %s.", x.Name, literal(x.Example))
			}
			about := ""
			if x.Doc != "" {
				about = ": " + trimStop(x.Doc)
			}
			d.error(at, "Missing argument", "The argument %q is needed in %s%s.%s", x.Name, what, about, hint)
		}
	}
	for i := range s.Blocks {
		d.blocks(body, &s.Blocks[i], at, what, field)
	}
	d.rules(body, s.Rules, at, what)
	d.write("}")
}

// inside says in which nested block an argument stands that was given beside it.
func inside(s schema.Body, name string) string {
	if path := holder(s, name); path != "" {
		return fmt.Sprintf(" It stands inside %s.", path)
	}
	return ""
}

func holder(s schema.Body, name string) string {
	for i := range s.Blocks {
		b := &s.Blocks[i]
		if b.Body.Attribute(name) != nil || b.Body.Block(name) != nil {
			return b.Name + " { … }"
		}
	}
	for i := range s.Blocks {
		if path := holder(s.Blocks[i].Body, name); path != "" {
			return s.Blocks[i].Name + " { " + path + " }"
		}
	}
	return ""
}

// rules checks what must hold between arguments and blocks.
func (d *decoder) rules(body *hclsyntax.Body, rules []schema.Rule, at hcl.Range, what string) {
	for _, r := range rules {
		var given []string
		var second hcl.Range
		for _, name := range r.Of {
			where, ok := d.given(body, name)
			if !ok {
				continue
			}
			if given = append(given, name); len(given) <= 2 {
				second = where
			}
		}
		switch n := len(given); {
		case n == 0 && r.Kind == schema.ExactlyOne:
			d.error(at, "Missing argument", "%s needs one of %s.%s", subjectOf(what), anyOf(r.Of), d.missing)
		case n == 0 && r.Kind == schema.AtLeastOne:
			d.error(at, "Missing argument", "%s needs at least one of %s.%s", subjectOf(what), anyOf(r.Of), d.missing)
		case n > 1 && (r.Kind == schema.ExactlyOne || r.Kind == schema.AtMostOne):
			d.error(second, "Arguments that exclude each other", "%s takes only one of %s. Remove %q, or %q.", subjectOf(what), allOf(r.Of), given[1], given[0])
		case n > 0 && n < len(r.Of) && r.Kind == schema.Together:
			lacking := slices.DeleteFunc(slices.Clone(r.Of), func(name string) bool { return slices.Contains(given, name) })
			d.error(second, "Missing argument", "In %s, %s belong together. Add %s, or remove %s.", what, allOf(r.Of), allOf(lacking), allOf(given))
		}
	}
}

// given says whether an argument or block has a value, and where.
func (d *decoder) given(body *hclsyntax.Body, name string) (hcl.Range, bool) {
	if attr := body.Attributes[name]; attr != nil {
		// What is wrong with the expression was reported when it was decoded.
		if v, diags := attr.Expr.Value(d.ctx); diags.HasErrors() || !isNull(v) {
			return attr.NameRange, true
		}
	}
	for _, b := range body.Blocks {
		if b.Type == name {
			return b.TypeRange, true
		}
	}
	return hcl.Range{}, false
}

func isNull(v cty.Value) bool {
	v, _ = v.Unmark()
	return v.IsNull()
}

// blocks writes the nested blocks of one name: an object where there can be only
// one, by their labels where they have any, else a list of them.
func (d *decoder) blocks(body *hclsyntax.Body, s *schema.Block, at hcl.Range, what string, field func(string)) {
	var labels []string
	if s.Label != "" {
		labels = []string{s.Label}
	}
	var found []*hclsyntax.Block
	first := map[string]*hclsyntax.Block{}
	for _, b := range body.Blocks {
		if b.Type != s.Name {
			continue
		}
		if !d.l.labelled(b, labels) {
			d.bad = true
			continue
		}
		if s.Label != "" {
			if other := first[b.Labels[0]]; other != nil {
				d.error(b.DefRange(), "Duplicate "+s.Name, "There is a %s %q already at %s. Give one of them another name.", s.Name, b.Labels[0], place(other.DefRange()))
				continue
			}
			first[b.Labels[0]] = b
		}
		found = append(found, b)
	}
	if len(found) < s.Min && body.Attributes[s.Name] == nil {
		d.error(at, "Missing block", "%s needs %d %s { … } and has %d.", subjectOf(what), s.Min, s.Name, len(found))
	}
	if s.Max > 0 && len(found) > s.Max {
		d.error(found[s.Max].DefRange(), "Too many blocks", "%s takes at most %d %s { … }; the first is at %s.", subjectOf(what), s.Max, s.Name, place(found[0].DefRange()))
		return
	}
	if len(found) == 0 {
		return
	}
	field(s.Name)
	if s.Max == 1 && s.Label == "" {
		d.body(found[0].Body, s.Body, header(found[0]), fmt.Sprintf("%s { … } of %s", s.Name, what), nil, nil)
		return
	}
	open, end := "[", "]"
	if s.Label != "" {
		open, end = "{", "}"
	}
	d.write(open)
	for i, b := range found {
		if i > 0 {
			d.write(",")
		}
		inner := fmt.Sprintf("%s { … } of %s", s.Name, what)
		if s.Label != "" {
			inner = fmt.Sprintf("%s %q { … } of %s", s.Name, b.Labels[0], what)
			d.writeJSON(b.Labels[0], false)
			d.write(":")
		}
		d.body(b.Body, s.Body, header(b), inner, nil, nil)
	}
	d.write(end)
}

// trimStop takes the full stop off a sentence, so that it can go on.
func trimStop(s string) string { return strings.TrimSuffix(s, ".") }

// subjectOf begins a sentence with a block in words. The name of a nested block stays as
// it is written.
func subjectOf(what string) string {
	if strings.HasPrefix(what, "a ") || strings.HasPrefix(what, "an ") || strings.HasPrefix(what, "the ") {
		return upperFirst(what)
	}
	return what
}

func upperFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
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
