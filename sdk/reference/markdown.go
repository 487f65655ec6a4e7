package reference

import (
	"fmt"
	"io"
	"strings"

	"github.com/faultline-go/faultline/sdk/schema"
)

// Index writes a page that lists plugins with their types and links to their pages.
func Index(w io.Writer, all []*schema.Description) error {
	var b strings.Builder
	b.WriteString("# The plugins\n\nMade by `faultline docs -format markdown` from what the plugins say of themselves.\n")
	for _, d := range all {
		fmt.Fprintf(&b, "\n## [%s](%s.md)\n\n%s\n\n| type | kind | what it does |\n|---|---|---|\n", d.Name, d.Name, line(d.Doc))
		for _, name := range Names(d) {
			for _, t := range Types(d, name) {
				doc, _, _ := strings.Cut(t.Doc, ". ")
				fmt.Fprintf(&b, "| [`%s`](%s.md#%s) | %s | %s |\n", name, d.Name, anchor(t), t.Kind, cell(doc))
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Page writes everything about a plugin.
func Page(w io.Writer, d *schema.Description) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Plugin %s\n\n%s\n\nMade by `faultline docs -format markdown` from version %s of the plugin.\n", d.Name, line(d.Doc), d.Version)
	if len(d.Settings.Attributes)+len(d.Settings.Blocks) > 0 {
		fmt.Fprintf(&b, "\n## Settings\n\nArguments of the `plugin %q` block:\n", d.Name)
		arguments(&b, d.Settings)
	}
	if len(d.Environment) > 0 {
		b.WriteString("\n## Environment\n\nVariables that the plugin reads by itself. Faultline's own plugins inherit them; another plugin does where its `plugin` block names them in `environment`.\n\n| variable | meaning |\n|---|---|\n")
		for _, v := range d.Environment {
			fmt.Fprintf(&b, "| `%s` | %s |\n", v.Name, cell(v.Doc))
		}
	}
	for _, name := range Names(d) {
		for _, t := range Types(d, name) {
			t.section(&b)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Section writes types without the page around them.
func Section(w io.Writer, all []Type) error {
	var b strings.Builder
	for _, t := range all {
		t.section(&b)
	}
	_, err := io.WriteString(w, strings.TrimPrefix(b.String(), "\n"))
	return err
}

func (t Type) section(b *strings.Builder) {
	fmt.Fprintf(b, "\n## %s `%s`\n\n%s\n", t.Kind, t.Type, line(t.Doc))
	if len(t.Facts) > 0 {
		b.WriteByte('\n')
		for _, f := range t.Facts {
			fmt.Fprintf(b, "- It %s.\n", line(f))
		}
	}
	if len(t.Body.Attributes)+len(t.Body.Blocks) > 0 {
		title := "Arguments:"
		if t.Kind == "target" {
			title = "Arguments of `match`:"
		}
		fmt.Fprintf(b, "\n%s\n", title)
		arguments(b, t.Body)
	}
	if len(t.Meta) > 0 {
		fmt.Fprintf(b, "\nThe engine's own arguments: `%s`.\n", strings.Join(t.Meta, "`, `"))
	}
	switch t.Kind {
	case "probe":
		results(b, "A sample has:", "sample.", t.Results)
	case "target":
		results(b, "A candidate has:", "candidate.", t.Results)
	}
	if t.Example != "" {
		fmt.Fprintf(b, "\n```hcl\n%s```\n", t.Example)
	}
}

// anchor is the link target that renderers of Markdown make of a section's heading.
func anchor(t Type) string { return t.Kind + "-" + t.Type }

func arguments(b *strings.Builder, body schema.Body) {
	b.WriteString("\n| argument | type | meaning |\n|---|---|---|\n")
	rows(b, "", body)
	for i, r := range rules(body, "") {
		if i == 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(b, "%s\n", r)
	}
}

// rows has a row for each argument; those of a block come after it, behind its name.
func rows(b *strings.Builder, prefix string, body schema.Body) {
	for _, a := range body.Attributes {
		fmt.Fprintf(b, "| `%s%s` | %s | %s |\n", prefix, a.Name, cell(a.Type+terms(a)), cell(meaning(a)))
	}
	for _, k := range body.Blocks {
		fmt.Fprintf(b, "| `%s%s { }` | block, %s | %s |\n", prefix, head(k), times(k), cell(k.Doc))
		rows(b, prefix+k.Name+".", k.Body)
	}
}

func results(b *strings.Builder, title, prefix string, all []schema.Attribute) {
	fmt.Fprintf(b, "\n%s\n\n| name | type | meaning |\n|---|---|---|\n", title)
	for _, a := range all {
		fmt.Fprintf(b, "| `%s%s` | %s | %s |\n", prefix, a.Name, a.Type, cell(a.Doc))
	}
}

// line keeps a text in one line.
func line(s string) string { return strings.Join(strings.Fields(s), " ") }

// cell keeps a text in its cell.
func cell(s string) string { return strings.ReplaceAll(line(s), "|", "\\|") }
