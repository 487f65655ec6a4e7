package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/faultline-go/faultline/engine/host"
	"github.com/faultline-go/faultline/sdk/schema"
)

func newPlugin(g *global) *cobra.Command {
	c := &cobra.Command{
		Use:   "plugin",
		Short: "Look at plugins, begin one, test one, debug one, publish one",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return c.Help()
			}
			return fmt.Errorf("unknown command %q: `%s` has list, new, pack, serve and test (see `%s -help`)", args[0], c.CommandPath(), c.CommandPath())
		},
	}
	var format string
	list := &cobra.Command{
		Use:   "list",
		Short: "List the plugins that are found, and what they offer",
		Args:  arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := formats(format, "table", "json"); err != nil {
				return err
			}
			h, err := g.host(".")
			if err != nil {
				return err
			}
			found := h.List(c.Context())
			if format == "json" {
				return writeJSON(c, pluginsJSON(found))
			}
			return showPlugins(c, found)
		},
	}
	list.Flags().StringVar(&format, "format", "table", "table or json")
	c.AddCommand(list, newPluginNew(g), newPluginPack(g), newPluginTest(g), newPluginServe(g))
	return c
}

func showPlugins(c *cobra.Command, found []host.Listed) error {
	if len(found) == 0 {
		fmt.Fprintln(c.OutOrStdout(), "No plugins are found. Put them beside faultline, or name their folder with -plugin-dir.")
		return nil
	}
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PLUGIN\tVERSION\tFAULTS\tPROBES\tTARGETS\tACTIONS")
	for _, p := range found {
		row := [][]string{{p.Name}, {"cannot be used"}, nil, nil, nil, nil}
		if p.Err == nil {
			row[1] = []string{p.Description.Version}
			for _, f := range p.Description.Faults {
				row[2] = append(row[2], f.Type)
			}
			for _, f := range p.Description.Probes {
				row[3] = append(row[3], f.Type)
			}
			for _, f := range p.Description.Targets {
				row[4] = append(row[4], f.Type)
			}
			for _, f := range p.Description.Actions {
				row[5] = append(row[5], f.Type)
			}
		}
		for _, line := range beneath(row) {
			fmt.Fprintln(w, strings.Join(line, "\t"))
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(table.String()) {
		fmt.Fprintln(c.OutOrStdout(), strings.TrimRight(line, " \n"))
	}
	for _, p := range found {
		if p.Err != nil {
			fmt.Fprintf(c.OutOrStdout(), "\n%s: %s\n", p.Name, p.Err)
		}
	}
	return nil
}

// pluginJSON is a plugin as `plugin list -format json` shows it.
type pluginJSON struct {
	Name        string              `json:"name"`
	Path        string              `json:"path"`
	SHA256      string              `json:"sha256,omitempty"`
	Attached    bool                `json:"attached,omitempty"`
	Error       string              `json:"error,omitempty"`
	Description *schema.Description `json:"description,omitempty"`
}

func pluginsJSON(found []host.Listed) []pluginJSON {
	out := make([]pluginJSON, len(found))
	for i, p := range found {
		out[i] = pluginJSON{Name: p.Name, Path: p.Path, SHA256: p.SHA256, Attached: p.Attached, Description: p.Description}
		if p.Err != nil {
			out[i].Error = p.Err.Error()
		}
	}
	return out
}

// beneath lays the names of each cell beneath each other, two on a line where they are
// short, so that the table fits a terminal.
func beneath(row [][]string) [][]string {
	const widest = 24
	var lines [][]string
	for column, names := range row {
		at := 0
		for _, name := range names {
			if at < len(lines) && lines[at][column] != "" {
				if len(lines[at][column])+1+len(name) <= widest {
					lines[at][column] += " " + name
					continue
				}
				at++
			}
			if at == len(lines) {
				lines = append(lines, make([]string, len(row)))
			}
			lines[at][column] = name
		}
		if len(names) == 0 && len(lines) > 0 {
			lines[0][column] = "-"
		}
	}
	return lines
}

func orDash(names []string) string {
	if len(names) == 0 {
		return "-"
	}
	return strings.Join(names, " ")
}
