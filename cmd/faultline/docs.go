package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/faultline-go/faultline/engine/language"
	"github.com/faultline-go/faultline/experiments"
	"github.com/faultline-go/faultline/sdk/reference"
	"github.com/faultline-go/faultline/sdk/schema"
)

func newDocs(g *global) *cobra.Command {
	var format, out string
	c := &cobra.Command{
		Use:   "docs [TYPE]",
		Short: "Explain a fault, probe, action or target type",
		Long: `docs explains a type, such as docker_kill or http, and its arguments, from the
plugin's own description, with an example. The name of a plugin lists its types and its
settings (behind the type that is called like it, if there is one), and without a name
those of all plugins are listed. The name of an experiment of the
catalogue explains that, and "language" the scenario language. -format markdown writes
pages.`,
		ValidArgsFunction: completeEntries,
		Args:              arguments(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := formats(format, "text", "json", "markdown"); err != nil {
				return err
			}
			if len(args) == 0 {
				if format == "markdown" {
					return g.writeReference(c, out)
				}
				return g.listTypes(c, format)
			}
			if args[0] == "language" {
				if format == "json" {
					return g.describeLanguage(c)
				}
				return language.Page(c.OutOrStdout())
			}
			if slices.Contains(experiments.Names(), strings.TrimPrefix(args[0], "catalog:")) {
				return g.showEntry(c, args[0], format)
			}
			h, err := g.host(".")
			if err != nil {
				return err
			}
			d, err := h.Describe(c.Context(), schema.PluginOf(args[0]))
			if err != nil {
				return err
			}
			found := reference.Types(d, args[0])
			switch {
			case len(found) == 0 && args[0] == d.Name && format == "text":
				return reference.List(c.OutOrStdout(), d)
			case args[0] == d.Name && format == "markdown":
				return reference.Page(c.OutOrStdout(), d)
			case len(found) == 0:
				return fmt.Errorf("plugin %s has no type %q; it has: %s", d.Name, args[0], strings.Join(reference.Names(d), ", "))
			case format == "json":
				return writeJSON(c, found)
			case format == "markdown":
				return reference.Section(c.OutOrStdout(), found)
			}
			for i, x := range found {
				if i > 0 {
					fmt.Fprintln(c.OutOrStdout())
				}
				x.Text(c.OutOrStdout())
			}
			more := slices.DeleteFunc(reference.Names(d), func(name string) bool { return name == args[0] })
			if args[0] == d.Name && len(more)+len(d.Settings.Attributes)+len(d.Settings.Blocks) > 0 {
				fmt.Fprintln(c.OutOrStdout())
				return reference.List(c.OutOrStdout(), d)
			}
			return nil
		},
	}
	c.Flags().StringVar(&format, "format", "text", "text, json or markdown")
	c.Flags().StringVar(&out, "out", "", "with -format markdown and no TYPE: write a page for each plugin, and an index, into this folder")
	return c
}

// listTypes lists what there is to ask for. A plugin that cannot be used does not keep the
// others from being listed.
func (g *global) listTypes(c *cobra.Command, format string) error {
	h, err := g.host(".")
	if err != nil {
		return err
	}
	found := h.List(c.Context())
	if format == "json" {
		return writeJSON(c, pluginsJSON(found))
	}
	if len(found) == 0 {
		return showPlugins(c, found)
	}
	for i, l := range found {
		if i > 0 {
			fmt.Fprintln(c.OutOrStdout())
		}
		if l.Err != nil {
			fmt.Fprintf(c.OutOrStdout(), "plugin %s cannot be used: %s\n", l.Name, l.Err)
			continue
		}
		if err := reference.List(c.OutOrStdout(), l.Description); err != nil {
			return err
		}
	}
	return nil
}

// writeReference explains every plugin that is found: to standard output, or as pages in
// a folder.
func (g *global) writeReference(c *cobra.Command, dir string) error {
	h, err := g.host(".")
	if err != nil {
		return err
	}
	var all []*schema.Description
	for _, l := range h.List(c.Context()) {
		if l.Err != nil {
			return fmt.Errorf("plugin %s: %w", l.Name, l.Err)
		}
		all = append(all, l.Description)
	}
	if dir == "" {
		for _, d := range all {
			if err := reference.Page(c.OutOrStdout(), d); err != nil {
				return err
			}
		}
		return nil
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("write the reference: %w", err)
	}
	write := func(name string, render func(io.Writer) error) error {
		var page bytes.Buffer
		if err := render(&page); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), page.Bytes(), 0o666); err != nil {
			return fmt.Errorf("write the reference: %w", err)
		}
		return nil
	}
	for _, d := range all {
		if err := write(d.Name+".md", func(w io.Writer) error { return reference.Page(w, d) }); err != nil {
			return err
		}
	}
	return write("README.md", func(w io.Writer) error { return reference.Index(w, all) })
}
