package reference

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/faultline-go/faultline/sdk/schema"
)

// usual are the target types that people take for an interface of another plugin.
var usual = map[string]string{
	"container": "docker_container", "process": "process", "host": "host", "netns": "docker_container",
}

func faultExample(d *schema.Description, f *schema.Fault) string {
	target := "TYPE"
	for _, a := range f.Accepts {
		for _, t := range d.Targets {
			if slices.Contains(t.Interfaces, a.Interface) && target == "TYPE" {
				target = t.Type
			}
		}
	}
	for _, a := range f.Accepts {
		if t := usual[a.Interface]; t != "" && target == "TYPE" {
			target = t
		}
	}
	lines := []setting{{"target", "target." + target + ".web"}, {"duration", `"20s"`}}
	if f.Reversibility == schema.Irreversible {
		lines = append(lines, setting{"irreversible", `"accept"`})
	}
	return blockExample("fault", f.Type, lines, f.Config, f.Example)
}

func targetExample(t *schema.Target) string {
	inner := body(nil, t.Match, t.Example, "    ")
	if inner == "" {
		return fmt.Sprintf("target %q \"web\" {\n}\n", t.Type)
	}
	return fmt.Sprintf("target %q \"web\" {\n  match {\n%s  }\n}\n", t.Type, inner)
}

// blockExample is a block with the engine's arguments that it needs, and the plugin's:
// those of the author's own example, or what is required.
func blockExample(kind, typ string, engine []setting, b schema.Body, own string) string {
	return fmt.Sprintf("%s %q \"web\" {\n%s}\n", kind, typ, body(engine, b, own, "  "))
}

func body(engine []setting, b schema.Body, own, indent string) string {
	if own == "" {
		return made(engine, b, indent)
	}
	var out strings.Builder
	if len(engine) > 0 {
		out.WriteString(aligned(engine, indent) + "\n")
	}
	for _, l := range strings.Split(strings.Trim(own, "\n"), "\n") {
		if l != "" {
			l = indent + l
		}
		out.WriteString(l + "\n")
	}
	return out.String()
}

// setting is an argument and its value.
type setting struct{ name, value string }

// made is the shortest body that a schema allows, with what has an example.
func made(lines []setting, b schema.Body, indent string) string {
	wanted := map[string]bool{}
	for _, a := range b.Attributes {
		wanted[a.Name] = a.Required || a.Example != nil
	}
	for _, k := range b.Blocks {
		wanted[k.Name] = wanted[k.Name] || k.Min > 0
	}
	for _, r := range b.Rules {
		choose(r, wanted)
	}
	for _, a := range b.Attributes {
		if wanted[a.Name] && a.Deprecated == "" {
			lines = append(lines, setting{a.Name, value(sample(a))})
		}
	}
	out := aligned(lines, indent)
	for _, k := range b.Blocks {
		if !wanted[k.Name] || b.Attribute(k.Name) != nil {
			continue
		}
		header := k.Name
		if k.Label != "" {
			header += ` "main"`
		}
		for range max(k.Min, 1) {
			out += fmt.Sprintf("%s%s {\n%s%s}\n", indent, header, made(nil, k.Body, indent+"  "), indent)
		}
	}
	return out
}

// choose takes what a rule asks for, and no more.
func choose(r schema.Rule, wanted map[string]bool) {
	var given []string
	for _, name := range r.Of {
		if wanted[name] {
			given = append(given, name)
		}
	}
	switch {
	case r.Kind == schema.Together && len(given) > 0:
		for _, name := range r.Of {
			wanted[name] = true
		}
	case len(given) == 0 && (r.Kind == schema.ExactlyOne || r.Kind == schema.AtLeastOne):
		wanted[r.Of[0]] = true
	case len(given) > 1 && (r.Kind == schema.ExactlyOne || r.Kind == schema.AtMostOne):
		for _, name := range given[1:] {
			wanted[name] = false
		}
	}
}

// aligned writes arguments as `faultline fmt` does.
func aligned(lines []setting, indent string) string {
	width := 0
	for _, l := range lines {
		width = max(width, len(l.name))
	}
	var out strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&out, "%s%-*s = %s\n", indent, width, l.name, l.value)
	}
	return out.String()
}

// sample is a value that an argument takes.
func sample(a schema.Attribute) any {
	if a.Example != nil {
		return a.Example
	}
	if a.Default != nil {
		return a.Default
	}
	collection, scalar, _ := schema.Elements(a.Type)
	least, most := a.Bounds()
	within := func(usual float64) float64 {
		if least != nil {
			usual = max(usual, *least)
		}
		if most != nil {
			usual = min(usual, *most)
		}
		return usual
	}
	var one any = "example"
	switch scalar {
	case "string":
		if len(a.Enum) > 0 {
			one = a.Enum[0]
		}
	case "number":
		one = within(1)
	case "bool":
		one = true
	case "duration":
		one = bound("duration", within(1))
	case "size", "amount":
		one = schema.FormatSize(within(64 << 20))
	case "rate":
		one = schema.FormatRate(within(1e6))
	}
	switch collection {
	case "list":
		return slices.Repeat([]any{one}, max(a.MinItems, 1))
	case "map":
		return map[string]any{"example": one}
	}
	return one
}

// value is a JSON value as HCL has it.
func value(v any) string {
	switch v := v.(type) {
	case string:
		text, err := json.Marshal(v)
		if err != nil {
			return `""`
		}
		return strings.NewReplacer("${", "$${", "%{", "%%{", `\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(text))
	case []any:
		all := make([]string, len(v))
		for i, e := range v {
			all[i] = value(e)
		}
		return "[" + strings.Join(all, ", ") + "]"
	case map[string]any:
		var all []string
		for _, k := range slices.Sorted(maps.Keys(v)) {
			all = append(all, value(k)+" = "+value(v[k]))
		}
		return "{ " + strings.Join(all, ", ") + " }"
	}
	text, err := json.Marshal(v)
	if err != nil {
		return "null"
	}
	return string(text)
}
