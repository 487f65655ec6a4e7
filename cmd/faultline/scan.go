package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/faultline-go/faultline/engine/host"
	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/engine/recover"
	"github.com/faultline-go/faultline/sdk/wire"
)

const scanTimeout = 30 * time.Second

func newScan(g *global) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "scan",
		Short: "Look for anything of ours that is still broken",
		Long: `scan asks every plugin whether something of ours is still there: what the journals
say is open, and what carries our mark. It changes nothing. Runs that are going on are
left out: what they have broken, they hold. It exits with 5 when something is found, or
when a journal has something open and its plugin could not be asked.`,
		Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := formats(format, "text", "json"); err != nil {
				return err
			}
			h, err := g.host(".")
			if err != nil {
				return err
			}
			findings, err := g.scan(c.Context(), h.Host)
			if err != nil {
				return err
			}
			if format == "json" {
				if err := writeJSON(c, findings); err != nil {
					return err
				}
			} else {
				for _, f := range findings {
					what := f.Target
					if f.Fault != "" { // of a journal; nobody knows whose the others are
						what = f.Fault + " on " + f.Target
					}
					if f.Detail != "" {
						what += ": " + f.Detail
					}
					fmt.Fprintf(c.OutOrStdout(), "%s: %s\n", f.Plugin, what)
				}
				if len(findings) == 0 {
					fmt.Fprintln(c.OutOrStdout(), "Nothing of ours is left.")
				} else {
					fmt.Fprintln(c.OutOrStdout(), "Put it right with `faultline recover`.")
				}
			}
			if len(findings) > 0 {
				return exit(judge.ExitResidue)
			}
			return nil
		},
	}
	c.Flags().StringVar(&format, "format", "text", "text or json")
	return c
}

// scan asks every plugin that is found and has faults.
func (g *global) scan(ctx context.Context, h *host.Host) ([]journal.Finding, error) {
	known, err := g.openFaults(ctx)
	if err != nil {
		return nil, err
	}
	findings := []journal.Finding{}
	all := h.List(ctx)
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if !slices.ContainsFunc(all, func(l host.Listed) bool { return l.Name == name }) {
			fmt.Fprintf(g.process.stderr, "Warning: plugin %s was not asked, and a journal has open faults of it: it is not installed for this folder; scan where its scenario is, or let `faultline recover` look\n", name)
			findings = append(findings, unasked(name, known[name])...)
		}
	}
	for _, l := range all {
		if l.Err != nil {
			fmt.Fprintf(g.process.stderr, "Warning: plugin %s was not asked: %s\n", l.Name, firstLine(l.Err.Error()))
			findings = append(findings, unasked(l.Name, known[l.Name])...)
			continue
		}
		if len(l.Description.Faults) == 0 {
			continue
		}
		p, err := h.Start(ctx, l.Name, wire.Configure{})
		if err != nil {
			return nil, err
		}
		limited, cancel := context.WithTimeout(ctx, scanTimeout)
		found, err := p.Scan(limited, known[l.Name])
		_ = p.Close(limited) // it is killed when it does not end by itself
		cancel()
		if err != nil {
			if len(known[l.Name]) > 0 {
				return nil, fmt.Errorf("plugin %s: scan: %w", l.Name, err)
			}
			// No Docker engine, say: there is nothing of ours that we know of either.
			fmt.Fprintf(g.process.stderr, "Warning: plugin %s could not look: %s\n", l.Name, firstLine(err.Error()))
		}
		for _, f := range found {
			findings = append(findings, journal.Finding{Plugin: l.Name, Fault: f.Fault, Target: f.Target, Kind: f.Kind, Detail: f.Detail})
		}
	}
	return findings, nil
}

// unasked is what journals have open of a plugin that cannot look: it may be there still.
func unasked(plugin string, known []wire.Known) []journal.Finding {
	var out []journal.Finding
	for _, k := range known {
		for _, t := range k.Targets {
			out = append(out, journal.Finding{Plugin: plugin, Fault: k.Fault, Target: t.Target, Kind: "in_journal", Detail: "a journal has it open, and nobody could look"})
		}
	}
	return out
}

// openFaults lists what the journals of runs that nobody holds say is open, by
// plugin.
func (g *global) openFaults(ctx context.Context) (map[string][]wire.Known, error) {
	store, err := journal.OpenRead(g.state())
	if err != nil {
		return nil, err
	}
	runs, _, err := recover.Pending(ctx, store)
	if err != nil {
		return nil, err
	}
	known := map[string][]wire.Known{}
	for _, r := range runs {
		log, err := journal.ReadAll(r.Dir)
		if err != nil {
			fmt.Fprintln(g.process.stderr, "Warning: "+err.Error())
		}
		if log == nil {
			continue
		}
		for _, f := range recover.Open(log.Events) {
			known[f.Intent.Plugin] = append(known[f.Intent.Plugin], wire.Known{Type: f.Intent.Type, Fault: f.Intent.ID, Targets: f.Undos()})
		}
	}
	return known, nil
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
