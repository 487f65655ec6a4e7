package scenario

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/faultline-go/faultline/engine/trust"
	"github.com/faultline-go/faultline/sdk/schema"
)

func policyDir(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestLoadPolicy(t *testing.T) {
	dir := policyDir(t, map[string]string{
		"a.hcl": "environment \"staging\" {\n  limits { max_targets = 5 }\n}",
		"b.hcl": `environment "production" {
  plugins = ["docker", "http"]
  faults  = ["docker_kill"]
  deny_capabilities = ["exec", "root"]
  trust = ["locked", "builtin"]
  limits {
    max_targets   = 1
    max_percent   = 10
    keep_per_zone = 2
    window {
      days  = ["tue"]
      hours = "09:00-16:00"
      zone  = "Europe/Berlin"
    }
  }
}`,
		"notes.txt": "not a policy",
	})
	p, others, err := LoadPolicy(dir, "production")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(others, []string{"staging"}) {
		t.Errorf("the other environments are %q", others)
	}
	if p.Source != filepath.Join(dir, "b.hcl") || len(p.Plugins) != 2 || len(p.Faults) != 1 || len(p.DenyCapabilities) != 2 || p.DenyCapabilities[0] != schema.CapExec ||
		!slices.Equal(p.Trust, []trust.Basis{trust.Locked, trust.BuiltIn}) ||
		p.Limits.MaxTargets != 1 || p.Limits.MaxPercent != 10 || p.Limits.KeepPerZone != 2 || len(p.Limits.Windows) != 1 {
		t.Errorf("policy is %+v", p)
	}
	if p, _, err := LoadPolicy(dir, "staging"); err != nil || p.Limits.MaxTargets != 5 || p.Plugins != nil {
		t.Errorf("staging: %+v, %v", p, err)
	}
	if p, others, err := LoadPolicy(dir, "lab"); err != nil || p != nil || len(others) != 2 {
		t.Errorf("an environment without a policy: %+v, %q, %v", p, others, err)
	}
	if p, _, err := LoadPolicy(filepath.Join(dir, "none"), "production"); err != nil || p != nil {
		t.Errorf("no folder: %+v, %v", p, err)
	}
}

// A policy that is not understood must stop the run, also where the mistake is in
// another environment: its author meant to forbid something.
func TestBrokenPolicy(t *testing.T) {
	for name, c := range map[string]struct{ text, says string }{
		"syntax":     {`environment "x" {`, "cannot be read"},
		"block":      {`enviroment "x" {}`, `did you mean "environment"`},
		"argument":   {`environment "x" { fault = ["a"] }`, `"faults"`},
		"limit":      {"environment \"x\" {\n  limits { max_target = 1 }\n}", `"max_targets"`},
		"capability": {`environment "x" { deny_capabilities = ["exec", "net_admn"] }`, `did you mean "net_admin"`},
		"caps type":  {`environment "x" { deny_capabilities = "exec" }`, "list"},
		"no caps":    {`environment "x" { deny_capabilities = [] }`, "empty list"},
		"ground":     {`environment "x" { trust = ["builtin", "lokced"] }`, `did you mean "locked"`},
		"null":       {`environment "x" { trust = [null] }`, `there is no ground ""`},
		"no grounds": {`environment "x" { trust = [] }`, "empty list"},
		"empty":      {`environment "x" { plugins = [] }`, "Nothing is allowed"},
		"label":      {`environment {}`, "environment \"name\""},
		"loose":      {`faults = []`, "environment \"name\""},
		"twice":      {"environment \"production\" {}\nenvironment \"production\" {}", "already"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := LoadPolicy(policyDir(t, map[string]string{"p.hcl": c.text}), "production")
			if err == nil || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(c.says)) {
				t.Errorf("error %v does not say %q", err, c.says)
			}
		})
	}
	dir := policyDir(t, map[string]string{"a.hcl": `environment "production" {}`, "b.hcl": `environment "production" {}`})
	if _, _, err := LoadPolicy(dir, "production"); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("two files for one environment: %v", err)
	}
}

// A policy has its say before the scenario asks for any plugin, and one that cannot be used
// ends the loading.
func TestTheEnvironmentIsToldFirst(t *testing.T) {
	var said []string
	var broken error
	load := func(text string) *Diagnostics {
		path := filepath.Join(t.TempDir(), "day.hcl")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		said = nil
		_, diags := Load(path, Options{
			Environment: func(name string) error {
				said = append(said, "in "+name)
				return broken
			},
			Describe: func(plugin string) (*schema.Description, error) {
				said = append(said, "plugin "+plugin)
				return nil, &trust.Forbidden{Plugin: plugin}
			},
		})
		return diags
	}
	const probe = "probe \"http\" \"x\" {}\n"
	diags := load(probe + "variable \"where\" { default = \"production\" }\nscenario \"x\" {\n  environment = var.where\n}")
	if !slices.Equal(said, []string{"in production", "plugin http"}) {
		t.Errorf("said %q", said)
	}
	var forbidden *trust.Forbidden
	if !errors.As(diags, &forbidden) || forbidden.Plugin != "http" {
		t.Errorf("why the plugin could not be had is not in %v", diags)
	}
	if load(probe); !slices.Equal(said, []string{"in ", "plugin http"}) {
		t.Errorf("without a scenario block: said %q", said)
	}
	broken = errors.New("the fence is broken")
	if diags := load("scenario \"x\" {}\n" + probe); !slices.Equal(said, []string{"in "}) || !diags.HasErrors() || !strings.Contains(diags.Error(), "the fence is broken") {
		t.Errorf("said %q, and %v", said, diags)
	}
}

// What the tables say of a policy's arguments is what is loaded, and nothing else is.
func TestPolicyLanguageIsWhatIsLoaded(t *testing.T) {
	fine := map[string]string{"list(string)": `["x"]`, "number": "2", "hours": `"09:00-16:00"`, "zone": `"UTC"`}
	eachArgument(PolicyLanguage(), "", func(path string, _ BlockType, a Argument) {
		t.Run(strings.ReplaceAll(path, "/", ".")+"."+a.Name, func(t *testing.T) {
			load := func(name, value string) error {
				blocks := strings.Split(path, "/")
				blocks[0] += ` "x"`
				text := strings.Join(blocks, " {\n") + " {\n" + name + " = " + value + "\n" + strings.Repeat("}\n", len(blocks))
				_, _, err := LoadPolicy(policyDir(t, map[string]string{"p.hcl": text}), "x")
				return err
			}
			values := []string{cmp.Or(fine[a.Name], fine[a.Type])}
			if len(a.Enum) > 0 {
				values = nil
				if load(a.Name, `["nonsense"]`) == nil {
					t.Error("nonsense is loaded")
				}
			}
			for _, word := range a.Enum {
				values = append(values, fmt.Sprintf("[%q]", word))
			}
			for _, v := range values {
				if err := load(a.Name, v); err != nil {
					t.Errorf("%s is refused: %v", v, err)
				}
				if load(a.Name+"x", v) == nil {
					t.Error("an argument of another name is loaded")
				}
			}
			if a.Doc == "" {
				t.Error("says nothing")
			}
		})
	})
}
