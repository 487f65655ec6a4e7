package sdk

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/faultline-go/faultline/sdk/schema"
)

// bodyOf describes the arguments that a configuration struct takes.
func bodyOf[C any]() (schema.Body, error) {
	t := reflect.TypeFor[C]()
	b, err := bodyOfType(t)
	if err != nil {
		return b, fmt.Errorf("configuration %s: %w", t, err)
	}
	return b, nil
}

var durationType = reflect.TypeFor[time.Duration]()

func bodyOfType(t reflect.Type) (schema.Body, error) {
	var b schema.Body
	if t.Kind() != reflect.Struct {
		return b, fmt.Errorf("is a %s, not a struct", t.Kind())
	}
	for f := range fields(t) {
		name, kind := nameOf(f)
		if err := usable(t, f, name, kind); err != nil {
			return b, fmt.Errorf("field %s: %w", f.Name, err)
		}
		if b.Attribute(name) != nil || b.Block(name) != nil {
			return b, fmt.Errorf("field %s: the name %q is taken", f.Name, name)
		}
		if kind == "block" {
			block, err := blockOf(name, f)
			if err != nil {
				return b, err
			}
			b.Blocks = append(b.Blocks, block)
			continue
		}
		a, err := attributeOf(name, kind, f)
		if err != nil {
			return b, fmt.Errorf("field %s: %w", f.Name, err)
		}
		b.Attributes = append(b.Attributes, a)
	}
	return b, nil
}

// fields yields the fields with an hcl tag, those of embedded structs included.
func fields(t reflect.Type) func(yield func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for _, f := range reflect.VisibleFields(t) {
			if f.Tag.Get("hcl") != "" && !yield(f) {
				return
			}
		}
	}
}

var argumentName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// usable checks what would otherwise go wrong only when a configuration is decoded.
func usable(t reflect.Type, f reflect.StructField, name, kind string) error {
	if !argumentName.MatchString(name) {
		return fmt.Errorf("%q is no name for an argument: use lower-case letters, digits and underscores", name)
	}
	if kind != "" && kind != "optional" && kind != "block" {
		return fmt.Errorf("unknown word %q in its hcl tag", kind)
	}
	if !f.IsExported() {
		return errors.New("is not exported")
	}
	for i := 1; i < len(f.Index); i++ {
		if outer := t.FieldByIndex(f.Index[:i]); outer.Type.Kind() == reflect.Pointer {
			return fmt.Errorf("is embedded by the pointer %s; embed the struct itself", outer.Name)
		}
	}
	return nil
}

func nameOf(f reflect.StructField) (name, kind string) {
	name, kind, _ = strings.Cut(f.Tag.Get("hcl"), ",")
	return name, kind
}

func blockOf(name string, f reflect.StructField) (schema.Block, error) {
	block := schema.Block{Name: name, Doc: f.Tag.Get("doc")}
	t := f.Type
	switch t.Kind() {
	case reflect.Slice:
		t = t.Elem()
	case reflect.Pointer:
		t, block.Max = t.Elem(), 1
	default:
		block.Min, block.Max = 1, 1
	}
	var err error
	block.Body, err = bodyOfType(t)
	if err != nil {
		return block, fmt.Errorf("block %s: %w", name, err)
	}
	return block, nil
}

func attributeOf(name, kind string, f reflect.StructField) (schema.Attribute, error) {
	a := schema.Attribute{
		Name:      name,
		Doc:       f.Tag.Get("doc"),
		Required:  kind != "optional",
		Sensitive: f.Tag.Get("sensitive") == "true",
	}
	var ok bool
	if a.Type, ok = typeName(pointed(f.Type)); !ok {
		return a, fmt.Errorf("type %s cannot be an argument", f.Type)
	}
	if e := f.Tag.Get("enum"); e != "" {
		if a.Type != "string" {
			return a, fmt.Errorf("enum is for strings, not for a %s", a.Type)
		}
		a.Enum = strings.Split(e, "|")
	}
	if text, has := f.Tag.Lookup("default"); has {
		a.Required = false
		v, err := parseDefault(a.Type, text)
		if err != nil {
			return a, fmt.Errorf("default %q: %w", text, err)
		}
		a.Default = v
	}
	for _, bound := range []struct {
		tag string
		to  **float64
	}{{"min", &a.Min}, {"max", &a.Max}} {
		text := f.Tag.Get(bound.tag)
		if text == "" {
			continue
		}
		v, err := parseBound(a.Type, text)
		if err != nil {
			return a, fmt.Errorf("%s %q: %w", bound.tag, text, err)
		}
		*bound.to = &v
	}
	if a.Default != nil {
		raw, err := json.Marshal(a.Default)
		if err == nil {
			v := reflect.New(pointed(f.Type)).Elem()
			if err = decodeValue(v, raw); err == nil {
				err = allowed(a, v)
			}
		}
		if err != nil {
			return a, fmt.Errorf("default: %w", err)
		}
	}
	return a, nil
}

// pointed is the type of an argument, which may be behind a pointer to tell an
// absent one from a zero.
func pointed(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

// allowed checks a value against what the tags say of it.
func allowed(a schema.Attribute, v reflect.Value) error {
	if len(a.Enum) > 0 && !slices.Contains(a.Enum, v.String()) {
		return fmt.Errorf("%q is none of %s", v.String(), strings.Join(a.Enum, ", "))
	}
	if a.Min == nil && a.Max == nil {
		return nil
	}
	var x float64
	show := fmt.Sprint
	switch {
	case v.Type() == durationType:
		x = time.Duration(v.Int()).Seconds()
		show = func(v ...any) string { return time.Duration(v[0].(float64) * float64(time.Second)).String() }
	case v.CanInt():
		x = float64(v.Int())
	default:
		x = v.Float()
	}
	if a.Min != nil && x < *a.Min {
		return fmt.Errorf("%s is below the minimum, %s", show(x), show(*a.Min))
	}
	if a.Max != nil && x > *a.Max {
		return fmt.Errorf("%s is above the maximum, %s", show(x), show(*a.Max))
	}
	return nil
}

func typeName(t reflect.Type) (string, bool) {
	switch {
	case t == durationType:
		return "duration", true
	case t.Kind() == reflect.String:
		return "string", true
	case t.Kind() == reflect.Bool:
		return "bool", true
	case t.Kind() == reflect.Int, t.Kind() == reflect.Int64, t.Kind() == reflect.Float64:
		return "number", true
	case t.Kind() == reflect.Slice:
		if of, ok := typeName(t.Elem()); ok && (of == "string" || of == "number") {
			return "list(" + of + ")", true
		}
	case t.Kind() == reflect.Map && t.Key().Kind() == reflect.String && t.Elem().Kind() == reflect.String:
		return "map(string)", true
	}
	return "", false
}

func parseDefault(typ, text string) (any, error) {
	switch typ {
	case "string":
		return text, nil
	case "duration":
		_, err := time.ParseDuration(text)
		return text, err
	case "bool":
		return strconv.ParseBool(text)
	case "number":
		return strconv.ParseFloat(text, 64)
	default:
		var v any
		err := json.Unmarshal([]byte(text), &v)
		return v, err
	}
}

func parseBound(typ, text string) (float64, error) {
	switch typ {
	case "duration":
		d, err := time.ParseDuration(text)
		return d.Seconds(), err
	case "number":
		return strconv.ParseFloat(text, 64)
	default:
		return 0, fmt.Errorf("bounds are for numbers and durations, not for a %s", typ)
	}
}
