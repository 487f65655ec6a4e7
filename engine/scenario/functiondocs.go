package scenario

import (
	"strings"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// Function is a function of the language.
type Function struct {
	Name      string      `json:"name"`
	Signature string      `json:"signature"` // "join(separator, lists…)"
	Doc       string      `json:"doc"`
	Params    []Parameter `json:"params,omitempty"`
}

// Parameter is one of a function's.
type Parameter struct {
	Name string `json:"name"`
	Type string `json:"type"`
	// Variadic: it stands for any number of arguments, none included.
	Variadic bool `json:"variadic,omitempty"`
}

// Functions are those of the language, by name.
func Functions() []Function {
	all := functions()
	out := make([]Function, 0, len(all))
	for _, name := range sortedKeys(all) {
		f := Function{Name: name, Doc: functionDocs[name]}
		var words []string
		for _, p := range all[name].Params() {
			f.Params = append(f.Params, parameter(p, false))
			words = append(words, p.Name)
		}
		if p := all[name].VarParam(); p != nil {
			f.Params = append(f.Params, parameter(*p, true))
			words = append(words, p.Name+"…")
		}
		f.Signature = name + "(" + strings.Join(words, ", ") + ")"
		out = append(out, f)
	}
	return out
}

func parameter(p function.Parameter, variadic bool) Parameter {
	typ := "any"
	switch {
	case p.Type == cty.DynamicPseudoType:
	case p.Type.IsPrimitiveType():
		typ = p.Type.FriendlyName()
	case p.Type.IsListType():
		typ = "list"
	case p.Type.IsSetType():
		typ = "set"
	case p.Type.IsMapType():
		typ = "map"
	}
	return Parameter{Name: p.Name, Type: typ, Variadic: variadic}
}

// functionDocs says in a sentence what each function gives.
var functionDocs = map[string]string{
	"duration": `Seconds of a duration: duration("300ms") is 0.3, the unit of sample.latency.`,

	"abs":      "The number without its sign.",
	"ceil":     "The next whole number that is not below.",
	"floor":    "The next whole number that is not above.",
	"log":      "The logarithm to a base.",
	"max":      "The largest of numbers.",
	"min":      "The smallest of numbers.",
	"parseint": "The whole number that a text has in a base, such as 16.",
	"pow":      "A number to the power of another.",
	"signum":   "-1, 0 or 1, by the sign.",
	"sum":      "The sum of a list of numbers.",

	"chomp":       "The text without line ends at its end.",
	"endswith":    "Whether a text ends with another.",
	"format":      "A text with values put in, by verbs such as %s, %d and %.2f.",
	"formatlist":  "Texts as format makes them, one for each element of the lists.",
	"indent":      "The text with all lines but the first indented by spaces.",
	"join":        "The texts of lists in one, with a separator between them.",
	"lower":       "The text in lower case.",
	"regex":       "What a regular expression finds first: the text, or its groups.",
	"regexall":    "Everything that a regular expression finds, as a list.",
	"replace":     "The text with each place of another one replaced.",
	"split":       "The parts of a text between separators, as a list.",
	"startswith":  "Whether a text starts with another.",
	"strcontains": "Whether a text contains another.",
	"strrev":      "The text from its end to its beginning.",
	"substr":      "Part of a text, from an offset and of a length; -1 is up to the end.",
	"title":       "The text with the first letter of each word in upper case.",
	"trim":        "The text without any of the given characters at its ends.",
	"trimprefix":  "The text without a beginning, if it has that.",
	"trimspace":   "The text without blanks at its ends.",
	"trimsuffix":  "The text without an end, if it has that.",
	"upper":       "The text in upper case.",

	"alltrue":         "Whether all of a list are true; of an empty list they are.",
	"anytrue":         "Whether any of a list is true.",
	"chunklist":       "The list cut into lists of a size.",
	"coalesce":        "The first of the values that is not null.",
	"coalescelist":    "The first of the lists that is not empty.",
	"compact":         "The list of texts without empty ones.",
	"concat":          "The lists one after the other.",
	"contains":        "Whether a list has a value.",
	"distinct":        "The list with each value once.",
	"element":         "The element at an index, which goes round at the end.",
	"flatten":         "The list with the elements of lists in it, in their place.",
	"keys":            "The keys of a map, sorted.",
	"length":          "How many elements a list or map has, or characters a text.",
	"lookup":          "The value of a key in a map, or else a default.",
	"merge":           "The maps in one; a later one wins.",
	"range":           "Numbers from a start up to a limit, which is left out, by a step.",
	"reverse":         "The list from its end to its beginning.",
	"setintersection": "What is in all of the sets.",
	"setproduct":      "Every combination of an element of each.",
	"setsubtract":     "What is in the first set and not in the second.",
	"setunion":        "What is in any of the sets.",
	"slice":           "The elements from a start index up to an end index, which is left out.",
	"sort":            "The texts in order.",
	"values":          "The values of a map, in the order of their keys.",
	"zipmap":          "A map of a list of keys and a list of values.",

	"base64decode": "The text that base64 stands for.",
	"base64encode": "The text in base64.",
	"csvdecode":    "The rows of CSV with a header, as a list of maps.",
	"jsondecode":   "The value of a JSON text.",
	"jsonencode":   "The value as JSON.",
	"sha256":       "The SHA-256 of a text, in hexadecimal.",
	"urlencode":    "The text as it may stand in the query of a URL.",
	"yamldecode":   "The value of a YAML text.",
	"yamlencode":   "The value as YAML.",

	"formatdate": `A time in another form, such as formatdate("YYYY-MM-DD", …).`,
	"timeadd":    "A time and a duration after it.",

	"can":      "Whether an expression has a value without an error.",
	"try":      "The first of the expressions that has a value without an error.",
	"tobool":   "The value as a bool.",
	"tolist":   "The value as a list.",
	"tomap":    "The value as a map.",
	"tonumber": "The value as a number.",
	"toset":    "The value as a set, which for_each takes: each value once.",
	"tostring": "The value as a text.",
}
