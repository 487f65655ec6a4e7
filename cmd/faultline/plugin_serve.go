package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/faultline-go/faultline/engine/host"
	"github.com/faultline-go/faultline/engine/install"
	"github.com/faultline-go/faultline/engine/trust"
	"github.com/faultline-go/faultline/sdk/wire"
)

func newPluginServe(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "serve BINARY",
		Short: "Run a plugin in the foreground, for other faultlines to attach to",
		Long: `serve starts the program BINARY as a plugin, in any language, shows what it prints, and
says what to put into the environment of the faultline that is to use it. The plugin
inherits this command's environment:

  export FAULTLINE_REATTACH='{"acme": …}'

From then on, in that terminal, validate, plan and run attach to this process instead of
starting their own, one after the other. It may be stopped in a debugger (dlv attach): it
keeps its leases meanwhile, no call to it ends because of its time, and nobody kills it.
What it holds is put back when the connection ends, however the engine does.

A plugin in Go can do the same by itself, under the debugger from its first line:

  dlv exec ./faultline-plugin-acme -- -serve

A run with an attached plugin says so in its journal and its report: nobody has verified
the program. Ctrl-C puts back what the plugin holds, and ends it.`,
		Args: arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			h, err := g.serving()
			if err != nil {
				return err
			}
			signals := make(chan os.Signal, 2)
			stop := g.process.notify(signals)
			defer stop()
			p, at, err := h.Serve(c.Context(), args[0])
			if err != nil {
				return err
			}
			defer p.Kill()
			line, err := wire.Export(p.Name, at)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "Plugin %s %s is served by process %d; in the terminal where faultline runs:\n\n  %s\n\nCtrl-C puts back what it holds, and ends it.\n", p.Name, p.Version, p.PID(), line)
			select {
			case <-p.Done():
				return &exitError{1, p.Err()}
			case <-signals:
			}
			ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Context()), host.PausePatience)
			defer cancel()
			go func() {
				select {
				case <-signals: // the second one does not wait
					cancel()
				case <-ctx.Done():
				}
			}()
			return p.Close(ctx)
		},
	}
}

// serving is a host for plugins that others attach to: what they print is shown.
func (g *global) serving() (*host.Host, error) {
	o, err := g.hostOptions(&installed{config: &install.Config{}, lock: &install.Lock{}})
	if err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Stderr = func(_, line string) { fmt.Fprintln(g.process.stderr, line) }
	}
	return host.New(o), nil
}

// reattached reads which plugins run already, and says so.
func (g *global) reattached() (map[string]wire.Reattach, error) {
	all, err := wire.ParseReattach(g.process.getenv(wire.ReattachVariable))
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		g.warnings.once(trust.Attached.Warning(trust.Binary{Name: name}))
	}
	return all, nil
}
