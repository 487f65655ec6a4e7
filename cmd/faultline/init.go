package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/faultline-go/faultline/engine/host"
	"github.com/faultline-go/faultline/engine/install"
	"github.com/faultline-go/faultline/engine/scenario"
	"github.com/faultline-go/faultline/engine/trust"
	"github.com/faultline-go/faultline/sdk/wire"
)

type initFlags struct {
	upgrade   bool
	locked    bool
	platforms []string
	format    string
}

func newInit(g *global) *cobra.Command {
	var f initFlags
	c := &cobra.Command{
		Use:   "init [PATH]",
		Short: "Install the plugins that a scenario asks for, and lock their versions",
		Long: `init reads the plugin blocks of the scenario in PATH, a folder or a file (default: the
current folder), and installs those that have a source. Where a source is fetched
from, and whose signatures count for it, is in the CLI configuration: $FAULTLINE_CLI_CONFIG,
or faultline/config.hcl in $XDG_CONFIG_HOME or ~/.config.

What it installed it writes to .faultline.lock.hcl beside the scenario, which belongs
under version control: version, signer, and the SHA-256 of the binary for each platform.
A later init installs the same, wherever it runs, and says so when a mirror has something
else under that version, or another key has signed it; -upgrade takes the newest version
and a new key. Where everything is installed as locked it asks nothing of any mirror. With
-locked, for CI, nothing is installed that is not locked.

Exit codes: 0 everything is installed, 2 something is not there, or wrong in the scenario
or the configuration, 7 refused: a signature, a checksum or a key is not as it should be.`,
		Args: arguments(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := formats(f.format, "text", "json"); err != nil {
				return err
			}
			if f.locked && f.upgrade {
				return errors.New("-locked keeps what -upgrade changes: use one of the two")
			}
			return g.install(c, pathArg(args), &f)
		},
	}
	c.Flags().BoolVar(&f.upgrade, "upgrade", false, "take the newest version that the scenario allows, and a changed source or key")
	c.Flags().BoolVar(&f.locked, "locked", false, "install what is locked, and refuse to change the lock file")
	c.Flags().StringArrayVar(&f.platforms, "platform", nil, "a platform, as OS_ARCH, that must be locked beside this one; may be repeated")
	c.Flags().StringVar(&f.format, "format", "text", "text or json")
	return c
}

// initResult is what init did.
type initResult struct {
	Lock    string          `json:"lock"` // the lock file
	Changed bool            `json:"changed"`
	Plugins []initPlugin    `json:"plugins"`
	Others  []scenario.Need `json:"-"` // without a source
}

type initPlugin struct {
	Name      string   `json:"name"`
	Source    string   `json:"source"`
	Version   string   `json:"version,omitempty"`
	Before    string   `json:"version_before,omitempty"`
	Action    string   `json:"action"`
	From      string   `json:"from,omitempty"`
	Key       string   `json:"key,omitempty"`
	Signer    string   `json:"signer,omitempty"`
	KeyBefore string   `json:"key_before,omitempty"`
	Platforms []string `json:"platforms,omitempty"`
}

const overridden = "overridden" // by dev_overrides: not installed

func (g *global) install(c *cobra.Command, path string, f *initFlags) error {
	needs, diags := scenario.Needs(path)
	if err := diags.Write(g.process.stderr, g.process.width(), g.errorColor()); err != nil {
		return err
	}
	if diags.HasErrors() {
		return exit(exitUsage)
	}
	in, err := g.installed(path)
	if err != nil {
		return err
	}
	o := install.Options{
		Config: in.config, Store: in.store, Agent: "faultline/" + version(), Upgrade: f.upgrade, Frozen: f.locked,
		Platform: install.ThisPlatform(), Describe: g.self,
	}
	for n := wire.OldestProtocol; n <= wire.Protocol; n++ {
		o.Protocols = append(o.Protocols, n)
	}
	for _, text := range f.platforms {
		p, err := install.ParsePlatform(text)
		if err != nil {
			return fmt.Errorf("-platform: %w", err)
		}
		o.Platforms = append(o.Platforms, p)
	}
	r := initResult{Lock: in.lock.Path, Plugins: []initPlugin{}}
	var wants []install.Want
	var names []string
	for _, n := range needs {
		switch dir, override := in.config.DevOverrides[n.Name]; {
		case n.Source.IsZero():
			r.Others = append(r.Others, n)
			continue
		case override:
			r.Plugins = append(r.Plugins, initPlugin{Name: n.Name, Source: n.Source.String(), Action: overridden, From: dir})
		default:
			wants = append(wants, install.Want{Source: n.Source, Constraint: n.Constraint})
		}
		names = append(names, n.Name)
	}
	next, did, err := install.Install(c.Context(), in.lock, wants, o)
	for _, d := range did {
		r.Plugins = append(r.Plugins, initOutcome(d))
	}
	if err != nil {
		if f.format != "json" {
			g.showInstalled(c, in, r, false)
		}
		return err
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		next.Keep(names) // a file may have others beside it, which share the lock file
	}
	switch {
	case f.locked: // what it still has of plugins that are no longer asked for stays
	case len(next.Plugins) > 0 || there(next.Path):
		if r.Changed, err = next.Write(); err != nil {
			return err
		}
	}
	if f.format == "json" {
		return writeJSON(c, r)
	}
	g.showInstalled(c, in, r, true)
	return nil
}

func initOutcome(d install.Outcome) initPlugin {
	p := initPlugin{
		Name: d.Source.Name, Source: d.Source.String(), Version: d.Version, Before: d.Before, Action: string(d.Action),
		From: d.From, Key: d.Key, Signer: d.Signer, KeyBefore: d.KeyBefore,
	}
	for _, platform := range d.Platforms {
		p.Platforms = append(p.Platforms, platform.String())
	}
	return p
}

// self starts a binary that init is about to install, whose checksum is vouched for, and
// asks what it is.
func (g *global) self(ctx context.Context, name, path, sum string) (install.Self, error) {
	h := host.New(host.Options{
		CacheDir: g.cacheDir(), Inherit: inherited,
		Trust: trust.Rules{Locked: map[string][]string{name: {sum}}, LockFile: "the release"}.Decide,
	})
	d, err := h.DescribeFile(ctx, name, path)
	if err != nil {
		return install.Self{}, err
	}
	return install.Self{Name: d.Description.Name, Version: d.Description.Version, Protocol: d.Protocol}, nil
}

// showInstalled says what was done about each plugin. What did not change is one line.
func (g *global) showInstalled(c *cobra.Command, in *installed, r initResult, done bool) {
	out := c.OutOrStdout()
	news, locked := false, 0
	for _, p := range r.Plugins {
		if p.Action != overridden {
			locked++
		}
		if text := p.sentence(); text != "" {
			news = true
			fmt.Fprintln(out, text)
		}
		if p.Action == overridden {
			fmt.Fprintf(g.process.stderr, "Warning: %s is not installed: dev_overrides of your CLI configuration takes it from %s, unchecked\n", p.Source, p.From)
		} else if p.Key == "" && p.From != "" {
			fmt.Fprintf(g.process.stderr, "Warning: %s is not signed: allow_unsigned takes it on the word of %s\n", p.Source, p.From)
		}
	}
	if !done {
		return
	}
	g.warnUnknown(in, r.Others)
	switch {
	case r.Changed && len(r.Plugins) == 0:
		fmt.Fprintf(out, "The scenario asks for no plugin with a source any more: %s has none.\n", r.Lock)
	case r.Changed:
		fmt.Fprintf(out, "Wrote %s: keep it under version control.\n", r.Lock)
	case len(r.Plugins) == 0:
		fmt.Fprintln(out, "Nothing to install: no plugin of the scenario has a source.")
	case locked == 0:
		fmt.Fprintln(out, "Nothing to install: dev_overrides has every plugin of the scenario that has a source.")
	case !news:
		fmt.Fprintf(out, "Nothing to do: %s installed as %s says.\n", countedPlugins(locked), r.Lock)
	}
}

func countedPlugins(n int) string {
	if n == 1 {
		return "the plugin is"
	}
	return fmt.Sprintf("%d plugins are", n)
}

// sentence is what is new about a plugin; empty when nothing is.
func (p initPlugin) sentence() string {
	text := ""
	switch {
	case p.Action == string(install.Kept), p.Action == overridden:
		return ""
	case p.Action == string(install.Installed):
		text = fmt.Sprintf("Installed %s %s from %s", p.Source, p.Version, p.From)
	default:
		text = fmt.Sprintf("Locked %s %s from %s, which is installed already", p.Source, p.Version, p.From)
	}
	if p.Before != "" {
		text += ", in place of " + p.Before
	}
	switch {
	case p.Key == "":
		text += ", not signed"
	case p.Signer == "":
		text += ", signed by " + p.Key
	default:
		text += fmt.Sprintf(", signed by %s (%s)", p.Key, p.Signer)
	}
	if p.KeyBefore != "" {
		text += ", before by " + p.KeyBefore
	}
	return text + "; for " + strings.Join(p.Platforms, ", ") + "."
}

// warnUnknown names plugins without a source that are found nowhere, and are none of
// faultline's own: most likely the source was forgotten.
func (g *global) warnUnknown(in *installed, needs []scenario.Need) {
	own, err := trust.ParseSums(builtinPlugins)
	if err != nil {
		return
	}
	h, err := g.hostWith(in)
	if err != nil {
		return
	}
	for _, n := range needs {
		var missing *host.NotFoundError
		if _, err := h.Find(n.Name); own[n.Name] == "" && errors.As(err, &missing) {
			fmt.Fprintf(g.process.stderr, "Warning: %s: the plugin %q is found nowhere, and no block says where it is from: plugin %q { source = \"HOST/NAMESPACE/%s\" }\n", n.Pos, n.Name, n.Name, n.Name)
		}
	}
}
