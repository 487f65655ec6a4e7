package language

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/faultline-go/faultline/engine/scenario"
)

// Page writes the reference of the language in Markdown.
func Page(w io.Writer) error {
	var b strings.Builder
	b.WriteString(`# The scenario language

Made by ` + "`faultline docs -format markdown language`" + ` from the tables that scenarios are loaded by.

A scenario is a folder, or one file, of HCL 2. Blocks may stand in any order and in any file.
What a fault, probe, action, target or plugin takes beside the arguments here is said by its
[plugin](plugins/README.md). ` + "`faultline schema`" + ` has all of this as JSON, for editors.

## Blocks

`)
	for _, x := range scenario.Language() {
		outline(&b, x, 0)
	}
	for _, x := range scenario.Language() {
		section(&b, x, "")
	}
	b.WriteString("\n## Types\n\n| type | what it is |\n|---|---|\n")
	for _, t := range scenario.ValueTypes() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", t.Name, cell(t.Doc))
	}
	b.WriteString("\n## References\n\n| form | what it names |\n|---|---|\n")
	for _, r := range scenario.References() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", r.Form, cell(r.Doc))
	}
	b.WriteString("\n## Functions\n\nThey are pure: none reads files, the clock or the environment.\n\n| function | what it gives |\n|---|---|\n")
	for _, f := range scenario.Functions() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", f.Signature, cell(f.Doc))
	}
	b.WriteString("\n# Policies\n\nWhat the operators of an environment allow there; [where its files stand](trust.md#what-it-may-do).\nThe files know the functions above, and no references.\n")
	for _, x := range scenario.PolicyLanguage() {
		section(&b, x, "")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// outline shows how blocks stand in each other.
func outline(b *strings.Builder, x scenario.BlockType, depth int) {
	fmt.Fprintf(b, "%s- `%s`", strings.Repeat("  ", depth), header(x))
	if depth == 0 {
		fmt.Fprintf(b, ": [%s](#%s)", firstSentence(x.Doc), x.Name)
	}
	b.WriteByte('\n')
	for _, inner := range x.Blocks {
		outline(b, inner, depth+1)
	}
}

func header(x scenario.BlockType) string {
	s := x.Name
	for _, l := range x.Labels {
		s += fmt.Sprintf(" %q", l)
	}
	return s
}

func section(b *strings.Builder, x scenario.BlockType, in string) {
	level := "##"
	if in != "" {
		level = "###"
	}
	fmt.Fprintf(b, "\n%s `%s`\n\n%s", level, in+x.Name, x.Doc)
	switch {
	case x.Required && x.Once:
		b.WriteString(" There is exactly one.")
	case x.Required:
		b.WriteString(" There is at least one.")
	case x.Once:
		b.WriteString(" There is one at most.")
	}
	fmt.Fprintf(b, "\n\nWritten `%s { … }`.", header(x))
	switch x.Body {
	case "match":
		b.WriteString(" Its arguments are those of the target's type.")
	case "settings":
		b.WriteString(" Its other arguments are the plugin's settings.")
	case "":
	default:
		fmt.Fprintf(b, " Its other arguments are those of the %s's type.", x.Body)
	}
	if x.Open {
		b.WriteString(" Its arguments have the names that you give them.")
	}
	b.WriteByte('\n')
	if len(x.Arguments) > 0 {
		b.WriteString("\n| argument | type | meaning |\n|---|---|---|\n")
		for _, a := range x.Arguments {
			fmt.Fprintf(b, "| `%s` | %s | %s |\n", a.Name, cell(a.Type+terms(a)), cell(a.Doc))
		}
	}
	for _, inner := range x.Blocks {
		section(b, inner, in+x.Name+" → ")
	}
}

// terms says what else holds for an argument.
func terms(a scenario.Argument) string {
	var s string
	if len(a.References) > 0 {
		s += " to " + strings.Join(a.References, ", ")
	}
	if a.Unit != "" {
		s += ", " + a.Unit
	}
	if a.Required {
		s += ", required"
	}
	if a.Default != nil {
		text, err := json.Marshal(a.Default)
		if err == nil {
			s += ", default `" + string(text) + "`"
		}
	}
	if len(a.Enum) > 0 {
		s += ", one of `" + strings.Join(a.Enum, "` `") + "`"
	}
	least, most := a.Bounds()
	unit := ""
	if a.Type == "duration" {
		unit = " s"
	}
	if least != nil && (a.Type != "duration" || *least > 0) {
		s += fmt.Sprintf(", at least %g%s", *least, unit)
	}
	if most != nil {
		s += fmt.Sprintf(", at most %g%s", *most, unit)
	}
	return s
}

func firstSentence(s string) string {
	first, _, _ := strings.Cut(s, ". ")
	return strings.TrimSuffix(first, ".")
}

func cell(s string) string { return strings.ReplaceAll(s, "|", "\\|") }
