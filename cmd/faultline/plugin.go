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
	w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PLUGIN\tVERSION\tFAULTS\tPROBES\tTARGETS\tACTIONS")
	for _, p := range found {
		if p.Err != nil {
			fmt.Fprintf(w, "%s\tcannot be used\n", p.Name)
			continue
		}
		var faults, probes, targets, actions []string
		for _, f := range p.Description.Faults {
			faults = append(faults, f.Type)
		}
		for _, f := range p.Description.Probes {
			probes = append(probes, f.Type)
		}
		for _, f := range p.Description.Targets {
			targets = append(targets, f.Type)
		}
		for _, f := range p.Description.Actions {
			actions = append(actions, f.Type)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", p.Name, p.Description.Version, orDash(faults), orDash(probes), orDash(targets), orDash(actions))
	}
	if err := w.Flush(); err != nil {
		return err
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
	Error       string              `json:"error,omitempty"`
	Description *schema.Description `json:"description,omitempty"`
}

func pluginsJSON(found []host.Listed) []pluginJSON {
	out := make([]pluginJSON, len(found))
	for i, p := range found {
		out[i] = pluginJSON{Name: p.Name, Path: p.Path, SHA256: p.SHA256, Description: p.Description}
		if p.Err != nil {
			out[i].Error = p.Err.Error()
		}
	}
	return out
}

func orDash(names []string) string {
	if len(names) == 0 {
		return "-"
	}
	return strings.Join(names, " ")
}
