package schema

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Body is the set of arguments and nested blocks that a block takes.
type Body struct {
	Attributes []Attribute `json:"attributes,omitempty"`
	Blocks     []Block     `json:"blocks,omitempty"`
	Rules      []Rule      `json:"rules,omitempty"`
}

// Attribute is one argument. Type is one of Scalars, or "list(…)" or "map(…)" of one;
// Enum, Pattern, Min and Max then hold for each element.
type Attribute struct {
	Name      string   `json:"name"`
	Type      string   `json:"type"`
	Doc       string   `json:"doc,omitempty"`
	Unit      string   `json:"unit,omitempty"` // of a number: "percent", "bytes", "packets"; one of Units has its own rules
	Required  bool     `json:"required,omitempty"`
	Default   any      `json:"default,omitempty"`   // JSON value of the type; nil: none
	Enum      []string `json:"enum,omitempty"`      // the only values allowed, for strings
	Min       *float64 `json:"min,omitempty"`       // inclusive; seconds, bytes or bits a second for a duration, size or rate
	Max       *float64 `json:"max,omitempty"`       // inclusive, like Min
	Whole     bool     `json:"whole,omitempty"`     // a number without a fraction
	Pattern   string   `json:"pattern,omitempty"`   // regular expression (RE2) that the whole of a string matches
	MinItems  int      `json:"min_items,omitempty"` // of a list or a map
	MaxItems  int      `json:"max_items,omitempty"` // 0: any number
	Sensitive bool     `json:"sensitive,omitempty"`
	// Deprecated says what to use instead; such an argument still works, with a warning.
	Deprecated string `json:"deprecated,omitempty"`
	Example    any    `json:"example,omitempty"` // JSON value of the type, for the documentation
}

// Block is a nested block. Max 0 means any number; Max 1 makes it a single object
// in the configuration, otherwise it is a list of objects. With a Label each block has
// one, and they are an object by their labels.
type Block struct {
	Name  string `json:"name"`
	Doc   string `json:"doc,omitempty"`
	Label string `json:"label,omitempty"` // what the label is: "NAME"; empty: there is none
	Body  Body   `json:"body"`
	Min   int    `json:"min,omitempty"`
	Max   int    `json:"max,omitempty"`
}

// Rule is what must hold between arguments and blocks of a body.
type Rule struct {
	Kind string   `json:"kind"` // one of the rule kinds
	Of   []string `json:"of"`   // names of arguments and blocks, at least two
}

// The kinds of rules: how many of the names are given.
const (
	ExactlyOne = "exactly_one"
	AtMostOne  = "at_most_one"
	AtLeastOne = "at_least_one"
	Together   = "together" // all or none
)

// RuleKinds lists them.
var RuleKinds = []string{ExactlyOne, AtMostOne, AtLeastOne, Together}

// Scalars are the types of single values. In a configuration, numbers and bools are
// those of JSON and all others are texts: a duration such as "300ms", a size such as
// "64MiB", a rate such as "10mbit" or "1MB/s", an amount, which is a size or a share such as
// "20%".
var Scalars = []string{"string", "number", "bool", "duration", "size", "rate", "amount"}

// Units are the units of numbers that have rules of their own: a percentage is from 0 to
// 100, and a ratio from 0 to 1, unless Min and Max say otherwise. Any other text is a unit,
// too, and shown.
var Units = []string{"percent", "ratio"}

// Elements splits a type: "list", "string" for a list(string), and "", "string" for a
// string. It is not ok for what is no type.
func Elements(typ string) (collection, scalar string, ok bool) {
	scalar = typ
	if i := strings.IndexByte(typ, '('); i > 0 && strings.HasSuffix(typ, ")") {
		collection, scalar = typ[:i], typ[i+1:len(typ)-1]
	}
	ok = slices.Contains(Scalars, scalar) && (collection == "" || collection == "list" || collection == "map")
	return collection, scalar, ok
}

// Bounds are the least and the most that a value may be, those that come with its unit
// or name included; nil: none.
func (a *Attribute) Bounds() (least, most *float64) {
	zero, one, hundred := 0.0, 1.0, 100.0
	_, scalar, _ := Elements(a.Type)
	least, most = a.Min, a.Max
	switch {
	case scalar == "duration" || scalar == "size" || scalar == "rate" || scalar == "amount":
		if least == nil {
			least = &zero
		}
	case scalar != "number":
	case a.IsPercent() && least == nil && most == nil:
		return &zero, &hundred
	case a.Unit == "ratio" && least == nil && most == nil:
		return &zero, &one
	}
	return least, most
}

// IsPercent says whether a number is a percentage, by its unit or by its name.
func (a *Attribute) IsPercent() bool {
	return a.Unit == "percent" || a.Unit == "" && strings.HasSuffix(a.Name, "percent")
}

// Wrong says why a body makes no sense, or nothing.
func (b *Body) Wrong() string {
	seen := map[string]bool{}
	for i := range b.Attributes {
		a := &b.Attributes[i]
		if seen[a.Name] {
			return fmt.Sprintf("the argument %q is there twice", a.Name)
		}
		seen[a.Name] = true
		if why := a.wrong(); why != "" {
			return fmt.Sprintf("the argument %q %s", a.Name, why)
		}
	}
	blocks := map[string]bool{}
	for i := range b.Blocks {
		k := &b.Blocks[i]
		if blocks[k.Name] {
			return fmt.Sprintf("the block %q is there twice", k.Name)
		}
		blocks[k.Name] = true
		if why := k.Body.Wrong(); why != "" {
			return fmt.Sprintf("in the block %q, %s", k.Name, why)
		}
	}
	for _, r := range b.Rules {
		if !slices.Contains(RuleKinds, r.Kind) {
			return fmt.Sprintf("the rule %q is not known", r.Kind)
		}
		if len(r.Of) < 2 {
			return fmt.Sprintf("the rule %q needs at least two names, and has %q", r.Kind, r.Of)
		}
		for _, name := range r.Of {
			if !seen[name] && !blocks[name] {
				return fmt.Sprintf("the rule %q names %q, which is not there", r.Kind, name)
			}
		}
	}
	return ""
}

func (a *Attribute) wrong() string {
	collection, scalar, ok := Elements(a.Type)
	switch {
	case !ok:
		return fmt.Sprintf("has the type %q, which is not known", a.Type)
	case a.Min != nil && a.Max != nil && *a.Min > *a.Max:
		return "has a least value above its most"
	case (a.Min != nil || a.Max != nil) && (scalar == "string" || scalar == "bool"):
		return "has bounds, which are for numbers, durations, sizes, rates and amounts"
	case len(a.Enum) > 0 && scalar != "string":
		return "has a list of values, which is for strings"
	case a.Pattern != "" && scalar != "string":
		return "has a pattern, which is for strings"
	case a.Whole && scalar != "number":
		return "is whole, and no number"
	case collection == "" && (a.MinItems != 0 || a.MaxItems != 0):
		return "has a number of items, and is no list or map"
	case a.MaxItems != 0 && a.MinItems > a.MaxItems:
		return "needs more items than it may have"
	}
	if _, err := regexp.Compile(a.Pattern); err != nil {
		return fmt.Sprintf("has a pattern that cannot be read: %s", err)
	}
	return ""
}
