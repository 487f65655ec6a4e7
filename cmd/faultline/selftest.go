package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/faultline-go/faultline/engine/selftest"
)

func newSelftest(g *global) *cobra.Command {
	var o selftest.Options
	var own selftest.Own
	var size, format string
	var seed uint64
	c := &cobra.Command{
		Use:   "selftest [-- CHECK ...]",
		Short: "Kill faultline at every point of a run, and see that nothing stays broken",
		Long: `selftest starts real game days on targets of its own (processes, and containers where
there is a Docker engine), kills or stops the engine, its plugin and its guardian, each
pair and all three, at every event of a run, and looks at the targets themselves: is the
fault gone, how soon, and who put it back. It touches nothing that it has not started.
It ends with "leaked 0 of N", and with code 0 when nothing was left broken and nothing
else was wrong, else with 1. A case that a slow machine does not let come to its accident
is begun once more, and then named as not tested: it counts for nothing, and too many of
them are not code 0.

With -plugin it tests a plugin of yours instead: -scenario is a game day with one fault
on one target, and CHECK is a command, with its arguments, that ends with code 0 when
that target is not broken:

  faultline selftest -plugin ./faultline-plugin-x -scenario x.hcl -- ./is-clean web1`,
		RunE: func(c *cobra.Command, args []string) error {
			if err := formats(format, "text", "json"); err != nil {
				return err
			}
			switch {
			case size != "small" && size != "full":
				return fmt.Errorf("unknown size %q: use small or full", size)
			case own.Plugin != "" && (own.Scenario == "" || len(args) == 0):
				return errors.New("-plugin needs -scenario, and a command behind -- that says whether its target is clean")
			case own.Plugin == "" && (own.Scenario != "" || len(own.Variables) > 0 || len(args) > 0):
				return errors.New("-scenario, -var and a command to check with belong to -plugin")
			}
			if own.Plugin != "" {
				own.Clean, o.Own = args, &own
			}
			o.Full, o.Seed, o.Getenv = size == "full", seed, g.process.getenv
			if !c.Flags().Changed("seed") {
				o.Seed = uint64(rand.Uint32()) // short enough to be typed again
			}
			return g.selftest(c, o, format)
		},
	}
	f := c.Flags()
	f.StringVar(&size, "size", "small", "small (some hundred and twenty cases) or full (more than a thousand)")
	f.IntVar(&o.Parallel, "parallel", 0, "cases at once (default: by the number of cores)")
	f.StringVar(&o.Only, "only", "", "only cases whose name contains this")
	f.Uint64Var(&seed, "seed", 0, "make the choices of an earlier self-test (default: random, reported)")
	f.StringVar(&own.Plugin, "plugin", "", "binary of a plugin to test")
	f.StringVar(&own.Scenario, "scenario", "", "with -plugin: the game day that breaks a target")
	f.StringArrayVar(&own.Variables, "var", nil, "with -plugin: name=value for the scenario; may be repeated")
	f.StringVar(&format, "format", "text", "text or json")
	return c
}

func (g *global) selftest(c *cobra.Command, o selftest.Options, format string) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find faultline's own program: %w", err)
	}
	if real, err := filepath.EvalSymlinks(self); err == nil {
		self = real
	}
	o.Program, o.PluginDirs = self, append(append([]string(nil), g.pluginDirs...), filepath.Dir(self))
	ctx, stop := g.interruptible(c.Context())
	defer stop()
	said := time.Now()
	o.Done = func(r selftest.CaseResult, done, total int) {
		switch {
		case r.Untested != "":
			fmt.Fprintf(g.process.stderr, "%d of %d: %s: not tested\n", done, total, r.Name)
		case !r.OK():
			fmt.Fprintf(g.process.stderr, "%d of %d: %s: wrong\n", done, total, r.Name)
		case time.Since(said) > 10*time.Second:
			fmt.Fprintf(g.process.stderr, "%d of %d\n", done, total)
		default:
			return
		}
		said = time.Now()
	}
	result, err := selftest.Run(ctx, o)
	if err != nil && (result == nil || len(result.Cases) == 0 || ctx.Err() != nil) {
		return err
	}
	show := result.Text
	if format == "json" {
		show = result.JSON
	}
	if e := show(c.OutOrStdout()); e != nil {
		return e
	}
	if err != nil {
		return &exitError{exitLeaked, err}
	}
	if !result.OK() {
		return exit(exitLeaked)
	}
	return nil
}

// exitLeaked is the exit code of a self-test that found something wrong.
const exitLeaked = 1

// newSelftestTarget is the program that selftest breaks.
func newSelftestTarget() *cobra.Command {
	var pidFile string
	var maxLife time.Duration
	c := &cobra.Command{
		Use:    selftest.SleeperCommand,
		Short:  "Be the target of a self-test: sleep",
		Hidden: true,
		Args:   arguments(0, 0),
		RunE:   func(*cobra.Command, []string) error { return selftest.Sleep(pidFile, maxLife) },
	}
	c.Flags().StringVar(&pidFile, "pid-file", "", "file to write the process id to")
	c.Flags().DurationVar(&maxLife, "max-life", time.Minute, "end after this time in any case")
	return c
}
