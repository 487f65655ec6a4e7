package scenario

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "write the golden files anew")

// prelude is a scenario that loads without a word. The cases of the golden files
// stand beside it, unless their first line is "# alone".
const prelude = `
scenario "prelude" {}
variable "token" {
  type      = string
  default   = "s3cret-token"
  sensitive = true
}
variable "regions" {
  default = ["eu", "us"]
}
probe "http" "checkout" {
  url = "http://127.0.0.1:8080/"
}
probe "http" "regional" {
  for_each = toset(var.regions)
  url      = "http://${each.key}.example.com/"
}
probe "prometheus" "errors" {
  address = "http://127.0.0.1:9090"
  query   = "sum(rate(errors[10s]))"
}
steady_state "checkout" {
  objective "available" {
    probe  = probe.http.checkout
    good   = sample.ok
    target = 0.99
  }
}
guard "regional" {
  probe = probe.http.regional["eu"]
  good  = sample.ok
}
guard "errors" {
  probe = probe.prometheus.errors
  good  = sample.value < 0.1
}
target "docker_container" "web" {
  match { label = { app = "web" } }
}
target "process" "worker" {
  match { name = "worker" }
}
experiment "base" {
  steady_state = [steady_state.checkout]
  fault "docker_kill" "web" {
    target   = target.docker_container.web
    duration = "20s"
  }
  fault "process_pause" "worker" {
    target   = target.process.worker
    duration = "20s"
  }
}
`

// TestDiagnostics loads each case of the golden files (NAME.hcl) and compares what
// is said with NAME.want. `go test -run Diagnostics -update` writes them.
func TestDiagnostics(t *testing.T) {
	if s := mustLoad(t, prelude, Options{}); len(s.Experiments) != 1 {
		t.Fatal("the prelude does not load")
	}
	files, err := filepath.Glob("testdata/diagnostics/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("golden files: %v, %d found", err, len(files))
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			wants := map[string]string{}
			for _, f := range archive.Files {
				wants[f.Name] = string(f.Data)
			}
			out := &txtar.Archive{Comment: archive.Comment}
			for _, f := range archive.Files {
				name, isCase := strings.CutSuffix(f.Name, ".hcl")
				if !isCase {
					continue
				}
				got := written(f.Name, f.Data)
				out.Files = append(out.Files, f, txtar.File{Name: name + ".want", Data: []byte(got)})
				if *update {
					continue
				}
				t.Run(name, func(t *testing.T) {
					if want := wants[name+".want"]; got != want {
						t.Errorf("got:\n%s\nwant:\n%s", got, want)
					}
				})
			}
			if *update {
				if err := os.WriteFile(file, txtar.Format(out), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// written loads a case and returns what people would see.
func written(name string, text []byte) string {
	files := []*source{{path: name, text: text}}
	if !bytes.HasPrefix(text, []byte("# alone")) {
		files = append(files, &source{path: "prelude.hcl", text: []byte(prelude)})
	}
	_, d := load(name, files, Options{Describe: describe, Catalog: catalog})
	var b strings.Builder
	if err := d.Write(&b, 100, false); err != nil {
		return err.Error()
	}
	if b.Len() == 0 {
		return "nothing\n"
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

func TestDiagnosticsForPrograms(t *testing.T) {
	_, d := loadText("scenario \"x\" {\n  titel = \"a\"\n}\n", Options{})
	all := d.All()
	if len(all) != 1 || all[0].File != "test.hcl" || all[0].Line != 2 || all[0].Column != 3 || all[0].Severity != "error" {
		t.Errorf("%+v", all)
	}
	if want := `test.hcl:2:3: Unknown argument: There is no argument "titel" in a scenario block. Did you mean "title"?`; d.Error() != want {
		t.Errorf("Error() = %s", d.Error())
	}
	_, none := loadText(prelude, Options{})
	if text, err := json.Marshal(none.All()); err != nil || string(text) != "[]" {
		t.Errorf("no diagnostics: %s, %v", text, err)
	}
}

func TestWriteColor(t *testing.T) {
	_, d := loadText("scenario \"x\" {\n\ttitel = \"ä\"\n}\n", Options{})
	var b strings.Builder
	if err := d.Write(&b, 40, true); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\x1b[1;31mError\x1b[0m", "\x1b[4;31mtitel\x1b[0m", "      \t\x1b[31m^^^^^\x1b[0m\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in\n%q", want, b.String())
		}
	}
	for _, line := range strings.Split(b.String(), "\n") {
		if strings.HasPrefix(line, "  There") && len(line) > 40 {
			t.Errorf("line longer than 40: %q", line)
		}
	}
}
