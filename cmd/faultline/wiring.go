package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/faultline-go/faultline/engine/host"
	"github.com/faultline-go/faultline/engine/install"
	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/plan"
	"github.com/faultline-go/faultline/engine/run"
	"github.com/faultline-go/faultline/engine/scenario"
	"github.com/faultline-go/faultline/experiments"
	"github.com/faultline-go/faultline/sdk/schema"
	"github.com/faultline-go/faultline/sdk/wire"
)

// state is the state folder's path. It is absolute, because the guardian and whoever
// recovers later work in other folders: journals name the plugins that are kept in it.
func (g *global) state() string {
	dir := g.stateDir
	if dir == "" {
		dir = journal.DefaultDir(g.process.getenv)
	}
	if abs, err := filepath.Abs(dir); err == nil && dir != "" {
		return abs
	}
	return dir // none, or one that cannot be told: journal.Open says so
}

// plugins are those that a command may use.
type plugins struct {
	*host.Host
	*installed
}

// host finds and starts plugins: those that were installed for the scenario in path, and
// what lies in folders. A folder that -plugin-dir names must be there: of a misspelt one
// the plugins would be taken from elsewhere, and nobody would know.
func (g *global) host(path string) (plugins, error) {
	for _, dir := range g.pluginDirs {
		if err := folder(dir); err != nil {
			return plugins{}, fmt.Errorf("-plugin-dir %s: %w", dir, err)
		}
	}
	in, err := g.installed(path)
	if err != nil {
		return plugins{}, err
	}
	h, err := g.hostWith(in)
	return plugins{h, in}, err
}

// folder says why a path is no folder.
func folder(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("there is no such folder")
	case err != nil:
		return err
	case !info.IsDir():
		return errors.New("it is no folder")
	}
	return nil
}

// hostOfRuns is a host for what must be undone, which a folder that has gone meanwhile
// does not stop, nor anything that is wrong in a configuration.
func (g *global) hostOfRuns() (*host.Host, error) {
	for _, dir := range g.pluginDirs {
		if err := folder(dir); err != nil {
			fmt.Fprintf(g.process.stderr, "Warning: -plugin-dir %s: %s\n", dir, err)
		}
	}
	return g.hostWith(&installed{config: &install.Config{}, lock: &install.Lock{}})
}

func (g *global) hostWith(in *installed) (*host.Host, error) {
	o, err := g.hostOptions(in)
	if err != nil {
		return nil, err
	}
	if o.Reattach, err = g.reattached(); err != nil {
		return nil, err
	}
	return host.New(o), nil
}

func (g *global) hostOptions(in *installed) (host.Options, error) {
	self, err := os.Executable()
	if err != nil {
		return host.Options{}, fmt.Errorf("find the folder of faultline: %w", err)
	}
	if real, err := filepath.EvalSymlinks(self); err == nil {
		self = real
	}
	decide, err := g.trusted(in)
	if err != nil {
		return host.Options{}, err
	}
	log, err := g.openLog()
	if err != nil {
		return host.Options{}, err
	}
	return host.Options{
		PluginDirs: g.pluginDirs,
		Installed:  in.paths(),
		SelfDir:    filepath.Dir(self),
		DataDirs:   []string{filepath.Join(g.dataHome(), "faultline", "plugins")},
		CacheDir:   g.cacheDir(),
		StateDir:   g.state(),
		Trust:      decide,
		Inherit:    inherited,
		Log:        log,
	}, nil
}

// dataHome is where plugins are installed, for this user. It is never a folder of the one
// that faultline works in: that may be a scenario's, whose lock file would then vouch for
// binaries that it has brought along.
func (g *global) dataHome() string {
	if d := g.home("XDG_DATA_HOME", ".local", "share"); d != "" {
		return d
	}
	if d := journal.DefaultDir(func(string) string { return "" }); d != "" {
		return d // the system's, of root
	}
	return "/" // nowhere
}

func (g *global) cacheDir() string {
	if d := g.home("XDG_CACHE_HOME", ".cache"); d != "" {
		return filepath.Join(d, "faultline")
	}
	if s := g.state(); filepath.IsAbs(s) {
		return filepath.Join(s, "cache")
	}
	return "" // none
}

// home is the folder that a variable names, or one in the user's home. A relative one is
// invalid by the XDG specification, and ignored.
func (g *global) home(variable string, below ...string) string {
	if d := g.process.getenv(variable); filepath.IsAbs(d) {
		return d
	}
	if h := g.process.getenv("HOME"); filepath.IsAbs(h) {
		return filepath.Join(append([]string{h}, below...)...)
	}
	return ""
}

// variables are the flags that give values to a scenario's variables.
type variables struct {
	vars     []string
	varFiles []string
	recorded map[string]json.RawMessage // of a saved plan
}

// load reads a scenario, and shows what is wrong or doubtful with it. From then on
// nothing that is printed has its sensitive values.
func (g *global) load(ctx context.Context, path string, v variables, h plugins) (*scenario.Scenario, error) {
	o, err := g.loadOptions(ctx, v, h)
	if err != nil {
		return nil, err
	}
	s, diags := scenario.Load(path, o)
	if err := diags.Write(g.process.stderr, g.process.width(), g.errorColor()); err != nil {
		return nil, err
	}
	if diags.HasErrors() {
		return nil, exit(exitUsage)
	}
	g.hide(s.Sensitive)
	return s, nil
}

func (g *global) loadOptions(ctx context.Context, v variables, h plugins) (scenario.Options, error) {
	o := scenario.Options{
		Vars: map[string]string{}, VarFiles: v.varFiles, Recorded: v.recorded, Environ: g.process.lookupenv,
		Describe:     func(name string) (*schema.Description, error) { return h.Describe(ctx, name) },
		CheckVersion: host.CheckVersion,
		Installed:    g.checkInstalled(h.installed),
		Catalog:      experiments.FS(),
	}
	for _, text := range v.vars {
		name, value, ok := strings.Cut(text, "=")
		if !ok {
			return o, fmt.Errorf("-var %q: write it as name=value", text)
		}
		o.Vars[name] = value
	}
	return o, nil
}

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

// startCrew starts the plugins of a scenario, all at once, if the policy allows the scenario.
// For a run, id and dir name it; its folder need not exist before the first fault.
func startCrew(ctx context.Context, h *host.Host, s *scenario.Scenario, policy *plan.Policy, id, dir string) (*crew, error) {
	describe := func(name string) (*schema.Description, error) { return h.Describe(ctx, name) }
	if err := policy.Allow(s, describe); err != nil {
		return nil, planError(err)
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

// build plans.
func (g *global) build(ctx context.Context, s *scenario.Scenario, c *crew, seed int64, policy *plan.Policy) (*plan.Plan, error) {
	if err := c.validate(ctx); err != nil {
		return nil, err
	}
	workdir, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	p, err := plan.Build(ctx, s, c, plan.Options{Seed: seed, GitCommit: gitCommit(ctx, s.Source), Workdir: workdir, Checksums: c.checksums(), Policy: policy, LastTurn: g.lastTurn})
	if err != nil {
		return nil, planError(err)
	}
	return p, nil
}

// planError is why there is no plan: a refusal where the policy forbids it.
func planError(err error) error {
	var problems plan.Problems
	switch {
	case !errors.As(err, &problems): // each problem says what it is about
		return fmt.Errorf("plan: %w", err)
	case problems.Refused():
		return refused(err)
	}
	return err
}

// gitCommit is the commit of the scenario's folder, with "-dirty" when the folder
// has changes; empty without git or a repository. It is a note in the report: any
// failure means that there is none. The folder may be anybody's work, and is only looked
// at: no monitor or hook that its repository's configuration names is run.
func gitCommit(ctx context.Context, path string) string {
	dir := path
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		dir = filepath.Dir(path)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	git := func(args ...string) (string, error) {
		out, err := exec.CommandContext(ctx, "git", append([]string{"--no-optional-locks", "-c", "core.fsmonitor=false", "-C", dir}, args...)...).Output()
		return strings.TrimSpace(string(out)), err
	}
	commit, err := git("rev-parse", "HEAD")
	if err != nil {
		return ""
	}
	if changes, err := git("status", "--porcelain", "--ignore-submodules=dirty", "--", "."); err == nil && changes != "" {
		commit += "-dirty"
	}
	return commit
}

// engine says who runs, for the journal.
func engine() journal.Engine {
	e := journal.Engine{Version: version(), PID: os.Getpid()}
	e.Host, _ = os.Hostname()
	if u, err := user.Current(); err == nil {
		e.User = u.Username
	}
	return e
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
