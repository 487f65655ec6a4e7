package sdk

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"
)

// decode reads a configuration: a JSON object as the scenario loader makes it from
// the struct's own schema. It checks that schema once more, because a configuration
// can also come from a saved plan or another program. Missing arguments take their
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
		if string(raw) == "null" {
			ok = false
		}
		decodeField := decodeAttribute
		if kind == "block" {
			decodeField = decodeBlock
		}
		if err := decodeField(v.FieldByIndex(f.Index), f, raw, ok); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if !known[name] {
			return fmt.Errorf("unknown argument %q", name)
		}
	}
	return nil
}

var errMissing = errors.New("is required, and missing")

func decodeAttribute(to reflect.Value, f reflect.StructField, raw json.RawMessage, given bool) error {
	name, kind := nameOf(f)
	a, err := attributeOf(name, kind, f)
	if err != nil {
		return err
	}
	switch {
	case !given && a.Required:
		return errMissing
	case !given && a.Default == nil:
		return nil
	case !given:
		if raw, err = json.Marshal(a.Default); err != nil {
			return fmt.Errorf("default: %w", err)
		}
	}
	if to.Kind() == reflect.Pointer {
		to.Set(reflect.New(to.Type().Elem()))
		to = to.Elem()
	}
	if err := decodeValue(to, raw); err != nil {
		return err
	}
	return allowed(a, to)
}

func decodeBlock(to reflect.Value, _ reflect.StructField, raw json.RawMessage, given bool) error {
	switch to.Kind() {
	case reflect.Slice:
		if !given {
			return nil
		}
		var list []map[string]json.RawMessage
		if err := json.Unmarshal(raw, &list); err != nil {
			return err
		}
		out := reflect.MakeSlice(to.Type(), len(list), len(list))
		for i, object := range list {
			if err := decodeStruct(out.Index(i), object); err != nil {
				return fmt.Errorf("block %d: %w", i+1, err)
			}
		}
		to.Set(out)
		return nil
	case reflect.Pointer:
		if !given {
			return nil
		}
		to.Set(reflect.New(to.Type().Elem()))
		to = to.Elem()
	default:
		if !given {
			return errMissing
		}
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(raw, &object); err != nil {
		return err
	}
	return decodeStruct(to, object)
}

func decodeValue(to reflect.Value, raw json.RawMessage) error {
	if to.Type() != durationType {
		return json.Unmarshal(raw, to.Addr().Interface())
	}
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
