package sdk

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/faultline-go/faultline/sdk/schema"
)

// The tags of a configuration struct are read by reflection, which passes over what it
// does not know. What is checked here would otherwise be missing in silence.

// ourTags are the keys that a field may have for an argument, and blockTags those for a
// nested block. A key of otherTags belongs to another package.
var (
	ourTags = append([]string{
		"hcl", "doc", "default", "enum", "min", "max", "unit", "pattern", "min_items", "max_items",
		"sensitive", "deprecated", "example",
	}, schema.RuleKinds...)
	blockTags = append([]string{"hcl", "doc", "min_items", "max_items"}, schema.RuleKinds...)
	otherTags = []string{"json", "yaml", "toml", "xml"}
)

// noneLost looks for fields whose tags would be passed over.
func noneLost(t reflect.Type) error {
	for _, f := range reflect.VisibleFields(t) {
		keys, err := keysOf(f.Tag)
		if err != nil {
			return fmt.Errorf("field %s: %w", f.Name, err)
		}
		_, kind := nameOf(f)
		known, what := ourTags, "an argument"
		if kind == "block" {
			known, what = blockTags, "a block"
		}
		for i, key := range keys {
			switch {
			case slices.Contains(keys[:i], key):
				return fmt.Errorf("field %s: the tag %q is there twice", f.Name, key)
			case slices.Contains(known, key), slices.Contains(otherTags, key):
			case slices.Contains(keys, "hcl"):
				return fmt.Errorf("field %s: there is no tag %q for %s: it has %s", f.Name, key, what, strings.Join(known, ", "))
			}
			if slices.Contains(ourTags, key) && !slices.Contains(keys, "hcl") {
				return fmt.Errorf("field %s: it has the tag %q, but no tag hcl:\"name\"", f.Name, key)
			}
		}
		switch s, ok := f.Tag.Lookup("sensitive"); {
		case ok && s != "true":
			return fmt.Errorf("field %s: sensitive %q: write sensitive:\"true\", or leave it out", f.Name, s)
		case f.Tag.Get("hcl") == "" && slices.Contains(keys, "hcl"):
			return fmt.Errorf("field %s: its hcl tag is empty", f.Name)
		}
	}
	return nil
}

// keysOf lists the keys of a tag. The form is that of the reflect package, which gives
// no error for any other.
func keysOf(tag reflect.StructTag) ([]string, error) {
	wrong := fmt.Errorf("its tag `%s` cannot be read: write key:\"value\" with a space between two of them", tag)
	var keys []string
	rest := strings.TrimLeft(string(tag), " ")
	for rest != "" {
		key, value, ok := strings.Cut(rest, ":")
		if !ok || key == "" || strings.ContainsAny(key, " \"\t\n") {
			return nil, wrong
		}
		quoted, err := strconv.QuotedPrefix(value)
		if err != nil || quoted[0] != '"' {
			return nil, wrong
		}
		keys = append(keys, key)
		after := value[len(quoted):]
		rest = strings.TrimLeft(after, " ")
		if rest != "" && rest == after {
			return nil, wrong
		}
	}
	return keys, nil
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

// rulesOf collects the rules between arguments: fields whose tags name the same group.
func rulesOf(t reflect.Type, b *schema.Body) ([]schema.Rule, error) {
	var rules []schema.Rule
	at := map[string]int{}
	for f := range fields(t) {
		name, _ := nameOf(f)
		for _, kind := range schema.RuleKinds {
			group, ok := f.Tag.Lookup(kind)
			if !ok {
				continue
			}
			if a := b.Attribute(name); a != nil && (a.Required || a.Default != nil) {
				return nil, fmt.Errorf("field %s: %s is for arguments that can be left out: make it optional, without a default", f.Name, kind)
			}
			if k := b.Block(name); k != nil && k.Min > 0 {
				return nil, fmt.Errorf("field %s: %s is for blocks that can be left out: use a pointer", f.Name, kind)
			}
			key := kind + " " + group
			i, ok := at[key]
			if !ok {
				i = len(rules)
				at[key] = i
				rules = append(rules, schema.Rule{Kind: kind})
			}
			rules[i].Of = append(rules[i].Of, name)
		}
	}
	for _, r := range rules {
		if len(r.Of) < 2 {
			return nil, fmt.Errorf("argument %s: no other field has the same group of %s", r.Of[0], r.Kind)
		}
	}
	return rules, nil
}
