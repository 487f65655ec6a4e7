package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/faultline-go/faultline/engine/host"
	"github.com/faultline-go/faultline/engine/plan"
	"github.com/faultline-go/faultline/engine/scenario"
	"github.com/faultline-go/faultline/internal/programs"
	"github.com/faultline-go/faultline/sdk/reference"
	"github.com/faultline-go/faultline/sdk/schema"
	"github.com/faultline-go/faultline/sdk/wire"
)

var namesTarget = regexp.MustCompile(`target\.([a-z0-9_]+)\.web`)

// Every example that `faultline docs` shows is a block that can be used: the scenario around
// it loads, and the plugin has nothing against it.
func TestExamples(t *testing.T) {
	plugins, err := filepath.Glob("../../plugins/*/main.go")
	if err != nil || len(plugins) == 0 {
		t.Fatalf("no plugins: %v", err)
	}
	dir := t.TempDir()
	var names []string
	for _, p := range plugins {
		names = append(names, host.Prefix+filepath.Base(filepath.Dir(p)))
	}
	if err := programs.Put(dir, names...); err != nil {
		t.Fatal(err)
	}
	h := host.New(host.Options{PluginDirs: []string{dir}, CacheDir: t.TempDir()})
	all := map[string]*schema.Description{}
	for _, l := range h.List(t.Context()) {
		if l.Err != nil {
			t.Fatal(l.Err)
		}
		all[l.Name] = l.Description
	}
	describe := func(name string) (*schema.Description, error) { return h.Describe(t.Context(), name) }
	for name, d := range all {
		p, err := h.Start(t.Context(), name, wire.Configure{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Kill() })
		for _, typ := range reference.Names(d) {
			for _, x := range reference.Types(d, typ) {
				t.Run(x.Kind+" "+typ, func(t *testing.T) {
					path := filepath.Join(t.TempDir(), "day.hcl")
					if err := os.WriteFile(path, []byte(around(all, x)), 0o600); err != nil {
						t.Fatal(err)
					}
					s, diags := scenario.Load(path, scenario.Options{Describe: describe})
					if diags.HasErrors() {
						t.Fatalf("%s\nin\n%s", diags, around(all, x))
					}
					refused, err := plan.Validate(t.Context(), s, map[string]plan.Validator{name: p})
					if err != nil || refused.HasErrors() {
						t.Errorf("%v, %v", refused, err)
					}
				})
			}
		}
	}
}

// around is a scenario with an example in it.
func around(all map[string]*schema.Description, x reference.Type) string {
	inside, outside, watched := "", x.Example, "tcp"
	switch x.Kind {
	case "probe":
		watched = x.Type
	case "fault", "action":
		inside, outside = x.Example, ""
	}
	if m := namesTarget.FindStringSubmatch(inside); m != nil {
		for _, t := range reference.Types(all[schema.PluginOf(m[1])], m[1]) {
			if t.Kind == "target" {
				outside = t.Example
			}
		}
	}
	probe := ""
	if x.Kind != "probe" {
		probe = reference.Types(all["tcp"], "tcp")[0].Example
	}
	return fmt.Sprintf(`scenario "example" {}
%s%s
steady_state "s" {
  objective "o" {
    probe  = probe.%s.web
    good   = sample.ok
    target = 0.9
  }
}
experiment "e" {
  steady_state = [steady_state.s]
%s}
`, outside, probe, watched, strings.TrimSpace(inside)+"\n")
}
