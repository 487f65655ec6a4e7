package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/faultline-go/faultline/engine/plan"
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
	var f planFlags
	var format string
	c := &cobra.Command{
		Use:   "validate [PATH]",
		Short: "Check a scenario against the language and the plugins' schemas",
		Long: `validate reads the scenario in PATH, a folder or a file (default: the current
folder), and says everything that is wrong with it. It starts no plugin whose
description is known already, and touches nothing. With -policy-dir it also says what the
policy of the scenario's environment does not allow, with exit code 7; whether its limits
are kept only plan can say, which looks at targets.`,
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
				return g.validateJSON(c, h, pathArg(args), &f)
			}
			s, policy, err := g.loadUnder(c.Context(), pathArg(args), &f, h)
			if err != nil {
				return err
			}
			if err := policy.Allow(s, describing(c.Context(), h.Host)); err != nil {
				return planError(err)
			}
			fmt.Fprintf(c.OutOrStdout(), "%s is valid: %s\n", s.Name, contents(s))
			return nil
		},
	}
	scenarioFlags(c, &f.variables)
	c.Flags().StringVar(&f.policyDir, "policy-dir", "", "hold it against the policy of its environment in this folder, too")
	c.Flags().StringVar(&format, "format", "text", "text or json")
	return c
}

func (g *global) validateJSON(c *cobra.Command, h plugins, path string, f *planFlags) error {
	s, policy, diags, err := g.readUnder(c.Context(), path, f, h)
	if err != nil {
		return err
	}
	all, code := diags.All(), 0
	if diags.HasErrors() {
		code = codeOf(diags)
	} else if err := policy.Allow(s, describing(c.Context(), h.Host)); err != nil {
		var forbidden plan.Problems
		if !errors.As(err, &forbidden) {
			return err
		}
		for _, p := range forbidden {
			d := scenario.Diagnostic{Severity: "error", Summary: p.Summary, Detail: p.Detail}
			d.File, d.Line = p.Place()
			all = append(all, d)
		}
		code = exitRefused
	}
	if err := writeJSON(c, map[string]any{"valid": code == 0, "diagnostics": all}); err != nil || code == 0 {
		return err
	}
	return exit(code)
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
