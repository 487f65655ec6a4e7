package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/faultline-go/faultline/experiments"
	"github.com/faultline-go/faultline/sdk/schema"
)

func newDocs(g *global) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "docs TYPE",
		Short: "Explain a fault, probe, action or target type",
		Long: `docs explains a type, such as docker_kill or http, and its arguments, from the
plugin's own description. The name of a plugin lists its types, and that of an
experiment of the catalogue explains it.`,
		ValidArgsFunction: completeEntries,
		Args:              arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := formats(format, "text", "json"); err != nil {
				return err
			}
			if slices.Contains(experiments.Names(), strings.TrimPrefix(args[0], "catalog:")) {
				return g.showEntry(c, args[0], format)
			}
			h, err := g.host()
			if err != nil {
				return err
			}
			d, err := h.Describe(c.Context(), schema.PluginOf(args[0]))
			if err != nil {
				return err
			}
			found := typesOf(d, args[0])
			if len(found) == 0 && args[0] == d.Name && format == "text" {
				return writeTypes(c.OutOrStdout(), d)
			}
			if len(found) == 0 {
				return fmt.Errorf("plugin %s has no type %q; it has: %s", d.Name, args[0], strings.Join(allTypes(d), ", "))
			}
			if format == "json" {
				return writeJSON(c, found)
			}
			for i, x := range found {
				if i > 0 {
					fmt.Fprintln(c.OutOrStdout())
				}
				x.write(c.OutOrStdout())
			}
			return nil
		},
	}
	c.Flags().StringVar(&format, "format", "text", "text or json")
	return c
}

// typeDocs is one type with everything that its help shows.
type typeDocs struct {
	Kind    string             `json:"kind"` // fault, probe, action, target
	Type    string             `json:"type"`
	Doc     string             `json:"doc"`
	Facts   []string           `json:"facts,omitempty"`
	Body    schema.Body        `json:"arguments"`
	Meta    []string           `json:"engine_arguments,omitempty"`
	Results []schema.Attribute `json:"results,omitempty"` // of a sample, or a candidate
}

func typesOf(d *schema.Description, typ string) []typeDocs {
	var out []typeDocs
	if f := d.Fault(typ); f != nil {
		var accepts []string
		for _, a := range f.Accepts {
			accepts = append(accepts, a.Interface)
		}
		facts := []string{"accepts targets of interface " + strings.Join(accepts, " or "), "is " + strings.ReplaceAll(string(f.Reversibility), "_", "-"), holdWords(f.Hold)}
		if len(f.Requires) > 0 {
			facts = append(facts, "needs "+strings.Join(f.Requires, ", "))
		}
		out = append(out, typeDocs{Kind: "fault", Type: typ, Doc: f.Doc, Facts: facts, Body: f.Config, Meta: schema.FaultMeta})
	}
	if p := d.Probe(typ); p != nil {
		out = append(out, typeDocs{Kind: "probe", Type: typ, Doc: p.Doc, Body: p.Config, Meta: schema.ProbeMeta, Results: append(append([]schema.Attribute{}, schema.SampleCore...), p.Sample...)})
	}
	if a := d.Action(typ); a != nil {
		out = append(out, typeDocs{Kind: "action", Type: typ, Doc: a.Doc, Body: a.Config, Meta: schema.ActionMeta})
	}
	if t := d.Target(typ); t != nil {
		out = append(out, typeDocs{Kind: "target", Type: typ, Doc: t.Doc, Facts: []string{"is a " + strings.Join(t.Interfaces, ", ")}, Body: t.Match, Results: t.Attributes})
	}
	return out
}

// writeTypes lists what a plugin offers.
func writeTypes(out io.Writer, d *schema.Description) error {
	fmt.Fprintf(out, "plugin %s %s\n  %s\n\n", d.Name, d.Version, d.Doc)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, typ := range allTypes(d) {
		for _, x := range typesOf(d, typ) {
			doc, _, _ := strings.Cut(x.Doc, ". ")
			fmt.Fprintf(w, "%s\t%s\t%s\n", x.Kind, typ, doc)
		}
	}
	return w.Flush()
}

func allTypes(d *schema.Description) []string {
	seen := map[string]bool{}
	var out []string
	add := func(typ string) {
		if !seen[typ] {
			seen[typ] = true
			out = append(out, typ)
		}
	}
	for _, x := range d.Faults {
		add(x.Type)
	}
	for _, x := range d.Probes {
		add(x.Type)
	}
	for _, x := range d.Actions {
		add(x.Type)
	}
	for _, x := range d.Targets {
		add(x.Type)
	}
	return out
}

func holdWords(h schema.Hold) string {
	switch h {
	case schema.HoldKernel:
		return "is ended by the kernel when nobody holds it"
	case schema.HoldTarget:
		return "is ended by a helper at the target when nobody holds it"
	default:
		return "is put back by the next `faultline recover` when everybody died"
	}
}

func (t typeDocs) write(w io.Writer) {
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
}

func writeBody(w io.Writer, b schema.Body, indent string) {
	for _, a := range b.Attributes {
		fmt.Fprintf(w, "%s%s (%s%s)\n", indent, a.Name, a.Type, terms(a))
		if a.Doc != "" {
			fmt.Fprintf(w, "%s    %s\n", indent, a.Doc)
		}
	}
	for _, k := range b.Blocks {
		times := "any number"
		switch {
		case k.Max == 1 && k.Min == 1:
			times = "required"
		case k.Max == 1:
			times = "optional"
		}
		fmt.Fprintf(w, "%s%s { … } (block, %s)\n", indent, k.Name, times)
		if k.Doc != "" {
			fmt.Fprintf(w, "%s    %s\n", indent, k.Doc)
		}
		writeBody(w, k.Body, indent+"    ")
	}
}

// terms says what else holds for an argument.
func terms(a schema.Attribute) string {
	var out string
	if a.Required {
		out += ", required"
	}
	if a.Default != nil && a.Default != "" {
		out += fmt.Sprintf(", default %v", a.Default)
	}
	if len(a.Enum) > 0 {
		out += ", one of " + strings.Join(a.Enum, " ")
	}
	if a.Min != nil {
		out += fmt.Sprintf(", at least %g", *a.Min)
	}
	if a.Max != nil {
		out += fmt.Sprintf(", at most %g", *a.Max)
	}
	if a.Sensitive {
		out += ", sensitive"
	}
	return out
}

func writeResults(w io.Writer, prefix string, all []schema.Attribute) {
	for _, a := range all {
		fmt.Fprintf(w, "  %s%s (%s)  %s\n", prefix, a.Name, a.Type, a.Doc)
	}
}
