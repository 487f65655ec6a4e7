package install

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// Bounds of the files that are read here, which are small. The parser descends
// recursively, and would exhaust the stack on a file of nothing but brackets.
const (
	maxDocument = 1 << 20
	maxNesting  = 50
)

// document is an HCL file of plain values, and what is wrong with it.
type document struct {
	path  string
	diags hcl.Diagnostics
}

func readDocument(f *os.File) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(f, maxDocument+1))
	if err == nil && len(text) > maxDocument {
		err = fmt.Errorf("read %s: it has more than %d KB", f.Name(), maxDocument>>10)
	}
	return text, err
}

func (d *document) parse(text []byte) *hclsyntax.Body {
	if line := tooDeep(text); line > 0 {
		d.error(hcl.Range{Filename: d.path, Start: hcl.Pos{Line: line, Column: 1}}, "Nested too deeply", "More than %d brackets or operators are open here.", maxNesting)
		return nil
	}
	f, diags := hclsyntax.ParseConfig(text, d.path, hcl.InitialPos)
	if diags.HasErrors() {
		// One mistake in the syntax leads the parser astray.
		d.diags = append(d.diags, diags[0])
		return nil
	}
	return f.Body.(*hclsyntax.Body)
}

// tooDeep is the line where the text nests deeper than anybody writes; 0 if nowhere.
func tooDeep(text []byte) int {
	depth, run, line := 0, 0, 1
	for _, c := range text {
		switch c {
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			depth = max(0, depth-1)
		case '\n':
			line++
			run = 0
		case '!', '-', '?', ':':
			run++
		}
		if depth > maxNesting || run > 10*maxNesting {
			return line
		}
	}
	return 0
}

func (d *document) error(at hcl.Range, summary, detail string, values ...any) {
	d.diags = append(d.diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: fmt.Sprintf(detail, values...), Subject: &at})
}

// err is everything that is wrong, a line each with its place; nil if nothing is.
func (d *document) err() error {
	if len(d.diags) == 0 {
		return nil
	}
	var lines []string
	for _, x := range d.diags {
		lines = append(lines, fmt.Sprintf("%s:%d:%d: %s: %s", x.Subject.Filename, x.Subject.Start.Line, x.Subject.Start.Column, x.Summary, x.Detail))
	}
	return errors.New(strings.Join(lines, "\n"))
}

// only reports every argument and block that is not in the lists.
func (d *document) only(body *hclsyntax.Body, what string, names, blocks []string) {
	for _, a := range inOrder(body.Attributes) {
		if slices.Contains(blocks, a.Name) {
			d.error(a.NameRange, "Block written as an argument", "%q is a block in %s: write it without the equals sign.", a.Name, what)
		} else if !slices.Contains(names, a.Name) {
			d.error(a.NameRange, "Unknown argument", "There is no argument %q in %s; it has %s.", a.Name, what, strings.Join(slices.Concat(names, blocks), ", "))
		}
	}
	for _, b := range body.Blocks {
		if !slices.Contains(blocks, b.Type) {
			d.error(b.TypeRange, "Unknown block", "There is no block %q in %s; it has %s.", b.Type, what, strings.Join(slices.Concat(names, blocks), ", "))
		}
	}
}

func inOrder(m hclsyntax.Attributes) []*hclsyntax.Attribute {
	var all []*hclsyntax.Attribute
	for _, a := range m {
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b *hclsyntax.Attribute) int { return a.SrcRange.Start.Byte - b.SrcRange.Start.Byte })
	return all
}

// value evaluates an argument, which has a type. It is not ok where the argument is
// missing, and where something is wrong with it and was reported.
func (d *document) value(a *hclsyntax.Attribute, typ cty.Type, like string) (cty.Value, bool) {
	if a == nil {
		return cty.NilVal, false
	}
	v, diags := a.Expr.Value(nil)
	if diags.HasErrors() {
		d.error(a.Expr.Range(), "Not a plain value", "Nothing can be referred to here: write %s.", like)
		return cty.NilVal, false
	}
	if v.IsNull() || !v.Type().Equals(typ) {
		d.error(a.Expr.Range(), "Wrong type", "%q is written like this: %s.", a.Name, like)
		return cty.NilVal, false
	}
	return v, true
}

// text is a string argument, with its place.
func (d *document) text(a *hclsyntax.Attribute, like string) (string, bool) {
	v, ok := d.value(a, cty.String, like)
	if !ok {
		return "", false
	}
	return v.AsString(), true
}

// texts is an argument that is a list of strings, each with its place.
func (d *document) texts(a *hclsyntax.Attribute, like string) (out []placed) {
	if a == nil {
		return nil
	}
	list, ok := a.Expr.(*hclsyntax.TupleConsExpr)
	if !ok {
		d.error(a.Expr.Range(), "Wrong type", "%q is written like this: %s.", a.Name, like)
		return nil
	}
	for _, x := range list.Exprs {
		v, diags := x.Value(nil)
		if diags.HasErrors() || v.IsNull() || v.Type() != cty.String {
			d.error(x.Range(), "Wrong type", "%q is written like this: %s.", a.Name, like)
			continue
		}
		out = append(out, placed{v.AsString(), x.Range()})
	}
	return out
}

type placed struct {
	text string
	at   hcl.Range
}
