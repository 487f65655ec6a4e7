package scenario

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// catalog is what the sources of the tests name.
var catalog = fstest.MapFS{
	"lose-some/README.md": {Data: []byte("# Lose some\n")},
	"lose-some/inputs.hcl": {Data: []byte(`
variable "labels" {
  type        = map(string)
  description = "labels of the group"
}
variable "count" {
  type        = number
  default     = 1
  description = "how many"
  validation {
    condition     = var.count >= 1
    error_message = "at least one is lost."
  }
}
variable "duration" {
  type    = string
  default = "20s"
}
`)},
	"lose-some/lose-some.hcl": {Data: []byte(`
locals { all = merge(var.labels, { chaos = "opt-in" }) }
target "docker_container" "some" {
  match { label = local.all }
  filter { condition = candidate.state == "running" }
  pick { count = var.count }
}
experiment "lose-some" {
  hypothesis = "When ${var.count} of a group die, customers notice nothing"
  baseline   = "5s"
  fault "docker_kill" "some" {
    target   = target.docker_container.some
    duration = var.duration
  }
}
`)},
	"signal/signal.hcl": {Data: []byte(`
variable "signal" { type = string }
target "docker_container" "own" {
  match { name = "web" }
}
experiment "signal" {
  fault "docker_kill" "web" {
    target   = target.docker_container.own
    duration = "20s"
    signal   = var.signal
  }
}
`)},
	"scope/scope.hcl": {Data: []byte(`
target "docker_container" "own" {
  match { label = { region = var.regions[0], base = local.base } }
}
experiment "scope" {
  fault "docker_kill" "web" {
    target   = target.docker_container.web
    duration = "20s"
  }
}
`)},
	"bad/bad.hcl": {Data: []byte(`
loose = 1
limits { max_targets = 1 }
probe "http" "x" { url = "http://x" }
experimnt "x" {}
experiment "bad" {
  steady_state = []
  source       = "catalog:lose-some"
}
experiment "bad2" {}
`)},
	"syntax/syntax.hcl": {Data: []byte("experiment \"x\" {\n")},
	"empty/empty.hcl":   {Data: []byte("# nothing yet\n")},
	"plugin/plugin.hcl": {Data: []byte(`
experiment "x" {
  action "frobnicate" "x" {}
}
`)},
}

const used = `
scenario "day" {}
probe "http" "checkout" { url = "http://127.0.0.1:8080/" }
steady_state "checkout" {
  objective "available" {
    probe  = probe.http.checkout
    good   = sample.ok
    target = 0.99
  }
}
target "docker_container" "some" {
  match { label = { app = "another" } }
}
locals { all = "the scenario's own" }
experiment "own" {
  steady_state = [steady_state.checkout]
  fault "docker_pause" "some" {
    target   = target.docker_container.some
    duration = "1s"
  }
}
experiment "monkey" {
  for_each     = { web = 1, api = 2 }
  source       = "SOURCE"
  steady_state = [steady_state.checkout]
  observe      = "9s"
  inputs = {
    labels = { app = each.key }
    count  = each.value
  }
}
limits { max_targets = 5 }
`

func TestUse(t *testing.T) {
	s := mustLoad(t, strings.Replace(used, "SOURCE", "catalog:lose-some", 1), Options{Catalog: catalog})
	if len(s.Experiments) != 3 {
		t.Fatalf("%d experiments, want 3", len(s.Experiments))
	}
	var files []string
	for _, f := range s.Files {
		files = append(files, f.Path+" "+f.Name)
	}
	want := []string{"test.hcl ", "catalog:lose-some/inputs.hcl catalog:lose-some/inputs.hcl", "catalog:lose-some/lose-some.hcl catalog:lose-some/lose-some.hcl"}
	if got := strings.Join(files, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("files:\n%s\nwant:\n%s", got, strings.Join(want, "\n"))
	}
	for i, c := range []struct {
		name, target, match, hypothesis, source string
		count                                   int
		baseline, observe                       time.Duration
	}{
		{"own", "docker_container.some", `{"label":{"app":"another"}}`, "", "", 1, DefaultBaseline, 0},
		{`monkey["api"]`, `monkey["api"].docker_container.some`, `{"label":{"app":"api","chaos":"opt-in"}}`,
			"When 2 of a group die, customers notice nothing", "catalog:lose-some", 2, 5 * time.Second, 9 * time.Second},
		{`monkey["web"]`, `monkey["web"].docker_container.some`, `{"label":{"app":"web","chaos":"opt-in"}}`,
			"When 1 of a group die, customers notice nothing", "catalog:lose-some", 1, 5 * time.Second, 9 * time.Second},
	} {
		x := s.Experiments[i]
		if x.Name != c.name || x.Hypothesis != c.hypothesis || x.Source != c.source || x.Baseline != c.baseline || x.Observe != c.observe || len(x.Objectives) != 1 {
			t.Errorf("experiment %+v, want %+v", x, c)
		}
		step := x.Steps[0]
		if step.Target.Name != c.target || string(step.Target.Match.Full) != c.match || step.Target.Pick.Count != c.count {
			t.Errorf("%s: target %s, match %s, pick %d; want %s, %s, %d", c.name, step.Target.Name, step.Target.Match.Full, step.Target.Pick.Count, c.target, c.match, c.count)
		}
		if c.source != "" && !strings.HasPrefix(step.Pos, "test.hcl:24, in catalog:lose-some/lose-some.hcl:") {
			t.Errorf("%s: the step is at %q, which does not say where it is used", c.name, step.Pos)
		}
	}
	names := map[string]bool{}
	for _, x := range s.Targets {
		names[x.Name] = true
	}
	if len(names) != 3 {
		t.Errorf("targets %v, want three that differ", names)
	}
}

// A folder is a source like one of the catalogue: it is found from the folder of the
// file that names it, wherever faultline runs.
func TestUseOfAFolder(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"day.hcl":                    strings.Replace(used, "SOURCE", "./experiments/mine", 1),
		"experiments/mine/in.hcl":    string(catalog["lose-some/inputs.hcl"].Data),
		"experiments/mine/mine.hcl":  string(catalog["lose-some/lose-some.hcl"].Data),
		"experiments/mine/README.md": "# Mine\n",
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s, d := Load(dir, Options{Describe: describe})
	if d.HasErrors() {
		t.Fatal(d)
	}
	if n := len(s.Experiments); n != 3 {
		t.Errorf("%d experiments, want 3", n)
	}
	if name := s.Files[len(s.Files)-1].Name; name != "experiments/mine/mine.hcl" {
		t.Errorf("the last file is called %q in a plan", name)
	}
	e, d := Describe(nil, filepath.Join(dir, "experiments", "mine"))
	if d.HasErrors() {
		t.Fatal(d)
	}
	if e.Name != "mine" || len(e.Inputs) != 3 || len(e.Faults) != 1 || e.Faults[0] != "docker_kill" {
		t.Errorf("described as %+v", e)
	}
}

func TestDescribe(t *testing.T) {
	e, d := Describe(catalog, "lose-some")
	if d.HasErrors() {
		t.Fatal(d)
	}
	var b strings.Builder
	if err := e.WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	want := "| input | type | default | what it is |\n|---|---|---|---|\n" +
		"| `labels` | `map(string)` | required | labels of the group |\n" +
		"| `count` | `number` | `1` | how many |\n" +
		"| `duration` | `string` | `\"20s\"` |  |\n"
	if b.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", &b, want)
	}
	for name, want := range map[string]string{
		"lose-sme": `did you mean "lose-some"?`,
		"syntax":   "Unclosed configuration block",
		"./none":   "no such file",
		"bad":      "Second experiment",
	} {
		_, d := Describe(catalog, name)
		found := false
		for _, x := range d.All() {
			found = found || strings.Contains(x.Summary+" "+x.Detail, want)
		}
		if !found {
			t.Errorf("%s: %v, want %q", name, d.All(), want)
		}
	}
}

// What an entry makes of a sensitive input stays out of what may be written down.
func TestSensitiveInput(t *testing.T) {
	entry := fstest.MapFS{"note/note.hcl": {Data: []byte(`
variable "word" {
  type      = string
  sensitive = true
}
experiment "note" {
  action "exec" "note" { command = ["echo", "x"] }
}
`)}}
	text := strings.Replace(used, "SOURCE", "catalog:note", 1)
	text = text[:strings.Index(text, "  inputs")] + "  inputs = { word = \"hunter2\" }\n}\n" + text[strings.Index(text, "limits"):]
	s := mustLoad(t, text, Options{Catalog: entry})
	if len(s.Sensitive) != 1 || s.Sensitive[0] != "hunter2" {
		t.Errorf("secrets %q, want the input", s.Sensitive)
	}
}
