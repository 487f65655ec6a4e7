package scaffold

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/faultline-go/faultline/internal/programs"
)

// The game day that comes with a new plugin works at once.
func TestItsGameDay(t *testing.T) {
	checkout, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir, bin := filepath.Join(t.TempDir(), "tide"), t.TempDir()
	if err := programs.Put(bin, "faultline"); err != nil {
		t.Fatal(err)
	}
	if _, err := Write(dir, Options{Name: "tide", SDK: "v0.0.0", Checkout: checkout, Go: "1.26"}); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "config.hcl")
	overrides := "dev_overrides {\n  tide = \"" + filepath.Join(dir, "bin") + "\"\n}\n"
	if err := os.WriteFile(config, []byte(overrides), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(want, name string, args ...string) {
		t.Helper()
		c := exec.Command(name, args...)
		c.Dir = dir
		c.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off", "CGO_ENABLED=0",
			"FAULTLINE_CLI_CONFIG="+config, "FAULTLINE_STATE_DIR="+t.TempDir(), "XDG_CACHE_HOME="+bin)
		if name == "go" {
			c.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off", "CGO_ENABLED=0")
		}
		out, err := c.CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Fatalf("%s %s: %v, want %q\n%s", name, strings.Join(args, " "), err, want, out)
		}
	}
	run("", "go", "mod", "tidy")
	run("", "go", "build", "-trimpath", "-o", "bin/faultline-plugin-tide", ".")
	faultline := filepath.Join(bin, "faultline")
	run("default \"CLOSED\", of the form [A-Za-z]+", faultline, "docs", "tide_close", "-plugin-dir", "bin")
	run("rooms is valid", faultline, "validate", "day", "-plugin-dir", "bin")
	run("HELD", faultline, "run", "day", "-plugin-dir", "bin", "-auto-approve")
}
