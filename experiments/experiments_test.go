package experiments_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/faultline-go/faultline/engine/scenario"
	"github.com/faultline-go/faultline/experiments"
	"github.com/faultline-go/faultline/sdk/schema"
)

// describe asks the real plugin, which is built for it.
var describe = func() func(name string) (*schema.Description, error) {
	var mu sync.Mutex
	known := map[string]*schema.Description{}
	return func(name string) (*schema.Description, error) {
		mu.Lock()
		defer mu.Unlock()
		if d := known[name]; d != nil {
			return d, nil
		}
		cmd := exec.Command("go", "run", "./plugins/"+name, "-describe")
		cmd.Dir = ".."
		out, err := cmd.Output()
		if err != nil {
			return nil, err
		}
		d := new(schema.Description)
		known[name] = d
		return d, json.Unmarshal(out, d)
	}
}()

// values are what a user would set.
var values = map[string]string{
	"url":    "http://127.0.0.1:8080/",
	"labels": `{ app = "web" }`,
}

func TestEveryExperimentLoads(t *testing.T) {
	names := experiments.Names()
	if len(names) == 0 {
		t.Fatal("the catalogue is empty")
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			raw, err := experiments.Read(name)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), name+".hcl")
			if err := os.WriteFile(path, raw, 0o600); err != nil {
				t.Fatal(err)
			}
			s, diags := scenario.Load(path, scenario.Options{Vars: values, Describe: describe})
			if n := len(diags.All()); n > 0 {
				var b strings.Builder
				_ = diags.Write(&b, 0, false)
				t.Fatalf("%d diagnostics:\n%s", n, b.String())
			}
			if s.Name != name {
				t.Errorf("scenario is called %q, its place in the catalogue %q", s.Name, name)
			}
			if !s.Limits.Set || s.Limits.MaxTargets == 0 {
				t.Error("it does not limit how many targets it touches")
			}
			formatted, _ := scenario.Format(path, raw)
			if string(formatted) != string(raw) {
				t.Error("it is not in the form of `faultline fmt`")
			}
		})
	}
}

func TestReadUnknown(t *testing.T) {
	_, err := experiments.Read("chaos-mnkey")
	if err == nil || !strings.Contains(err.Error(), "chaos-monkey") {
		t.Errorf("error %v does not list what there is", err)
	}
}
