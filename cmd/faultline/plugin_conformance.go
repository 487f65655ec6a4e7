package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/spf13/cobra"

	"github.com/faultline-go/faultline/engine/conformance"
	"github.com/faultline-go/faultline/engine/report"
)

func newPluginTest(g *global) *cobra.Command {
	var format string
	var play bool
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
command has the target as JSON at its standard input. test exits with 0 when every
promise is kept, and with 1 when one is broken.`,
		Args: arguments(2, 2),
		RunE: func(c *cobra.Command, args []string) error {
			if err := formats(format, "table", "json"); err != nil {
				return err
			}
			cases, err := conformance.Cases(args[1], args[0])
			if err != nil {
				return err
			}
			if play {
				return conformance.Play(cases)
			}
			self, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find faultline's program: %w", err)
			}
			var out, complaints bytes.Buffer
			child := exec.CommandContext(c.Context(), self, "plugin", "test", "--play", args[0], args[1])
			child.Stdout, child.Stderr = &out, &complaints
			fmt.Fprintf(g.process.stderr, "Testing %d of the plugin's faults; this takes from seconds to minutes.\n", len(cases))
			err = child.Run()
			if broken := (*exec.ExitError)(nil); err != nil && !errors.As(err, &broken) {
				return fmt.Errorf("run the kit: %w", err)
			}
			all, readErr := conformance.Read(&out)
			if readErr != nil {
				return readErr
			}
			if len(all) == 0 {
				return fmt.Errorf("the kit did not come to any promise: %s", firstLine(complaints.String()+out.String()))
			}
			if format == "json" {
				err = writeJSON(c, all)
			} else {
				err = report.Conformance(c.OutOrStdout(), all, g.reportOptions(true))
			}
			if err == nil && !conformance.AllKept(all) {
				return exit(1)
			}
			return err
		},
	}
	c.Flags().StringVar(&format, "format", "table", "table or json")
	c.Flags().BoolVar(&play, "play", false, "run the kit in this process, and print as Go's tests do")
	_ = c.Flags().MarkHidden("play")
	return c
}
