package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/faultline-go/faultline/engine/install"
	"github.com/faultline-go/faultline/engine/scenario"
)

// installed is what `faultline init` has installed for a scenario, and what the user's
// configuration puts in its place.
type installed struct {
	config *install.Config
	lock   *install.Lock
	store  install.Store
}

// installed reads the configuration, and the lock file beside the scenario in path.
func (g *global) installed(path string) (*installed, error) {
	config, err := install.ReadConfig(g.process.getenv)
	if err != nil {
		return nil, err
	}
	lock, err := install.ReadLock(install.LockPath(path))
	if err != nil {
		return nil, err
	}
	return &installed{config, lock, install.Store{Dir: filepath.Join(g.dataHome(), "faultline", "store")}}, nil
}

// paths says for each plugin that is installed, or overridden, where its binary is.
func (in *installed) paths() map[string]string {
	out := map[string]string{}
	for _, p := range in.lock.Plugins {
		if path := in.lock.Installed(p.Name, in.store, install.ThisPlatform()); path != "" {
			out[p.Name] = path
		}
	}
	for name := range in.config.DevOverrides {
		out[name] = in.override(name)
	}
	return out
}

// override is the binary that dev_overrides puts in the place of a plugin; empty if it
// does not.
func (in *installed) override(name string) string {
	dir, ok := in.config.DevOverrides[name]
	if !ok {
		return ""
	}
	return filepath.Join(dir, install.BinaryName(name))
}

// checkInstalled says why a plugin with a source cannot be used as it is installed. One
// that runs already, or that -plugin-dir has, is left to what may start.
func (g *global) checkInstalled(in *installed) func(scenario.Need) error {
	return func(n scenario.Need) error {
		if running, err := g.reattached(); err != nil || running[n.Name].Protocol > 0 {
			return err
		}
		for _, dir := range g.pluginDirs {
			if there(filepath.Join(dir, install.BinaryName(n.Name))) {
				return nil
			}
		}
		if path := in.override(n.Name); path != "" {
			if !there(path) {
				return fmt.Errorf("plugin %s is to be taken from %s, which dev_overrides in %s names, and there is none: build it there", n.Name, filepath.Dir(path), in.config.Path)
			}
			return nil
		}
		here := install.ThisPlatform()
		if err := in.lock.Check(install.Want{Source: n.Source, Constraint: n.Constraint}, here); err != nil {
			return err
		}
		if p := in.lock.Plugin(n.Name); !there(in.lock.Installed(n.Name, in.store, here)) {
			return fmt.Errorf("plugin %s %s is locked, and not installed on this machine: run `%s`", p.Name, p.Version, in.lock.Command())
		}
		return nil
	}
}

func there(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
