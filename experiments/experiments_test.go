package experiments_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/faultline-go/faultline/engine/scenario"
	"github.com/faultline-go/faultline/experiments"
	"github.com/faultline-go/faultline/sdk/schema"
)

var update = flag.Bool("update", false, "write the tables of the READMEs anew")

// describe asks the real plugin.
var describe = func() func(name string) (*schema.Description, error) {
	var mu sync.Mutex
	known := map[string]*schema.Description{}
	return func(name string) (*schema.Description, error) {
		mu.Lock()
		defer mu.Unlock()
		if d := known[name]; d != nil {
			return d, nil
		}
		dir, err := build()
		if err != nil {
			return nil, err
		}
		out, err := exec.Command(filepath.Join(dir, "faultline-plugin-"+name), "-describe").Output()
		if err != nil {
			return nil, err
		}
		d := new(schema.Description)
		known[name] = d
		return d, json.Unmarshal(out, d)
	}
}()

// values are what a user would set in the examples, of those variables that they have.
var values = map[string]string{
	"url":    "http://127.0.0.1:8080/",
	"labels": `{ app = "web" }`,
	"region": "east",
	"peers":  `{ app = "store" }`,
}

func wellLoaded(t *testing.T, d *scenario.Diagnostics) {
	t.Helper()
	if n := len(d.All()); n > 0 {
		var b strings.Builder
		_ = d.Write(&b, 0, false)
		t.Fatalf("%d diagnostics:\n%s", n, b.String())
	}
}

// Every experiment has an example that loads without a word, and is what `faultline new`
// writes.
func TestEveryExampleLoads(t *testing.T) {
	names := experiments.Names()
	if len(names) == 0 {
		t.Fatal("the catalogue is empty")
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			raw, err := experiments.Example(name)
			if err != nil {
				t.Fatal(err)
			}
			vars := map[string]string{}
			for variable, value := range values {
				if bytes.Contains(raw, []byte("variable \""+variable+"\"")) {
					vars[variable] = value
				}
			}
			path := filepath.Join(t.TempDir(), name+".hcl")
			if err := os.WriteFile(path, raw, 0o600); err != nil {
				t.Fatal(err)
			}
			s, diags := scenario.Load(path, scenario.Options{Vars: vars, Describe: describe, Catalog: experiments.FS()})
			wellLoaded(t, diags)
			if s.Name != name || len(s.Experiments) != 1 || s.Experiments[0].Source != "catalog:"+name {
				t.Errorf("the example of %s is scenario %s with %+v", name, s.Name, s.Experiments)
			}
			if s.Experiments[0].Hypothesis == "" {
				t.Error("it has no hypothesis")
			}
			if !s.Limits.Set || s.Limits.MaxTargets == 0 {
				t.Error("it does not limit how many targets it touches")
			}
		})
	}
}

// Every file is in the form of `faultline fmt`.
func TestFormat(t *testing.T) {
	err := fs.WalkDir(experiments.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".hcl") {
			return err
		}
		raw, err := fs.ReadFile(experiments.FS(), path)
		if formatted, _ := scenario.Format(path, raw); string(formatted) != string(raw) {
			t.Errorf("%s is not in the form of `faultline fmt`", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

var (
	fenced = regexp.MustCompile("(?s)```hcl\n(.*?)```")
	link   = regexp.MustCompile(`\]\(([^)#:]+)\)`)
)

// A README explains what there is: its heading has the experiment's name, its table the
// inputs of the HCL, its snippet uses it. `go test ./experiments -update` writes the table.
func TestREADMEs(t *testing.T) {
	const heading = "\n## Inputs\n\n"
	for _, name := range experiments.Names() {
		t.Run(name, func(t *testing.T) {
			e, diags := scenario.Describe(experiments.FS(), name)
			wellLoaded(t, diags)
			var table strings.Builder
			if err := e.WriteTable(&table); err != nil {
				t.Fatal(err)
			}
			raw, err := os.ReadFile(filepath.Join(name, "README.md"))
			if err != nil {
				t.Fatal(err)
			}
			readme := string(raw)
			if !strings.HasPrefix(readme, "# "+name+": ") || experiments.Title(name) == "" {
				t.Errorf("its README is not headed: # %s: what happens", name)
			}
			before, _, found := strings.Cut(readme, heading)
			if !found {
				t.Fatalf("its README has no heading %q", strings.TrimSpace(heading))
			}
			want := before + heading + table.String()
			if *update {
				if err := os.WriteFile(filepath.Join(name, "README.md"), []byte(want), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if readme != want {
				t.Errorf("its table is not that of the HCL; `go test ./experiments -run READMEs -update` writes it:\n%s", table.String())
			}
			for _, in := range e.Inputs {
				if in.About == "" {
					t.Errorf("the input %s is not explained", in.Name)
				}
			}
			snippets := fenced.FindAllStringSubmatch(readme, -1)
			if len(snippets) == 0 || !strings.Contains(snippets[0][1], `"catalog:`+name+`"`) {
				t.Error("its README does not show how it is used")
			}
			for _, x := range snippets {
				load(t, name, x[1])
			}
			for _, l := range link.FindAllStringSubmatch(readme, -1) {
				if _, err := os.Stat(filepath.Join(name, l[1])); err != nil {
					t.Errorf("it links to %s, which is not there", l[1])
				}
			}
		})
	}
}

// rest is what a snippet of a README needs to be a scenario.
const rest = `
scenario "readme" {}
probe "http" "service" { url = "http://127.0.0.1/" }
steady_state "serving" {
  objective "available" {
    probe  = probe.http.service
    good   = sample.ok
    target = 0.99
  }
}
limits { max_targets = 20 }
`

func load(t *testing.T, name, snippet string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name+".hcl")
	if err := os.WriteFile(path, []byte(snippet+rest), 0o600); err != nil {
		t.Fatal(err)
	}
	_, diags := scenario.Load(path, scenario.Options{Describe: describe, Catalog: experiments.FS()})
	wellLoaded(t, diags)
}

// The project's README lists what there is.
func TestListInREADME(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var list strings.Builder
	for _, name := range experiments.Names() {
		fmt.Fprintf(&list, "| [`%s`](experiments/%s) | %s |\n", name, name, experiments.Title(name))
	}
	if !strings.Contains(string(readme), list.String()) {
		t.Errorf("README.md does not have this list of the catalogue:\n%s", &list)
	}
}

// Every experiment is run by a test on real targets.
func TestEveryExperimentRuns(t *testing.T) {
	for _, name := range experiments.Names() {
		if !slices.ContainsFunc(trials, func(x trial) bool { return x.name == name }) {
			t.Errorf("no test runs %s", name)
		}
	}
}

func TestExampleUnknown(t *testing.T) {
	_, err := experiments.Example("chaos-mnkey")
	if err == nil || !strings.Contains(err.Error(), "chaos-monkey") {
		t.Errorf("error %v does not list what there is", err)
	}
	if title := experiments.Title("chaos-mnkey"); title != "" {
		t.Errorf("it has the title %q", title)
	}
}
