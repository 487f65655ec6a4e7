package sdk

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
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

var (
	durationType = reflect.TypeFor[time.Duration]()
	sizeType     = reflect.TypeFor[Size]()
	rateType     = reflect.TypeFor[Rate]()
	amountType   = reflect.TypeFor[Amount]()
)

func bodyOfType(t reflect.Type) (schema.Body, error) {
	var b schema.Body
	if t.Kind() != reflect.Struct {
		return b, fmt.Errorf("is a %s, not a struct", t.Kind())
	}
	if err := noneLost(t); err != nil {
		return b, err
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
	var err error
	if b.Rules, err = rulesOf(t, &b); err != nil {
		return b, err
	}
	if why := b.Wrong(); why != "" {
		return b, errors.New(why)
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
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			return block, fmt.Errorf("block %s: a map of blocks has their labels as keys, which are strings", name)
		}
		t, block.Label = t.Elem(), "NAME"
	case reflect.Pointer:
		t, block.Max = t.Elem(), 1
	default:
		block.Min, block.Max = 1, 1
	}
	for _, of := range []struct {
		tag string
		to  *int
	}{{"min_items", &block.Min}, {"max_items", &block.Max}} {
		text, ok := f.Tag.Lookup(of.tag)
		if !ok {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || block.Max == 1 || of.tag == "max_items" && (n < 2 || n < block.Min) {
			return block, fmt.Errorf("block %s: %s %q: use a whole number for a slice or a map, and at least 2 for max_items, which is not below min_items", name, of.tag, text)
		}
		*of.to = n
	}
	var err error
	block.Body, err = bodyOfType(t)
	if err != nil {
		return block, fmt.Errorf("block %s: %w", name, err)
	}
	return block, nil
}

func attributeOf(name, kind string, f reflect.StructField) (schema.Attribute, error) {
	tag := f.Tag
	a := schema.Attribute{
		Name: name, Doc: tag.Get("doc"), Required: kind != "optional", Sensitive: tag.Get("sensitive") == "true",
		Unit: tag.Get("unit"), Pattern: tag.Get("pattern"), Deprecated: tag.Get("deprecated"),
	}
	var ok bool
	if a.Type, ok = typeName(pointed(f.Type)); !ok {
		return a, fmt.Errorf("type %s cannot be an argument", f.Type)
	}
	collection, scalar, _ := schema.Elements(a.Type)
	a.Whole = whole(f.Type)
	if e := tag.Get("enum"); e != "" {
		if scalar != "string" {
			return a, fmt.Errorf("enum is for strings, not for a %s", a.Type)
		}
		a.Enum = strings.Split(e, "|")
		for i, v := range a.Enum {
			if v == "" || slices.Contains(a.Enum[:i], v) {
				return a, fmt.Errorf("enum %q has an empty value, or one twice", e)
			}
		}
	}
	for _, bound := range []struct {
		tag string
		to  **float64
	}{{"min", &a.Min}, {"max", &a.Max}} {
		text := tag.Get(bound.tag)
		if text == "" {
			continue
		}
		v, err := parseBound(scalar, text)
		if err != nil {
			return a, fmt.Errorf("%s %q: %w", bound.tag, text, err)
		}
		*bound.to = &v
	}
	for _, of := range []struct {
		tag string
		to  *int
	}{{"min_items", &a.MinItems}, {"max_items", &a.MaxItems}} {
		text := tag.Get(of.tag)
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || collection == "" {
			return a, fmt.Errorf("%s %q: use a whole number above 0, for a list, a map or blocks", of.tag, text)
		}
		*of.to = n
	}
	var err error
	if a.Default, err = valueOf(a, f, "default"); err != nil {
		return a, err
	}
	if a.Default != nil {
		a.Required = false
	}
	if a.Example, err = valueOf(a, f, "example"); err != nil {
		return a, err
	}
	if a.Deprecated != "" && a.Required {
		return a, errors.New("is required and deprecated: make it optional")
	}
	return a, nil
}

// valueOf reads a tag that holds a value of the argument, which has to be one that a
// scenario may give.
func valueOf(a schema.Attribute, f reflect.StructField, tag string) (any, error) {
	text, has := f.Tag.Lookup(tag)
	if !has {
		return nil, nil
	}
	value, err := parseValue(a.Type, text)
	if err != nil {
		return nil, fmt.Errorf("%s %q: %w", tag, text, err)
	}
	raw, err := json.Marshal(value)
	if err == nil {
		v := reflect.New(pointed(f.Type)).Elem()
		if err = decodeValue(v, raw); err == nil {
			err = allowed(&a, v)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", tag, err)
	}
	return value, nil
}

// pointed is the type of an argument, which may be behind a pointer to tell an
// absent one from a zero.
func pointed(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

// whole says whether a type holds whole numbers only.
func whole(t reflect.Type) bool {
	t = pointed(t)
	if t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	return t != durationType && t != sizeType && (t.Kind() == reflect.Int || t.Kind() == reflect.Int64)
}

func typeName(t reflect.Type) (string, bool) {
	if of, ok := scalarName(t); ok {
		return of, true
	}
	switch {
	case t.Kind() == reflect.Slice:
		of, ok := scalarName(t.Elem())
		return "list(" + of + ")", ok
	case t.Kind() == reflect.Map && t.Key().Kind() == reflect.String:
		of, ok := scalarName(t.Elem())
		return "map(" + of + ")", ok
	}
	return "", false
}

func scalarName(t reflect.Type) (string, bool) {
	switch {
	case t == durationType:
		return "duration", true
	case t == sizeType:
		return "size", true
	case t == rateType:
		return "rate", true
	case t == amountType:
		return "amount", true
	case t.Kind() == reflect.String:
		return "string", true
	case t.Kind() == reflect.Bool:
		return "bool", true
	case t.Kind() == reflect.Int, t.Kind() == reflect.Int64, t.Kind() == reflect.Float64:
		return "number", true
	}
	return "", false
}

// parseValue reads a value as a tag has it: plain, or a list or map in JSON.
func parseValue(typ, text string) (any, error) {
	switch typ {
	case "string", "duration", "size", "rate", "amount":
		return text, nil
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

func parseBound(scalar, text string) (float64, error) {
	switch scalar {
	case "duration":
		d, err := time.ParseDuration(text)
		return d.Seconds(), err
	case "number":
		return strconv.ParseFloat(text, 64)
	case "size", "amount":
		n, err := schema.ParseSize(text)
		return float64(n), err
	case "rate":
		return schema.ParseRate(text)
	default:
		return 0, fmt.Errorf("bounds are for numbers, durations, sizes and rates, not for a %s", scalar)
	}
}
