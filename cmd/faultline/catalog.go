package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/faultline-go/faultline/engine/scenario"
	"github.com/faultline-go/faultline/experiments"
)

func newCatalog(g *global) *cobra.Command {
	var format, copyTo string
	c := &cobra.Command{
		Use:   "catalog [NAME]",
		Short: "List the experiments that come with faultline, or explain one",
		Long: `catalog lists experiments that the field knows by name, for a scenario to use:
experiment "x" { source = "catalog:NAME" }. With a name it shows what the experiment
does and its inputs; a folder of your own, such as ./experiments/mine, can stand in
place of the name. With -copy its files are written into a new folder, to be changed
and used as a source of your own.`,
		Args: arguments(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := formats(format, "text", "json"); err != nil {
				return err
			}
			if len(args) == 0 {
				if copyTo != "" {
					return errors.New("say which experiment -copy is to copy")
				}
				return g.listCatalog(c, format)
			}
			if copyTo != "" {
				return copyEntry(c, args[0], copyTo)
			}
			return g.showEntry(c, args[0], format)
		},
		ValidArgsFunction: completeEntries,
	}
	c.Flags().StringVar(&format, "format", "text", "text or json")
	c.Flags().StringVar(&copyTo, "copy", "", "write the experiment's files into this new folder")
	return c
}

// completeEntries completes names of the catalogue.
func completeEntries(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var out []string
	for _, name := range experiments.Names() {
		out = append(out, name+"\t"+experiments.Title(name))
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// entryDocs is an entry with what its README is headed with.
type entryDocs struct {
	*scenario.Entry
	Title string `json:"title"`
}

// describeEntry reads an entry of the catalogue, or one of a folder.
func (g *global) describeEntry(name string) (*entryDocs, error) {
	e, diags := scenario.Describe(experiments.FS(), name)
	if err := diags.Write(g.process.stderr, g.process.width(), g.errorColor()); err != nil {
		return nil, err
	}
	if diags.HasErrors() {
		return nil, exit(exitUsage)
	}
	readme, err := scenario.ReadEntryFile(experiments.FS(), name, "README.md")
	if err != nil {
		return nil, err
	}
	return &entryDocs{e, experiments.TitleOf(readme)}, nil
}

func (g *global) listCatalog(c *cobra.Command, format string) error {
	var all []*entryDocs
	for _, name := range experiments.Names() {
		e, err := g.describeEntry(name)
		if err != nil {
			return err
		}
		all = append(all, e)
	}
	if format == "json" {
		return writeJSON(c, all)
	}
	w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tWHAT HAPPENS\tBY")
	for _, e := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\n", e.Name, e.Title, strings.Join(e.Faults, ", "))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(c.OutOrStdout(), "\n`faultline catalog NAME` explains one; `faultline new FOLDER -from NAME` writes a scenario that uses it.")
	return nil
}

func (g *global) showEntry(c *cobra.Command, name, format string) error {
	e, err := g.describeEntry(name)
	if err != nil {
		return err
	}
	if format == "json" {
		return writeJSON(c, e)
	}
	readme, err := scenario.ReadEntryFile(experiments.FS(), name, "README.md")
	if err != nil {
		return err
	}
	if readme != "" {
		_, err := io.WriteString(c.OutOrStdout(), readme)
		return err
	}
	fmt.Fprintf(c.OutOrStdout(), "# %s\n\nFaults: %s.\n\n", e.Name, strings.Join(e.Faults, ", "))
	return e.WriteTable(c.OutOrStdout())
}

// copyEntry writes the files of an entry of the catalogue into a folder that is not
// there yet.
func copyEntry(c *cobra.Command, name, to string) error {
	name = strings.TrimPrefix(name, "catalog:")
	if !slices.Contains(experiments.Names(), name) {
		return fmt.Errorf("there is no experiment %q in the catalogue; it has %s", name, strings.Join(experiments.Names(), ", "))
	}
	files, err := fs.Sub(experiments.FS(), name)
	if err != nil {
		return fmt.Errorf("copy %s: %w", name, err)
	}
	if _, err := os.Lstat(to); err == nil {
		return fmt.Errorf("%s exists already: choose another folder", to)
	}
	for _, pattern := range []string{"*.hcl", "README.md"} {
		paths, err := fs.Glob(files, pattern)
		if err != nil {
			return fmt.Errorf("copy %s: %w", name, err)
		}
		for _, path := range paths {
			text, err := fs.ReadFile(files, path)
			if err != nil {
				return fmt.Errorf("copy %s: %w", name, err)
			}
			if err := os.MkdirAll(to, 0o755); err != nil {
				return fmt.Errorf("make folder: %w", err)
			}
			if err := os.WriteFile(filepath.Join(to, path), text, 0o644); err != nil {
				return fmt.Errorf("copy %s: %w", name, err)
			}
		}
	}
	fmt.Fprintf(c.OutOrStdout(), "Wrote %s. Use it from a scenario beside it: source = \"./%s\"\n", to, filepath.ToSlash(filepath.Base(to)))
	return nil
}
