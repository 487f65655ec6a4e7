package reference

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/faultline-go/faultline/sdk/schema"
)

// List writes what a plugin offers, a line a type, and its settings.
func List(out io.Writer, d *schema.Description) error {
	fmt.Fprintf(out, "plugin %s %s\n  %s\n\n", d.Name, d.Version, d.Doc)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, name := range Names(d) {
		for _, x := range Types(d, name) {
			doc, _, _ := strings.Cut(x.Doc, ". ")
			fmt.Fprintf(w, "%s\t%s\t%s\n", x.Kind, name, strings.TrimSuffix(doc, "."))
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(d.Settings.Attributes)+len(d.Settings.Blocks) > 0 {
		fmt.Fprintf(out, "\nSettings, in a block plugin %q:\n", d.Name)
		writeBody(out, d.Settings, "  ")
		for _, r := range rules(d.Settings, "") {
			fmt.Fprintf(out, "  %s\n", r)
		}
	}
	return nil
}

// Text writes the type for a terminal.
func (t Type) Text(w io.Writer) {
	fmt.Fprintf(w, "%s %q\n  %s\n", t.Kind, t.Type, t.Doc)
	for _, f := range t.Facts {
		fmt.Fprintf(w, "  It %s.\n", f)
	}
	title := "Arguments"
	if t.Kind == "target" {
		title = "Arguments of match"
	}
	if len(t.Body.Attributes)+len(t.Body.Blocks) > 0 {
		fmt.Fprintf(w, "\n%s:\n", title)
		writeBody(w, t.Body, "  ")
		for _, r := range rules(t.Body, "") {
			fmt.Fprintf(w, "  %s\n", r)
		}
	}
	if len(t.Meta) > 0 {
		fmt.Fprintf(w, "\nThe engine's own arguments: %s\n", strings.Join(t.Meta, ", "))
	}
	switch t.Kind {
	case "probe":
		fmt.Fprintf(w, "\nA sample has:\n")
		writeResults(w, "sample.", t.Results)
	case "target":
		fmt.Fprintf(w, "\nA candidate has:\n")
		writeResults(w, "candidate.", t.Results)
	}
	if t.Example != "" {
		fmt.Fprintf(w, "\nExample:\n\n")
		for _, l := range strings.Split(strings.TrimSuffix(t.Example, "\n"), "\n") {
			fmt.Fprintln(w, strings.TrimRight("    "+l, " "))
		}
	}
}

func writeBody(w io.Writer, b schema.Body, indent string) {
	for _, a := range b.Attributes {
		fmt.Fprintf(w, "%s%s (%s%s)\n", indent, a.Name, a.Type, terms(a))
		if doc := meaning(a); doc != "" {
			fmt.Fprintf(w, "%s    %s\n", indent, doc)
		}
	}
	for _, k := range b.Blocks {
		fmt.Fprintf(w, "%s%s { … } (block, %s)\n", indent, head(k), times(k))
		if k.Doc != "" {
			fmt.Fprintf(w, "%s    %s\n", indent, k.Doc)
		}
		writeBody(w, k.Body, indent+"    ")
	}
}

func writeResults(w io.Writer, prefix string, all []schema.Attribute) {
	for _, a := range all {
		fmt.Fprintf(w, "  %s%s (%s)  %s\n", prefix, a.Name, a.Type, a.Doc)
	}
}
