package report

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/engine/report/schema/schematest"
)

func TestReportsFollowTheSchema(t *testing.T) {
	s := schematest.Strict(t, "report")
	for _, r := range []*judge.Result{result(held()), result(broken()), result(open("x", judge.NotDue, "not its turn")), everything()} {
		schematest.Check(t, s, write(t, func(w io.Writer) error { return JSON(w, r) }))
	}
}

// A document that says more, less or something else than the schema is found out: the
// checks above could fail.
func TestTheSchemaIsStrict(t *testing.T) {
	s := schematest.Strict(t, "report")
	good := write(t, func(w io.Writer) error { return JSON(w, everything()) })
	for name, change := range map[string]func(map[string]any){
		"another format":  func(d map[string]any) { d["format"] = "faultline.report/v2" },
		"a field more":    func(d map[string]any) { d["score"] = 1 },
		"a field less":    func(d map[string]any) { delete(d, "run") },
		"a wrong verdict": func(d map[string]any) { d["verdict"] = "fine" },
		"a wrong time":    func(d map[string]any) { d["run"].(map[string]any)["started"] = "yesterday" },
		"a field more inside": func(d map[string]any) {
			d["experiments"].([]any)[0].(map[string]any)["times"].(map[string]any)["t9"] = 1
		},
	} {
		var d map[string]any
		if err := json.Unmarshal(good, &d); err != nil {
			t.Fatal(err)
		}
		change(d)
		if err := s.Validate(d); err == nil {
			t.Errorf("%s passes", name)
		}
	}
}

// The schema has every field of the Go types, each with a description, and no other.
func TestSchemaHasEveryField(t *testing.T) {
	c := comparison{t: t, schema: schematest.Load(t, "report"), consts: goConstants(t)}
	c.object("Result", reflect.TypeFor[judge.Result](), c.schema)
	c.noMore()
}

// comparison walks a Go type and the schema side by side.
type comparison struct {
	t      *testing.T
	schema map[string]any
	consts map[string][]string // the constants of a type by its name
	seen   map[string]bool     // definitions
}

func (c *comparison) defs() map[string]any { return c.schema["$defs"].(map[string]any) }

func (c *comparison) noMore() {
	c.t.Helper()
	for name := range c.defs() {
		if !c.seen[name] {
			c.t.Errorf("the schema defines %s, which no field has", name)
		}
	}
}

func (c *comparison) object(path string, typ reflect.Type, schema map[string]any) {
	properties, _ := schema["properties"].(map[string]any)
	var names, required []string
	for _, f := range reflect.VisibleFields(typ) {
		tag, ok := f.Tag.Lookup("json")
		if !ok || f.Anonymous {
			continue
		}
		name, option, _ := strings.Cut(tag, ",")
		if name == "-" || f.Type == reflect.TypeFor[*struct{}]() {
			continue // only there to hide another
		}
		if i := slices.Index(names, name); i >= 0 {
			continue // hidden by an outer field
		}
		names = append(names, name)
		if option != "omitempty" {
			required = append(required, name)
		}
		p, ok := properties[name].(map[string]any)
		if !ok {
			c.t.Errorf("%s.%s is not in the schema", path, name)
			continue
		}
		if text, _ := p["description"].(string); !strings.HasSuffix(text, ".") {
			c.t.Errorf("%s.%s has no description that is a sentence: %q", path, name, text)
		}
		c.value(path+"."+name, f.Type, p)
	}
	for name := range properties {
		if !slices.Contains(names, name) {
			c.t.Errorf("%s.%s is in the schema alone", path, name)
		}
	}
	var want []string
	list, _ := schema["required"].([]any)
	for _, name := range list {
		want = append(want, name.(string))
	}
	slices.Sort(want)
	slices.Sort(required)
	if !slices.Equal(want, required) {
		c.t.Errorf("%s: the schema requires %q, always written are %q", path, want, required)
	}
}

func (c *comparison) value(path string, typ reflect.Type, schema map[string]any) {
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	if ref, ok := schema["$ref"].(string); ok {
		c.definition(path, strings.TrimPrefix(ref, "#/$defs/"), typ)
		return
	}
	says := fmt.Sprint(schema["type"])
	want := ""
	switch {
	case typ == reflect.TypeFor[json.RawMessage]():
		want = "<nil>"
	case typ == reflect.TypeFor[time.Time]():
		if want = "string"; schema["format"] != "date-time" {
			c.t.Errorf("%s: the format is %v", path, schema["format"])
		}
	case typ.Kind() == reflect.Struct:
		c.t.Errorf("%s is an object without a definition", path)
		return
	case typ.Kind() == reflect.Slice:
		want = "array"
		items, _ := schema["items"].(map[string]any)
		c.value(path+"[]", typ.Elem(), items)
	case typ.Kind() == reflect.Map:
		want = "object"
		items, _ := schema["additionalProperties"].(map[string]any)
		c.value(path+"{}", typ.Elem(), items)
	case typ.Kind() == reflect.String:
		want = "string"
	case typ.Kind() == reflect.Bool:
		want = "boolean"
	case typ.Kind() == reflect.Float64:
		want = "number"
	default:
		want = "integer"
	}
	if schema["const"] != nil || schema["enum"] != nil {
		want = "<nil>"
	}
	if says != want && says != "["+want+" null]" {
		c.t.Errorf("%s: the schema says %s, it is %s", path, says, want)
	}
}

func (c *comparison) definition(path, name string, typ reflect.Type) {
	d, ok := c.defs()[name].(map[string]any)
	if !ok {
		c.t.Errorf("%s: there is no definition %s", path, name)
		return
	}
	if c.seen == nil {
		c.seen = map[string]bool{}
	}
	if c.seen[name] {
		return
	}
	c.seen[name] = true
	if text, _ := d["description"].(string); !strings.HasSuffix(text, ".") {
		c.t.Errorf("%s has no description that is a sentence: %q", name, text)
	}
	if typ.Kind() == reflect.Struct {
		c.object(name, typ, d)
		return
	}
	// A word: what the schema lists are the constants of its type.
	var words []string
	list, _ := d["enum"].([]any)
	for _, w := range list {
		words = append(words, w.(string))
	}
	slices.Sort(words)
	if want := c.consts[name]; !slices.Equal(words, want) {
		c.t.Errorf("%s: the schema has %q, the code %q", name, words, want)
	}
}

// goConstants are the texts of the constants that journal and judge declare, by their
// types, sorted.
func goConstants(t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{"Recovered": {judge.AfterFaultOff, judge.WhileFaultOn}}
	for _, dir := range []string{"journal", "judge"} {
		files, err := filepath.Glob(filepath.Join("..", dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatal(dir, err)
		}
		for _, path := range files {
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				v, ok := n.(*ast.ValueSpec)
				if !ok || len(v.Values) != 1 {
					return true
				}
				typ, ok := v.Type.(*ast.Ident)
				value, isText := v.Values[0].(*ast.BasicLit)
				if ok && isText && value.Kind == token.STRING {
					text, _ := strconv.Unquote(value.Value)
					out[typ.Name] = append(out[typ.Name], text)
				}
				return true
			})
		}
	}
	for _, name := range slices.Collect(maps.Keys(out)) {
		slices.Sort(out[name])
	}
	return out
}
