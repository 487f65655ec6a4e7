package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/faultline-go/faultline/engine/plan"
	"github.com/faultline-go/faultline/engine/scenario"
	"github.com/faultline-go/faultline/engine/trust"
)

// planFlags are the flags of the commands that plan.
type planFlags struct {
	variables
	seed      int64
	policyDir string
}

func (f *planFlags) add(c *cobra.Command) {
	scenarioFlags(c, &f.variables)
	c.Flags().Int64Var(&f.seed, "seed", 0, "pick targets with this seed where the scenario sets none (default: random, recorded)")
	c.Flags().StringVar(&f.policyDir, "policy-dir", usualPolicyDir, "folder of the environment's policy, which can only tighten a scenario")
}

// usualPolicyDir need not be there. A folder that somebody names must be.
const usualPolicyDir = "/etc/faultline/policy.d"

// newSeed is the seed to use where the scenario sets none.
func (f *planFlags) newSeed(c *cobra.Command) int64 {
	if c.Flags().Changed("seed") {
		return f.seed
	}
	return int64(rand.Uint32()) // short enough to be typed again
}

// policy reads the environment's policy in dir; nil when there is none. Where there are
// policies, and none of them holds, somebody may have misspelt the environment. From then on
// plugins start only on the grounds that it allows.
func (g *global) policy(dir, environment string) (*plan.Policy, error) {
	if dir == "" {
		return nil, nil
	}
	if err := folder(dir); err != nil && dir != usualPolicyDir {
		return nil, fmt.Errorf("-policy-dir %s: %w", dir, err)
	}
	p, others, err := scenario.LoadPolicy(dir, environment)
	if err != nil {
		return nil, err
	}
	if p == nil {
		slices.Sort(others)
		switch has := strings.Join(others, ", "); {
		case len(others) == 0:
		case environment == "":
			g.warnings.once(fmt.Sprintf("no policy holds: the scenario names no environment, and %s has policies for %s; write environment = \"…\" into its scenario block", dir, has))
		default:
			g.warnings.once(fmt.Sprintf("no policy holds: %s has none for environment %s, but for %s", dir, environment, has))
		}
		return nil, nil
	}
	g.allowed = trust.Policy{Environment: environment, Source: p.Source, Grounds: p.Trust}
	return &plan.Policy{Source: p.Source, Limits: p.Limits, Plugins: p.Plugins, Faults: p.Faults, DenyCapabilities: p.DenyCapabilities, Environment: environment}, nil
}

func newPlan(g *global) *cobra.Command {
	var f planFlags
	var out, format string
	c := &cobra.Command{
		Use:   "plan [PATH]",
		Short: "Show what a scenario would do, to whom and for how long",
		Long: `plan loads the scenario in PATH, discovers its targets, picks among them and lays
everything on a time line. It breaks nothing. With -out the plan is saved, to be
reviewed and then run with ` + "`faultline run FILE`" + `, which refuses it when its files, its
targets or the binaries of its plugins have changed since.`,
		Args: arguments(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := formats(format, "text", "json"); err != nil {
				return err
			}
			h, err := g.host(pathArg(args))
			if err != nil {
				return err
			}
			s, policy, err := g.loadUnder(c.Context(), pathArg(args), &f, h)
			if err != nil {
				return err
			}
			crew, err := g.startCrew(c.Context(), h.Host, s, policy, "", "")
			if err != nil {
				return g.shown(err)
			}
			defer crew.stop()
			p, err := g.build(c.Context(), s, crew, f.newSeed(c), policy)
			if err != nil {
				return g.shown(err)
			}
			return showPlan(c, p, out, format)
		},
	}
	f.add(c)
	c.Flags().StringVar(&out, "out", "", "save the plan to this file")
	c.Flags().StringVar(&format, "format", "text", "text or json")
	return c
}

func showPlan(c *cobra.Command, p *plan.Plan, out, format string) error {
	encoded, err := p.Encode()
	if err != nil {
		return err
	}
	if format == "json" {
		if _, err := c.OutOrStdout().Write(encoded); err != nil {
			return err
		}
	} else if err := p.Show(c.OutOrStdout()); err != nil {
		return err
	}
	if out == "" {
		return nil
	}
	if err := os.WriteFile(out, encoded, 0o600); err != nil {
		return fmt.Errorf("save plan: %w", err)
	}
	if format != "json" {
		fmt.Fprintf(c.OutOrStdout(), "\nSaved to %s; run it with `faultline run %s`.\n", out, out)
	}
	return nil
}
