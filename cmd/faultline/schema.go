package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/faultline-go/faultline/engine/language"
	"github.com/faultline-go/faultline/engine/report/schema"
	"github.com/faultline-go/faultline/experiments"
)

func newSchema(g *global) *cobra.Command {
	var names []string
	var format string
	long := `schema describes the scenario language for editors: blocks, arguments, functions and
references, and what every plugin that is found adds to them. With a name it prints the
JSON Schema (draft 2020-12) of what faultline writes for programs:
`
	for _, s := range schema.All {
		names = append(names, s.Name)
		long += fmt.Sprintf("\n  %-9s %s", s.Name, s.What)
	}
	c := &cobra.Command{
		Use:       "schema [" + strings.Join(names, "|") + "]",
		Short:     "Describe the language for editors, or a machine format",
		Long:      long,
		ValidArgs: names,
		Args:      arguments(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := formats(format, "json"); err != nil {
				return err
			}
			if len(args) == 0 {
				return g.describeLanguage(c)
			}
			s, ok := schema.Named(args[0])
			if !ok {
				return fmt.Errorf("there is no schema %q: use %s", args[0], strings.Join(names, " or "))
			}
			_, err := c.OutOrStdout().Write(s.Text)
			return err
		},
	}
	c.Flags().StringVar(&format, "format", "json", "json")
	return c
}

// describeLanguage prints everything about the language. A plugin that cannot be used is
// in it with the reason: an editor still knows the rest.
func (g *global) describeLanguage(c *cobra.Command) error {
	h, err := g.host(".")
	if err != nil {
		return err
	}
	var plugins []language.Plugin
	for _, l := range h.List(c.Context()) {
		p := language.Plugin{Name: l.Name, SHA256: l.SHA256, Description: l.Description}
		if l.Err != nil {
			p.Error, p.Description = l.Err.Error(), nil
		}
		plugins = append(plugins, p)
	}
	return writeJSON(c, language.Describe(version(), experiments.Names(), plugins))
}
