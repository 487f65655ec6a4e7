package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/faultline-go/faultline/engine/install"
	"github.com/faultline-go/faultline/engine/trust"
	"github.com/faultline-go/faultline/sdk/scaffold"
)

func newPluginNew(g *global) *cobra.Command {
	var module, checkout, dir string
	c := &cobra.Command{
		Use:   "new NAME",
		Short: "Write the beginning of a plugin of your own",
		Long: `new writes the folder faultline-plugin-NAME: a plugin in Go that compiles and passes its
tests, with a fault, a probe and a kind of target to replace by your own, a test that
puts the fault through the conformance kit, a game day that uses it, a Makefile and a
CI file.`,
		Args: arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			o := scaffold.Options{Name: args[0], Module: module, SDK: "v" + release, Go: goVersion()}
			if dir == "" {
				dir = install.BinaryName(args[0])
			}
			own, err := trust.ParseSums(builtinPlugins)
			if err != nil {
				return err
			}
			if own[args[0]] != "" {
				return fmt.Errorf("%s is one of faultline's own plugins: choose another name", args[0])
			}
			if checkout != "" {
				abs, err := filepath.Abs(checkout)
				if err != nil {
					return fmt.Errorf("find the source of faultline: %w", err)
				}
				if _, err := os.Stat(filepath.Join(abs, "sdk", "plugin.go")); err != nil {
					return fmt.Errorf("-sdk: %s is not the source of faultline: %w", checkout, err)
				}
				o.Checkout, o.SDK = abs, "v0.0.0"
			} else if strings.Contains(release, "-") {
				return fmt.Errorf("this is a development build (%s), whose SDK is published nowhere: name the folder of faultline's source with -sdk", release)
			}
			if _, err := scaffold.Write(dir, o); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "Wrote %s.\n", dir)
			tidy := exec.CommandContext(c.Context(), "go", "mod", "tidy")
			tidy.Dir = dir
			out, err := tidy.CombinedOutput()
			switch {
			case errors.Is(err, exec.ErrNotFound):
				fmt.Fprintln(g.process.stderr, "Warning: Go is not on the path; where it is, run `go mod tidy` in the folder first")
			case err != nil:
				return fmt.Errorf("go mod tidy in %s: %w:\n%s", dir, err, strings.TrimSpace(string(out)))
			}
			fmt.Fprintf(c.OutOrStdout(), "Next:\n  cd %s\n  make test\n  make build\n  faultline run day -plugin-dir bin -insecure\nIts README says how faultline finds and trusts it while you work on it.\n", dir)
			return nil
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "the folder to write (default faultline-plugin-NAME)")
	c.Flags().StringVar(&module, "module", "", "path of its Go module (default faultline-plugin-NAME)")
	c.Flags().StringVar(&checkout, "sdk", "", "a folder of faultline's source to use in place of the published SDK")
	return c
}

// goVersion is the language that this faultline was built with: 1.26.
func goVersion() string {
	parts := strings.SplitN(strings.TrimPrefix(runtime.Version(), "go"), ".", 3)
	if len(parts) < 2 {
		return "1.26"
	}
	return parts[0] + "." + strings.TrimRight(parts[1], "abcdefghijklmnopqrstuvwxyz-+ ")
}
