package main

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/faultline-go/faultline/engine/install"
	"github.com/faultline-go/faultline/engine/install/address"
	"github.com/faultline-go/faultline/engine/scenario"
	"github.com/faultline-go/faultline/sdk/wire"
)

// A plugin that runs already, in a debugger perhaps, need not be installed.
func TestAttachedNeedsNoInit(t *testing.T) {
	running := ""
	g := &global{warnings: newWarnings(io.Discard), process: &process{getenv: func(name string) string {
		if name == wire.ReattachVariable {
			return running
		}
		return ""
	}}}
	check := g.checkInstalled(&installed{config: &install.Config{}, lock: &install.Lock{}})
	need := scenario.Need{Name: "lamp", Source: address.Address{Host: "plugins.example.com", Namespace: "acme", Name: "lamp"}}
	if err := check(need); err == nil {
		t.Error("it is neither installed nor attached")
	}
	running = `{"lamp": {"protocol": 1, "network": "unix", "address": "/tmp/socket", "pid": 1}}`
	if err := check(need); err != nil {
		t.Errorf("it is attached: %v", err)
	}
}

// A scenario's folder may have anything in it, a lock file and binaries that this vouches
// for among it: neither plugins nor what is trusted are looked for there, in whatever
// environment, such as that of a service, which has no HOME.
func TestNothingIsInstalledInTheWorkingFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	const sum = "07047d00871da617ffb22530a3ba611dbddce2f02b655b373d121f8c8e7ab3e3"
	lock := `format = 1
plugin "lamp" {
  source   = "plugins.example.com/acme/lamp"
  version  = "1.0.0"
  protocol = 1
  sha256   = { ` + install.ThisPlatform().String() + ` = "` + sum + `" }
}
`
	if err := os.WriteFile(install.LockName, []byte(lock), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, env := range []map[string]string{
		{}, {"HOME": "."}, {"XDG_DATA_HOME": "x", "XDG_CACHE_HOME": "x", "XDG_CONFIG_HOME": "x"}, {"FAULTLINE_STATE_DIR": "state"},
	} {
		g := &global{warnings: newWarnings(io.Discard), process: &process{getenv: func(name string) string { return env[name] }}}
		in, err := g.installed(".")
		if err != nil {
			t.Fatal(err)
		}
		o, err := g.hostOptions(in)
		if err != nil {
			t.Fatal(err)
		}
		here, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range append(o.DataDirs, o.Installed["lamp"], in.store.Dir, install.ConfigPath(g.process.getenv)) {
			if rel, err := filepath.Rel(here, path); path != "" && (!filepath.IsAbs(path) || err == nil && filepath.IsLocal(rel)) {
				t.Errorf("%v: looked for in the scenario's folder: %q", env, path)
			}
		}
		if o.CacheDir != "" && !filepath.IsAbs(o.CacheDir) {
			t.Errorf("%v: the cache is %q", env, o.CacheDir)
		}
	}
}
