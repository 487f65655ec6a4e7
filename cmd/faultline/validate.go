package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/faultline-go/faultline/engine/scenario"
)

// scenarioFlags adds the flags of every command that loads a scenario.
func scenarioFlags(c *cobra.Command, v *variables) {
	c.Flags().StringArrayVar(&v.vars, "var", nil, "a variable's value, as name=value; may be repeated")
	c.Flags().StringArrayVar(&v.varFiles, "var-file", nil, "a file of variables' values in HCL; may be repeated")
}

// pathArg is a command's one argument, the current folder by default.
func pathArg(args []string) string {
	if len(args) == 0 {
		return "."
	}
	return args[0]
}

func newValidate(g *global) *cobra.Command {
	var v variables
	var format string
	c := &cobra.Command{
		Use:   "validate [PATH]",
		Short: "Check a scenario against the language and the plugins' schemas",
		Long: `validate reads the scenario in PATH, a folder or a file (default: the current
folder), and says everything that is wrong with it. It starts no plugin whose
description is known already, and touches nothing.`,
		Args: arguments(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := formats(format, "text", "json"); err != nil {
				return err
			}
			h, err := g.host(pathArg(args))
			if err != nil {
				return err
			}
			if format == "json" {
				return g.validateJSON(c, h, pathArg(args), v)
			}
			s, err := g.load(c.Context(), pathArg(args), v, h)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "%s is valid: %s\n", s.Name, contents(s))
			return nil
		},
	}
	scenarioFlags(c, &v)
	c.Flags().StringVar(&format, "format", "text", "text or json")
	return c
}

func (g *global) validateJSON(c *cobra.Command, h plugins, path string, v variables) error {
	o, err := g.loadOptions(c.Context(), v, h)
	if err != nil {
		return err
	}
	_, diags := scenario.Load(path, o)
	all, err := diags.JSON()
	if err != nil {
		return err
	}
	if err := writeJSON(c, map[string]any{"valid": !diags.HasErrors(), "diagnostics": json.RawMessage(all)}); err != nil {
		return err
	}
	if diags.HasErrors() {
		return exit(codeOf(diags))
	}
	return nil
}

func writeJSON(c *cobra.Command, v any) error {
	e := json.NewEncoder(c.OutOrStdout())
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func contents(s *scenario.Scenario) string {
	count := func(n int, what string) string {
		if n == 1 {
			return "1 " + what
		}
		return fmt.Sprintf("%d %ss", n, what)
	}
	faults := 0
	for _, e := range s.Experiments {
		for _, step := range e.Steps {
			if step.Kind == scenario.FaultStep {
				faults++
			}
		}
	}
	return count(len(s.Experiments), "experiment") + ", " + count(faults, "fault") + ", " + count(len(s.Probes), "probe")
}
