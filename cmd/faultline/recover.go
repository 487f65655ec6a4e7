package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/faultline-go/faultline/engine/host"
	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/engine/recover"
	"github.com/faultline-go/faultline/sdk/wire"
)

func newRecover(g *global) *cobra.Command {
	var dryRun, guard bool
	var format string
	c := &cobra.Command{
		Use:   "recover [RUN ...]",
		Short: "Undo what unfinished runs left behind",
		Long: `recover undoes, from the journals alone, what runs left that ended without putting
everything back: it replays their open undo records, verifies, scans for residue, and
writes what it did into the same journals. Without arguments it takes every such run
of the state folder. A fault that cannot be undone never stops the others.`,
		RunE: func(c *cobra.Command, args []string) error {
			if err := formats(format, "text", "json"); err != nil {
				return err
			}
			switch {
			case guard && len(args) == 1:
				return g.guard(c, args[0])
			case guard:
				return errors.New("a guardian guards one run")
			case dryRun:
				return g.showOpen(c, args, format)
			}
			store, err := journal.Open(g.state())
			if err != nil {
				return err
			}
			runs, err := pending(store, args)
			if err != nil {
				return err
			}
			results, err := g.recoverAll(c.Context(), store, runs)
			if err != nil {
				return err
			}
			if len(results) > 0 {
				g.remember(c.Context(), record{}, nil)
			}
			return showRecovered(c, results, format)
		},
	}
	c.Flags().BoolVar(&dryRun, "dry-run", false, "only show what would be undone")
	c.Flags().BoolVar(&guard, guardFlag, false, "sleep until standard input ends, then recover the run if it has no end")
	_ = c.Flags().MarkHidden(guardFlag) // it was defined on the line above
	c.Flags().StringVar(&format, "format", "text", "text or json")
	return c
}

// pending lists the runs to recover: the named ones, or all that need it.
func pending(store *journal.Store, names []string) ([]string, error) {
	if len(names) > 0 {
		for _, name := range names {
			if _, err := store.Run(name); err != nil {
				return nil, fmt.Errorf("%w; `faultline history` lists the runs", err)
			}
		}
		return names, nil
	}
	runs, err := recover.Pending(store)
	if err != nil {
		return nil, err
	}
	for _, r := range runs {
		names = append(names, r.ID)
	}
	return names, nil
}

func (g *global) recoverAll(ctx context.Context, store *journal.Store, runs []string) ([]recover.Result, error) {
	h, err := g.hostOfRuns()
	if err != nil {
		return nil, err
	}
	o := recover.Options{
		Store: store, By: "recover", PID: os.Getpid(),
		Start: func(ctx context.Context, u journal.PluginUsed, run, dir string) (recover.Plugin, error) {
			return startUsed(ctx, h, u, run, dir)
		},
	}
	results := []recover.Result{}
	for _, id := range runs {
		r, err := recover.Run(ctx, o, id)
		if err != nil {
			r.Error = err.Error()
		}
		results = append(results, r)
	}
	return results, nil
}

// startUsed starts the binary that a run used, or the plugin of the same name when
// that is not there any more.
func startUsed(ctx context.Context, h *host.Host, u journal.PluginUsed, run, dir string) (*host.Plugin, error) {
	q := wire.Configure{Settings: u.Settings, Run: run, RunDir: dir}
	variables := host.Inherit(u.Environment...)
	p, err := h.StartBinary(ctx, u.Path, u.SHA256, q, variables)
	if err == nil {
		return p, nil
	}
	if u.Path == "" {
		err = errUnknownProgram(u.Name)
	}
	p, other := h.Start(ctx, u.Name, q, variables)
	if other != nil {
		return nil, fmt.Errorf("%w; and today's: %w", err, other)
	}
	return p, nil
}

func (g *global) showOpen(c *cobra.Command, names []string, format string) error {
	store, err := journal.OpenRead(g.state())
	if err != nil {
		return err
	}
	runs, err := pending(store, names)
	if err != nil {
		return err
	}
	type openFault struct {
		Run     string   `json:"run"`
		ID      string   `json:"id"`
		Fault   string   `json:"fault"`
		Targets []string `json:"targets"`
	}
	open := []openFault{}
	for _, id := range runs {
		log, err := journal.ReadAll(store.RunDir(id))
		if err != nil && (log == nil || len(log.Events) == 0) {
			return err
		}
		for _, f := range recover.Open(log.Events) {
			o := openFault{Run: id, ID: f.Intent.ID, Fault: f.Intent.Fault}
			for _, t := range f.Open {
				o.Targets = append(o.Targets, t.Name)
			}
			open = append(open, o)
		}
	}
	if format == "json" {
		return writeJSON(c, open)
	}
	for _, o := range open {
		fmt.Fprintf(c.OutOrStdout(), "%s: %s on %s is open: it would be undone, or seen to be undone\n", o.Run, o.Fault, strings.Join(o.Targets, ", "))
	}
	if len(open) == 0 {
		fmt.Fprintf(c.OutOrStdout(), "Nothing to undo (%d runs without an end).\n", len(runs))
	}
	return nil
}

func showRecovered(c *cobra.Command, results []recover.Result, format string) error {
	clean := true
	for _, r := range results {
		clean = clean && r.Clean()
	}
	if format == "json" {
		if err := writeJSON(c, results); err != nil {
			return err
		}
	} else {
		writeRecovered(c, results)
	}
	if !clean {
		return exit(judge.ExitResidue)
	}
	return nil
}

func writeRecovered(c *cobra.Command, results []recover.Result) {
	out := c.OutOrStdout()
	if len(results) == 0 {
		fmt.Fprintln(out, "Nothing to recover.")
	}
	for _, r := range results {
		if r.Error != "" {
			fmt.Fprintf(out, "%s: %s\n", r.Run, r.Error)
			continue
		}
		if len(r.Faults) == 0 {
			fmt.Fprintf(out, "%s: nothing was left; closed\n", r.Run)
		}
		for _, f := range r.Faults {
			for _, t := range f.Targets {
				line := fmt.Sprintf("%s: %s on %s: %s by %s", r.Run, f.Fault, t.ID, strings.ReplaceAll(string(t.Outcome), "_", " "), t.By)
				if t.Proof != "" {
					line += " (" + t.Proof + ")"
				}
				if t.Error != "" {
					line += ": " + t.Error
				}
				fmt.Fprintln(out, line)
				if t.Residue {
					fmt.Fprintf(out, "  try again with: faultline recover %s\n", r.Run)
				}
			}
		}
		for _, f := range r.Findings {
			fmt.Fprintf(out, "%s: left behind on %s: %s\n", r.Run, f.Target, f.Detail)
		}
	}
}
