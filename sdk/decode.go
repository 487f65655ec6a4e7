package sdk

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/faultline-go/faultline/sdk/schema"
)

// decode reads a configuration: a JSON object as the scenario loader makes it from
// the struct's own schema. It checks that schema once more, because a configuration
// can also come from a saved plan or another program. Missing arguments take their
// default. Its errors are AttributeErrors, of everything that is wrong.
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
	known, given := map[string]bool{}, map[string]bool{}
	var wrong []error
	for f := range fields(v.Type()) {
		name, kind := nameOf(f)
		known[name] = true
		raw, ok := object[name]
		if string(raw) == "null" {
			ok = false
		}
		given[name] = ok
		decodeField := decodeAttribute
		if kind == "block" {
			decodeField = decodeBlock
		}
		if err := decodeField(v.FieldByIndex(f.Index), f, raw, ok); err != nil {
			wrong = append(wrong, At(name, err))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if !known[name] {
			wrong = append(wrong, fmt.Errorf("unknown argument %q", name))
		}
	}
	wrong = append(wrong, broken(v.Type(), given)...)
	return join(wrong)
}

// broken checks the rules between arguments.
func broken(t reflect.Type, given map[string]bool) []error {
	groups := map[string][]string{}
	var order []string
	for f := range fields(t) {
		for _, kind := range schema.RuleKinds {
			if group, ok := f.Tag.Lookup(kind); ok {
				key := kind + " " + group
				if groups[key] == nil {
					order = append(order, key)
				}
				name, _ := nameOf(f)
				groups[key] = append(groups[key], name)
			}
		}
	}
	var wrong []error
	for _, key := range order {
		kind, _, _ := strings.Cut(key, " ")
		var are []string
		for _, name := range groups[key] {
			if given[name] {
				are = append(are, name)
			}
		}
		all := strings.Join(groups[key], ", ")
		switch n := len(are); {
		case n == 0 && (kind == schema.ExactlyOne || kind == schema.AtLeastOne):
			wrong = append(wrong, fmt.Errorf("one of %s is required, and none is given", all))
		case n > 1 && (kind == schema.ExactlyOne || kind == schema.AtMostOne):
			wrong = append(wrong, At(are[1], fmt.Errorf("only one of %s can be given", all)))
		case n > 0 && n < len(groups[key]) && kind == schema.Together:
			wrong = append(wrong, At(are[0], fmt.Errorf("%s belong together, and not all are given", all)))
		}
	}
	return wrong
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
	return allowed(&a, to)
}

func decodeBlock(to reflect.Value, f reflect.StructField, raw json.RawMessage, given bool) error {
	name, _ := nameOf(f)
	block, err := blockOf(name, f)
	if err != nil {
		return err
	}
	switch to.Kind() {
	case reflect.Slice:
		var list []map[string]json.RawMessage
		if given {
			if err := json.Unmarshal(raw, &list); err != nil {
				return inWords(err)
			}
		}
		if err := fits(len(list), block); err != nil {
			return err
		}
		if !given {
			return nil
		}
		out := reflect.MakeSlice(to.Type(), len(list), len(list))
		var wrong []error
		for i, object := range list {
			if err := decodeStruct(out.Index(i), object); err != nil {
				wrong = append(wrong, At(element(i), err))
			}
		}
		to.Set(out)
		return join(wrong)
	case reflect.Map:
		var all map[string]map[string]json.RawMessage
		if given {
			if err := json.Unmarshal(raw, &all); err != nil {
				return inWords(err)
			}
		}
		if err := fits(len(all), block); err != nil {
			return err
		}
		if !given {
			return nil
		}
		out := reflect.MakeMap(to.Type())
		var wrong []error
		for _, label := range slices.Sorted(maps.Keys(all)) {
			v := reflect.New(to.Type().Elem()).Elem()
			if err := decodeStruct(v, all[label]); err != nil {
				wrong = append(wrong, At(entry(label), err))
			}
			out.SetMapIndex(reflect.ValueOf(label).Convert(to.Type().Key()), v)
		}
		to.Set(out)
		return join(wrong)
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
		return inWords(err)
	}
	return decodeStruct(to, object)
}

func fits(n int, b schema.Block) error {
	switch {
	case n < b.Min:
		return fmt.Errorf("%d are given, and at least %d are needed", n, b.Min)
	case b.Max > 0 && n > b.Max:
		return fmt.Errorf("%d are given, and at most %d are possible", n, b.Max)
	}
	return nil
}

func decodeValue(to reflect.Value, raw json.RawMessage) error {
	switch t := to.Type(); {
	case t == durationType:
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return inWords(err)
		}
		d, err := time.ParseDuration(text)
		if err != nil {
			return err
		}
		to.SetInt(int64(d))
		return nil
	case t.Kind() == reflect.Slice:
		var all []json.RawMessage
		if err := json.Unmarshal(raw, &all); err != nil {
			return inWords(err)
		}
		out := reflect.MakeSlice(t, len(all), len(all))
		var wrong []error
		for i, one := range all {
			if err := decodeValue(out.Index(i), one); err != nil {
				wrong = append(wrong, At(element(i), err))
			}
		}
		to.Set(out)
		return join(wrong)
	case t.Kind() == reflect.Map:
		var all map[string]json.RawMessage
		if err := json.Unmarshal(raw, &all); err != nil {
			return inWords(err)
		}
		out := reflect.MakeMapWithSize(t, len(all))
		var wrong []error
		for _, key := range slices.Sorted(maps.Keys(all)) {
			v := reflect.New(t.Elem()).Elem()
			if err := decodeValue(v, all[key]); err != nil {
				wrong = append(wrong, At(entry(key), err))
			}
			out.SetMapIndex(reflect.ValueOf(key).Convert(t.Key()), v)
		}
		to.Set(out)
		return join(wrong)
	case string(raw) == "null":
		return errors.New("is null")
	}
	return inWords(json.Unmarshal(raw, to.Addr().Interface()))
}

// inWords says what encoding/json found without speaking of Go.
func inWords(err error) error {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return err
	}
	want := map[reflect.Kind]string{
		reflect.String: "a string", reflect.Bool: "a bool", reflect.Int: "a whole number", reflect.Int64: "a whole number",
		reflect.Float64: "a number", reflect.Slice: "a list", reflect.Map: "an object", reflect.Struct: "an object",
	}[wrong.Type.Kind()]
	if wrong.Type == durationType || wrong.Type == sizeType || wrong.Type == rateType || wrong.Type == amountType {
		want = "a string with a unit"
	}
	got := map[string]string{"object": "an object", "array": "a list", "string": "a string", "bool": "a bool"}[wrong.Value]
	if got == "" {
		got = "a " + wrong.Value // "number", or "number 1.5"
	}
	return fmt.Errorf("is %s where %s belongs", got, want)
}

// allowed checks a value against what the tags say of it.
func allowed(a *schema.Attribute, v reflect.Value) error {
	var wrong []error
	n := -1
	switch collection, _, _ := schema.Elements(a.Type); collection {
	case "":
		return allowedScalar(a, v)
	case "list":
		n = v.Len()
		for i := range n {
			if err := allowedScalar(a, v.Index(i)); err != nil {
				wrong = append(wrong, At(element(i), err))
			}
		}
	case "map":
		n = v.Len()
		for _, key := range v.MapKeys() {
			if err := allowedScalar(a, v.MapIndex(key)); err != nil {
				wrong = append(wrong, At(entry(key.String()), err))
			}
		}
		slices.SortFunc(wrong, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	}
	if n < a.MinItems {
		wrong = append(wrong, fmt.Errorf("has %d items, and needs at least %d", n, a.MinItems))
	}
	if a.MaxItems > 0 && n > a.MaxItems {
		wrong = append(wrong, fmt.Errorf("has %d items, and may have %d", n, a.MaxItems))
	}
	return join(wrong)
}

func allowedScalar(a *schema.Attribute, v reflect.Value) error {
	if len(a.Enum) > 0 && !slices.Contains(a.Enum, v.String()) {
		return fmt.Errorf("%q is none of %s", v.String(), strings.Join(a.Enum, ", "))
	}
	if a.Pattern != "" {
		if whole, err := regexp.Compile(`\A(?:` + a.Pattern + `)\z`); err != nil || !whole.MatchString(v.String()) {
			return fmt.Errorf("%q does not have the form %s", v.String(), a.Pattern)
		}
	}
	least, most := a.Bounds()
	if least == nil && most == nil {
		return nil
	}
	var x float64
	show := func(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }
	switch {
	case v.Type() == durationType:
		x = time.Duration(v.Int()).Seconds()
		show = func(x float64) string { return time.Duration(x * float64(time.Second)).String() }
	case v.Type() == amountType:
		if v.Interface().(Amount).IsShare {
			return nil
		}
		x, show = float64(v.Interface().(Amount).Bytes), schema.FormatSize
	case v.Type() == rateType:
		x, show = v.Float(), schema.FormatRate
	case v.Type() == sizeType:
		x, show = float64(v.Int()), schema.FormatSize
	case v.CanInt():
		x = float64(v.Int())
	default:
		x = v.Float()
	}
	if least != nil && x < *least {
		return fmt.Errorf("%s is below the minimum, %s", show(x), show(*least))
	}
	if most != nil && x > *most {
		return fmt.Errorf("%s is above the maximum, %s", show(x), show(*most))
	}
	return nil
}
