package scaffold

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// As its author has it: written, and at once tested with Go's own commands.
func TestANewPluginPassesItsTests(t *testing.T) {
	dir, files := newPlugin(t)
	for _, name := range files {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte(original)) {
			t.Errorf("%s still speaks of %s", name, original)
		}
	}
	sh := func(name string, args ...string) string {
		t.Helper()
		return command(t, dir, nil, name, args...)
	}
	sh("go", "vet", "./...")
	if out := sh("go", "test", "-v", "./..."); !strings.Contains(out, "--- PASS: TestClose/crash_during_inject") {
		t.Errorf("the kit did not run:\n%s", out)
	}
	if unformatted := sh("gofmt", "-l", "."); unformatted != "" {
		t.Errorf("not gofmt-ed: %s", unformatted)
	}
}

// newPlugin writes the plugin tide, which uses the SDK of this checkout.
func newPlugin(t *testing.T) (dir string, files []string) {
	t.Helper()
	checkout, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(t.TempDir(), "faultline-plugin-tide")
	if files, err = Write(dir, Options{Name: "tide", SDK: "v0.0.0", Checkout: checkout, Go: "1.26"}); err != nil {
		t.Fatal(err)
	}
	command(t, dir, nil, "go", "mod", "tidy")
	return dir, files
}

func command(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	c := exec.Command(name, args...)
	c.Dir = dir
	c.Env = append(append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off", "CGO_ENABLED=0"), env...)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// A minimal fault takes less than 40 lines of its author's: what is neither blank nor a
// comment, nor says which packages are used.
func TestAFaultIsShort(t *testing.T) {
	text, err := templates.ReadFile("plugin/fault.go")
	if err != nil {
		t.Fatal(err)
	}
	_, body, ok := strings.Cut(string(text), "\n)\n")
	if !ok {
		t.Fatal("fault.go has no imports")
	}
	n := 0
	for lines := bufio.NewScanner(strings.NewReader(body)); lines.Scan(); {
		if l := strings.TrimSpace(lines.Text()); l != "" && !strings.HasPrefix(l, "//") {
			n++
		}
	}
	if n >= 40 {
		t.Errorf("%d lines, want less than 40", n)
	}
	t.Logf("%d lines", n)
}

func TestWhatIsRefused(t *testing.T) {
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Write(full, Options{Name: "tide"}); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("into a folder with something in it: %v", err)
	}
	for _, name := range []string{"", "Tide", "my-plugin", "1tide", "a/b"} {
		if _, err := Write(filepath.Join(t.TempDir(), "x"), Options{Name: name}); err == nil {
			t.Errorf("the name %q was taken", name)
		}
	}
}
