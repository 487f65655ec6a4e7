package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/faultline-go/faultline/engine/host"
	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/plan"
	"github.com/faultline-go/faultline/engine/run"
	"github.com/faultline-go/faultline/engine/scenario"
	"github.com/faultline-go/faultline/sdk/schema"
	"github.com/faultline-go/faultline/sdk/wire"
)

// crew is the plugins of a scenario, started.
type crew struct {
	host     *host.Host
	scenario *scenario.Scenario
	mu       sync.Mutex
	plugins  map[string]*host.Plugin
	configs  map[string]wire.Configure
}

const stopTimeout = 5 * time.Second

// rejected says that plugins refuse what stands in a scenario.
type rejected struct{ diags *scenario.Diagnostics }

func (r *rejected) Error() string { return r.diags.Error() }

// shown shows what plugins refuse as what is wrong with a scenario is, and leaves every
// other error as it is.
func (g *global) shown(err error) error {
	var r *rejected
	if !errors.As(err, &r) {
		return err
	}
	if err := r.diags.Write(g.process.stderr, g.process.width(), g.errorColor()); err != nil {
		return err
	}
	return exit(exitUsage)
}

// unstarted is the error of a plugin that did not start.
type unstarted struct {
	plugin string
	error
}

func (e *unstarted) Unwrap() error { return e.error }

// describing asks for the descriptions of plugins, without starting those that are known.
func describing(ctx context.Context, h *host.Host) plan.Describe {
	return func(name string) (*schema.Description, error) { return h.Describe(ctx, name) }
}

// startCrew starts the plugins of a scenario, all at once, if the policy allows the scenario.
// For a run, id and dir name it; its folder need not exist before the first fault.
func (g *global) startCrew(ctx context.Context, h *host.Host, s *scenario.Scenario, policy *plan.Policy, id, dir string) (*crew, error) {
	if err := policy.Allow(s, describing(ctx, h)); err != nil {
		return nil, planError(err)
	}
	for _, p := range s.Plugins {
		for _, name := range p.Environment {
			if _, ok := g.process.lookupenv(name); !ok {
				g.warnings.once(fmt.Sprintf("plugin %s is to inherit the variable %s, as its block says, and it is not set", p.Name, name))
			}
		}
	}
	c := &crew{host: h, scenario: s, plugins: map[string]*host.Plugin{}, configs: map[string]wire.Configure{}}
	var group errgroup.Group
	for _, want := range s.Plugins {
		q := wire.Configure{Settings: want.Settings.Full, Run: id, RunDir: dir}
		c.configs[want.Name] = q
		group.Go(func() error {
			p, err := h.Start(ctx, want.Name, q, host.Inherit(want.Environment...))
			if err != nil {
				return &unstarted{want.Name, err}
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			c.plugins[want.Name] = p
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		c.stop()
		var which *unstarted
		if errors.As(err, &which) {
			if d := plan.RefusedSettings(s, which.plugin, err); d != nil {
				return nil, &rejected{d}
			}
		}
		return nil, err
	}
	return c, nil
}

// validate has the plugins look at what the scenario has for them, before anything else
// is asked of them.
func (c *crew) validate(ctx context.Context) error {
	plugins := map[string]plan.Validator{}
	for name, p := range c.plugins {
		plugins[name] = p
	}
	d, err := plan.Validate(ctx, c.scenario, plugins)
	if err != nil {
		return err
	}
	if d.HasErrors() {
		return &rejected{d}
	}
	return nil
}

// stop ends the plugins, all at once.
func (c *crew) stop() {
	var group sync.WaitGroup
	for _, p := range c.plugins {
		group.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
			defer cancel()
			_ = p.Close(ctx) // it is killed when it does not end by itself
		})
	}
	group.Wait()
}

// Description and Planner make a crew a plan.Plugins.
func (c *crew) Description(name string) (*schema.Description, error) {
	return c.host.Describe(context.Background(), name)
}

func (c *crew) Planner(name string) (plan.Planner, error) {
	p := c.plugins[name]
	if p == nil {
		return nil, fmt.Errorf("plugin %s was not started", name)
	}
	return p, nil
}

// checksums are those of the binaries that run, by plugin.
func (c *crew) checksums() map[string]string {
	out := map[string]string{}
	for name, p := range c.plugins {
		out[name] = p.SHA256
	}
	return out
}

// runner adapts a started plugin to what a run needs.
type runner struct{ *host.Plugin }

// Debugged says that a person may have stopped it.
func (r runner) Debugged() bool { return r.Attached }

func (r runner) Session(ctx context.Context) (run.Session, error) {
	return r.Plugin.Session(ctx)
}

// restart starts a plugin anew that has died during a run.
func (c *crew) restart(ctx context.Context, name string) (run.Plugin, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	dead := c.plugins[name]
	if dead.Attached && dead.Path == "" {
		return nil, errUnknownProgram(name)
	}
	fresh, err := c.host.StartBinary(ctx, dead.Path, dead.SHA256, c.configs[name], host.Inherit(dead.Environment...))
	if err != nil {
		return nil, err
	}
	_ = dead.Close(ctx) // its process is gone; what is left is its socket's folder
	c.plugins[name] = fresh
	return runner{fresh}, nil
}

// attached names the plugins that somebody may hold in a debugger.
func (c *crew) attached() map[string]bool {
	out := map[string]bool{}
	for name, p := range c.plugins {
		out[name] = p.Attached
	}
	return out
}

// errUnknownProgram is of a plugin whose process was attached, and is gone.
func errUnknownProgram(name string) error {
	return fmt.Errorf("plugin %s was attached, and nobody knows its program: serve it again, and put what it prints into $%s", name, wire.ReattachVariable)
}

// used pins the plugins of a run for its journal. What is sensitive in settings was
// refused by the loader, but the redacted form is what is written all the same.
func (c *crew) used() []journal.PluginUsed {
	var out []journal.PluginUsed
	for _, want := range c.scenario.Plugins {
		p := c.plugins[want.Name]
		if p == nil {
			continue
		}
		u := journal.PluginUsed{Name: p.Name, Version: p.Version, SHA256: p.SHA256, Path: p.Path, Trust: string(p.Trust), Environment: p.Environment}
		if len(want.Settings.Redacted) > 0 {
			u.Settings = json.RawMessage(want.Settings.Redacted)
		}
		out = append(out, u)
	}
	return out
}
