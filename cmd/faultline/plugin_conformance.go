package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/faultline-go/faultline/engine/conformance"
	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/engine/report"
	"github.com/faultline-go/faultline/sdk/plugintest"
	"github.com/faultline-go/faultline/sdk/wire"
)

func newPluginTest(g *global) *cobra.Command {
	var format, which string
	var play, promises bool
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "test BINARY CASES",
		Short: "Put a plugin, in any language, through the conformance kit",
		Long: `test runs the program BINARY as a plugin and puts the faults that the file CASES names
through the conformance kit: it injects, observes and reverts on real targets, kills the
plugin at every point of it, takes away its engine and its lease, and looks at the
targets by the commands of CASES, not through the plugin:

  fault "acme_close" {
    config = { sign = "CLOSED" }
    target = ["./make-target"]   # prints the target as JSON: {"id": "/tmp/x", "name": "x"}
    bitten = ["./is-bitten"]     # exits with 0 when the fault is in the target, with 1 when not
  }

cleanup, state, destroy and replace are commands, too, and make it look closer. Each
command has the target as JSON at its standard input, and runs in the folder of CASES. In
config a nested block is an object, and several are a list of them. -promises lists what
is looked at.

Exit codes: 0 every promise is kept, 1 one is broken, 2 wrong usage, or CASES or BINARY
cannot be used, 6 the kit has failed or ran out of time.`,
		Args: func(c *cobra.Command, args []string) error {
			if promises {
				return arguments(0, 0)(c, args)
			}
			return arguments(2, 2)(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			known := []string{"table", "json", "junit"}
			if promises {
				known = known[:2]
			}
			if err := formats(format, known...); err != nil {
				return err
			}
			if promises {
				return listPromises(c, format)
			}
			pattern := conformance.Pattern(which)
			if err := pattern.Check(); err != nil {
				return fmt.Errorf("-run: %w", err)
			}
			cases, err := conformance.Cases(args[1], args[0])
			if err != nil {
				return err
			}
			if play {
				return conformance.Play(cases, pattern)
			}
			if err := g.checkCases(c.Context(), args[0], args[1], cases); err != nil {
				return err
			}
			fmt.Fprintf(g.process.stderr, "Testing %d of the plugin's faults; this takes from seconds to minutes.\n", len(cases))
			all, err := testPlugin(c.Context(), args, which, timeout)
			if err != nil {
				return &exitError{judge.ExitErrored, err}
			}
			if len(all) == 0 {
				return fmt.Errorf("-run %q: no promise of these faults has such a name; -promises lists them", which)
			}
			switch format {
			case "json":
				err = writeJSON(c, all)
			case "junit":
				err = report.ConformanceJUnit(c.OutOrStdout(), filepath.Base(args[0]), all)
			default:
				err = report.Conformance(c.OutOrStdout(), all, g.reportOptions(true))
			}
			if err == nil && !conformance.AllKept(all) {
				return exit(1)
			}
			return err
		},
	}
	c.Flags().StringVar(&format, "format", "table", "table, json or junit")
	c.Flags().StringVar(&which, "run", "", "look only at promises whose name this regular expression matches, or FAULT/PROMISE")
	c.Flags().DurationVar(&timeout, "timeout", 30*time.Minute, "give up after this time")
	c.Flags().BoolVar(&promises, "promises", false, "list what is looked at, and test nothing")
	c.Flags().BoolVar(&play, "play", false, "run the kit in this process, and print as Go's tests do")
	_ = c.Flags().MarkHidden("play")
	return c
}

// testPlugin runs the kit in a process of its own, as Go's tests want it.
func testPlugin(ctx context.Context, args []string, which string, timeout time.Duration) ([]conformance.Promise, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find faultline's program: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var out, complaints bytes.Buffer
	child := exec.CommandContext(ctx, self, "plugin", "test", "--play", "--run", which, "--", args[0], args[1])
	child.Stdout, child.Stderr = &out, &complaints
	child.WaitDelay = 5 * time.Second // for pipes that the plugin's helpers hold open
	err = child.Run()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("the kit has not ended within %s (see -timeout)", timeout)
	}
	if broken := (*exec.ExitError)(nil); err != nil && !errors.As(err, &broken) {
		return nil, fmt.Errorf("run the kit: %w", err)
	}
	all, readErr := conformance.Read(bytes.NewReader(out.Bytes()))
	if readErr != nil {
		return nil, readErr
	}
	if len(all) == 0 && err != nil {
		return nil, fmt.Errorf("the kit did not come to any promise: %s", firstLine(complaints.String()+out.String()))
	}
	return all, nil
}

// checkCases asks the plugin whether it has what CASES names and accepts its configuration,
// before anything is broken. A plugin that does not look beforehand refuses it in Prepare.
func (g *global) checkCases(ctx context.Context, binary, path string, cases []plugintest.Case) error {
	h, err := g.serving()
	if err != nil {
		return err
	}
	p, _, err := h.Serve(ctx, binary)
	if err != nil {
		return err
	}
	defer p.Kill()
	var have []string
	for _, f := range p.Description.Faults {
		have = append(have, f.Type)
	}
	asked := make([]wire.Configuration, len(cases))
	for i, c := range cases {
		if p.Description.Fault(c.Type) == nil {
			return fmt.Errorf("%s: the plugin %s has no fault %q; it has: %s", path, p.Name, c.Type, orDash(have))
		}
		config, err := json.Marshal(c.Config)
		if err != nil {
			return fmt.Errorf("%s: the config of %s: %w", path, c.Type, err)
		}
		asked[i] = wire.Configuration{Kind: "fault", Type: c.Type, Config: config}
	}
	answers, err := p.Validate(ctx, asked)
	if err != nil {
		return fmt.Errorf("ask the plugin %s about the configurations of %s: %w", p.Name, path, err)
	}
	for i, problems := range answers {
		if len(problems) > 0 {
			return fmt.Errorf("%s: the plugin %s refuses the config of %s: %w", path, p.Name, cases[i].Type, wire.Refused(problems))
		}
	}
	return nil
}

func listPromises(c *cobra.Command, format string) error {
	all := plugintest.Promises()
	if format == "json" {
		return writeJSON(c, all)
	}
	w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
	for _, p := range all {
		doc := p.Doc
		if len(p.Needs) > 0 {
			doc += " Needs " + strings.ToLower(strings.Join(p.Needs, ", ")) + "."
		}
		fmt.Fprintf(w, "%s\t%s\n", p.Name, doc)
	}
	return w.Flush()
}
