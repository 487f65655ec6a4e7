package sdk

import (
	"encoding/json"
	"fmt"
	"reflect"
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
	if e := f.Tag.Get("enum"); e != "" {
		a.Enum = strings.Split(e, "|")
	}
	t := f.Type
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var ok bool
	if a.Type, ok = typeName(t); !ok {
		return a, fmt.Errorf("type %s cannot be an argument", f.Type)
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
	return a, nil
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
	if typ == "duration" {
		d, err := time.ParseDuration(text)
		return d.Seconds(), err
	}
	return strconv.ParseFloat(text, 64)
}

// decode reads a configuration: a JSON object as the scenario loader makes it from
// the struct's own schema. Unknown names are errors, missing ones take their
// default.
func decode[C any](raw []byte) (C, error) {
	var c C
	object := map[string]json.RawMessage{}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &object); err != nil {
			return c, fmt.Errorf("decode configuration: %w", err)
		}
	}
	err := decodeStruct(reflect.ValueOf(&c).Elem(), object)
	return c, err
}

func decodeStruct(v reflect.Value, object map[string]json.RawMessage) error {
	known := map[string]bool{}
	for f := range fields(v.Type()) {
		name, kind := nameOf(f)
		known[name] = true
		raw, ok := object[name]
		if ok && string(raw) == "null" {
			ok = false
		}
		to := v.FieldByIndex(f.Index)
		if !ok {
			text, has := f.Tag.Lookup("default")
			if !has {
				continue
			}
			typ, _ := typeName(f.Type)
			def, err := parseDefault(typ, text)
			if err != nil {
				return fmt.Errorf("default of %s: %w", name, err)
			}
			if raw, err = json.Marshal(def); err != nil {
				return fmt.Errorf("default of %s: %w", name, err)
			}
		}
		var err error
		if kind == "block" {
			err = decodeBlock(to, raw)
		} else {
			err = decodeValue(to, raw)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	for name := range object {
		if !known[name] {
			return fmt.Errorf("unknown argument %q", name)
		}
	}
	return nil
}

func decodeBlock(to reflect.Value, raw json.RawMessage) error {
	if to.Kind() == reflect.Slice {
		var list []map[string]json.RawMessage
		if err := json.Unmarshal(raw, &list); err != nil {
			return err
		}
		out := reflect.MakeSlice(to.Type(), len(list), len(list))
		for i, object := range list {
			if err := decodeStruct(out.Index(i), object); err != nil {
				return err
			}
		}
		to.Set(out)
		return nil
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(raw, &object); err != nil {
		return err
	}
	if to.Kind() == reflect.Pointer {
		to.Set(reflect.New(to.Type().Elem()))
		to = to.Elem()
	}
	return decodeStruct(to, object)
}

func decodeValue(to reflect.Value, raw json.RawMessage) error {
	if to.Kind() == reflect.Pointer {
		to.Set(reflect.New(to.Type().Elem()))
		to = to.Elem()
	}
	if to.Type() == durationType {
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return err
		}
		d, err := time.ParseDuration(text)
		if err != nil {
			return err
		}
		to.SetInt(int64(d))
		return nil
	}
	return json.Unmarshal(raw, to.Addr().Interface())
}
