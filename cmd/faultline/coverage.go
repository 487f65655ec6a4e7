package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/faultline-go/faultline/engine/coverage"
	"github.com/faultline-go/faultline/engine/history"
	"github.com/faultline-go/faultline/engine/host"
	"github.com/faultline-go/faultline/engine/report"
	"github.com/faultline-go/faultline/engine/scenario"
	"github.com/faultline-go/faultline/internal/lazyregexp"
	"github.com/faultline-go/faultline/sdk/schema"
)

func newCoverage(g *global) *cobra.Command {
	var v variables
	var format string
	c := &cobra.Command{
		Use:   "coverage [DIR ...]",
		Short: "Show which faults were tried on which targets, when they last held, and what never was",
		Long: `coverage reads every scenario below the folders (default: the current one), and holds
the faults that they declare against the history: when each fault type was last tried on
each group of targets (a target block), with what verdict, and when it last held. Below
that it lists, for each group, the faults that the plugins here offer for it and that no
scenario has. Nothing is planned and nothing touched: variables without a value get one that
stands in.`,
		RunE: func(c *cobra.Command, args []string) error {
			if err := formats(format, "table", "json", "markdown"); err != nil {
				return err
			}
			if len(args) == 0 {
				args = []string{"."}
			}
			result, err := g.coverage(c.Context(), args, v)
			if err != nil {
				return err
			}
			switch format {
			case "json":
				return report.CoverageJSON(c.OutOrStdout(), result)
			case "markdown":
				return report.CoverageMarkdown(c.OutOrStdout(), result)
			}
			return report.WriteCoverage(c.OutOrStdout(), result, g.listOptions())
		},
	}
	scenarioFlags(c, &v)
	c.Flags().StringVar(&format, "format", "table", "table, json or markdown")
	return c
}

func (g *global) coverage(ctx context.Context, dirs []string, v variables) (*coverage.Coverage, error) {
	paths, err := scenariosBelow(dirs)
	if err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("there is no scenario in %s", strings.Join(dirs, ", "))
	}
	var s surveyed
	if err := s.survey(ctx, g, paths, v); err != nil {
		return nil, err
	}
	var result coverage.Coverage
	err = g.withPast(ctx, false, func(p *pastRuns) error {
		var tried []history.Tried
		tried, err := p.Tried(ctx)
		result = coverage.Of(s.scenarios, s.plugins, tried, time.Now())
		return err
	})
	result.Unread = s.unread
	return &result, err
}

// surveyed is what scenarios declare, and the plugins that there are.
type surveyed struct {
	scenarios []*scenario.Scenario
	plugins   []*schema.Description
	unread    []coverage.Unread
}

// survey reads scenarios, each with the plugins that are installed for it. One that cannot
// be read is named, and hides no other.
func (y *surveyed) survey(ctx context.Context, g *global, paths []string, v variables) error {
	all, err := g.host(".")
	if err != nil {
		return err
	}
	y.add(all.List(ctx))
	for _, path := range paths {
		h, err := g.host(path)
		if err != nil {
			y.cannot(path, err)
			continue
		}
		o, err := g.loadOptions(ctx, v, h)
		if err != nil {
			return err
		}
		o.Survey = true
		s, diags := scenario.Load(path, o)
		if diags.HasErrors() {
			y.cannot(path, diags)
			continue
		}
		if len(h.lock.Plugins) > 0 {
			y.add(h.List(ctx))
		}
		g.hide(s.Sensitive)
		y.scenarios = append(y.scenarios, s)
	}
	return nil
}

func (y *surveyed) cannot(path string, err error) {
	text, _, _ := strings.Cut(err.Error(), "\n")
	y.unread = append(y.unread, coverage.Unread{Path: path, Error: text})
}

// add enters plugins, each name once.
func (y *surveyed) add(found []host.Listed) {
	for _, p := range found {
		known := slices.ContainsFunc(y.plugins, func(d *schema.Description) bool { return d.Name == p.Name })
		if p.Err == nil && !known {
			y.plugins = append(y.plugins, p.Description)
		}
	}
}

// scenarioBlock is how a file begins a scenario, as opposed to one of an experiment for others.
var scenarioBlock = lazyregexp.New(`(?m)^\s*scenario\s+"`)

// scenariosBelow finds scenarios: folders with one file that has a scenario block, and each
// such file of folders that have several.
func scenariosBelow(dirs []string) ([]string, error) {
	var paths []string
	for _, dir := range dirs {
		found := map[string][]string{} // files by folder
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && path != dir && strings.HasPrefix(d.Name(), "."):
				return fs.SkipDir
			case d.IsDir() || filepath.Ext(path) != ".hcl":
				return nil
			}
			raw, err := os.ReadFile(path)
			if err == nil && scenarioBlock().Match(bytes.TrimPrefix(raw, []byte("\ufeff"))) {
				found[filepath.Dir(path)] = append(found[filepath.Dir(path)], path)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("look for scenarios: %w", err)
		}
		for folder, files := range found {
			switch {
			case len(files) > 1 || folder == filepath.Dir(dir) && files[0] == dir:
				paths = append(paths, files...)
			default:
				paths = append(paths, folder)
			}
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths), nil
}
