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
	"slices"
	"strings"
	"time"

	"github.com/faultline-go/faultline/engine/host"
	"github.com/faultline-go/faultline/engine/install"
	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/plan"
	"github.com/faultline-go/faultline/engine/scenario"
	"github.com/faultline-go/faultline/experiments"
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

// loadUnder reads a scenario, and shows what is wrong or doubtful with it. From then on
// nothing that is printed has its sensitive values. The policy of its environment has its
// say before any plugin starts; nil when there is none.
func (g *global) loadUnder(ctx context.Context, path string, f *planFlags, h plugins) (*scenario.Scenario, *plan.Policy, error) {
	s, policy, diags, err := g.readUnder(ctx, path, f, h)
	if err != nil {
		return nil, nil, err
	}
	s, err = g.loaded(s, diags)
	return s, policy, err
}

// readUnder is loadUnder for who shows what is wrong in another way.
func (g *global) readUnder(ctx context.Context, path string, f *planFlags, h plugins) (*scenario.Scenario, *plan.Policy, *scenario.Diagnostics, error) {
	o, err := g.loadOptions(ctx, f.variables, h)
	if err != nil {
		return nil, nil, nil, err
	}
	var policy *plan.Policy
	var broken error
	o.Environment = func(name string) error {
		policy, broken = g.policy(f.policyDir, name)
		return broken
	}
	s, diags := scenario.Load(path, o)
	return s, policy, diags, broken
}

// loaded shows what was found in a scenario.
func (g *global) loaded(s *scenario.Scenario, diags *scenario.Diagnostics) (*scenario.Scenario, error) {
	if err := diags.Write(g.process.stderr, g.process.width(), g.errorColor()); err != nil {
		return nil, err
	}
	if diags.HasErrors() {
		return nil, exit(codeOf(diags))
	}
	g.hide(s.Sensitive)
	return s, nil
}

func (g *global) loadOptions(ctx context.Context, v variables, h plugins) (scenario.Options, error) {
	o := scenario.Options{
		Vars: map[string]string{}, VarFiles: v.varFiles, Recorded: v.recorded, Environ: g.process.lookupenv,
		Describe:     describing(ctx, h.Host),
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

// build plans.
func (g *global) build(ctx context.Context, s *scenario.Scenario, c *crew, seed int64, policy *plan.Policy) (*plan.Plan, error) {
	if err := c.validate(ctx); err != nil {
		return nil, err
	}
	workdir, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	lock, err := install.ReadLock(install.LockPath(s.Source))
	if err != nil {
		return nil, err
	}
	locked := map[string][]string{}
	for _, p := range lock.Plugins {
		locked[p.Name] = lock.Sums(p.Name)
	}
	p, err := plan.Build(ctx, s, c, plan.Options{
		Seed: seed, GitCommit: gitCommit(ctx, s.Source), Workdir: workdir, Policy: policy, LastTurn: g.lastTurn,
		Checksums: c.checksums(), Locked: locked, Platform: install.ThisPlatform().String(),
	})
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
// at: no monitor, filter, hook or transport that its repository's configuration names is
// run.
func gitCommit(ctx context.Context, path string) string {
	dir := path
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		dir = filepath.Dir(path)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	options := []string{"--no-optional-locks", "-c", "core.fsmonitor=false", "-C", dir}
	git := func(args ...string) (string, error) {
		c := exec.CommandContext(ctx, "git", slices.Concat(options, args)...)
		c.Env = append(os.Environ(), "GIT_ALLOW_PROTOCOL=none") // missing objects are not fetched
		c.WaitDelay = time.Second                               // for what git started, and keeps its output open
		out, err := c.Output()
		return strings.TrimSpace(string(out)), err
	}
	commit, err := git("rev-parse", "HEAD")
	if err != nil {
		return ""
	}
	// To compare contents is to run the filters that attributes ask for, git-lfs or whatever
	// the repository names. None is configured any more when each of its settings is empty.
	filters, err := git("config", "--name-only", "-z", "--get-regexp", `^filter\.`)
	if exit := (*exec.ExitError)(nil); err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 1) { // 1: there is none
		return ""
	}
	for _, key := range strings.FieldsFunc(filters, func(r rune) bool { return r == 0 }) {
		if strings.Contains(key, "=") { // -c would set another one
			return ""
		}
		options = append(options, "-c", key+"=")
	}
	changes, err := git("status", "--porcelain", "--ignore-submodules=dirty", "--", ".")
	if err != nil {
		return ""
	}
	if changes != "" {
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
