package engine_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/faultline-go/faultline/"

// mayImport says which of our packages each room of the engine may import. Rooms that
// come later in the flow may use the types of earlier ones, never the other way round;
// run and plan use of judge what decides when to stop and how much is enough.
var mayImport = map[string][]string{
	"engine":             {},
	"engine/scenario":    {"engine/install/address", "engine/trust", "sdk/schema"},
	"engine/language":    {"engine/scenario", "sdk/schema"},
	"engine/plan":        {"engine/scenario", "engine/judge", "engine/journal", "sdk/schema", "sdk/wire"},
	"engine/run":         {"engine/plan", "engine/scenario", "engine/judge", "engine/journal", "sdk/schema", "sdk/wire"},
	"engine/durable":     {},
	"engine/journal":     {"engine/durable", "sdk/arbiter"},
	"engine/judge":       {"engine/journal", "engine/trust"},
	"engine/report":      {"engine/conformance", "engine/coverage", "engine/judge", "engine/journal", "engine/readiness", "engine/trust"},
	"engine/history":     {"engine/judge", "engine/journal"},
	"engine/coverage":    {"engine/scenario", "engine/history", "engine/judge", "sdk/schema"},
	"engine/host":        {"engine/durable", "engine/trust", "sdk/schema", "sdk/wire"},
	"engine/recover":     {"engine/journal", "engine/judge", "sdk/arbiter", "sdk/wire"},
	"engine/selftest":    {"engine/journal", "engine/judge", "engine/recover", "sdk/arbiter", "sdk/schema"},
	"engine/live":        {"engine/journal", "engine/judge", "engine/plan", "engine/run", "sdk/schema"},
	"engine/conformance": {"engine/host/output", "sdk/plugintest", "sdk/schema"},
	"engine/halt":        {"engine/durable"},
	"engine/readiness":   {"engine/durable", "engine/journal", "engine/judge", "engine/plan", "engine/scenario"},
	"engine/trust":       {},
	"engine/hold":        {},
	"engine/ledger":      {},
	"engine/note":        {},
	"engine/install":     {"engine/durable", "sdk/schema"},
	"engine/simulation":  {}, // tests only
}

// imports lists, for every package of the module, which others of the module its
// code (tests left out) imports, by path below the module.
func imports(t *testing.T) map[string][]string {
	t.Helper()
	cmd := exec.Command("go", "list", "-f", "{{.ImportPath}} {{join .Imports \" \"}}", "./...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("list packages: %v", err)
	}
	all := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		pkg := strings.TrimPrefix(words[0], module)
		all[pkg] = []string{}
		for _, w := range words[1:] {
			if ours, ok := strings.CutPrefix(w, module); ok {
				all[pkg] = append(all[pkg], ours)
			}
		}
	}
	return all
}

func TestImportsFollowTheFlow(t *testing.T) {
	for pkg, ours := range imports(t) {
		for _, other := range ours {
			if why := forbidden(pkg, other); why != "" {
				t.Errorf("%s imports %s: %s", pkg, other, why)
			}
		}
	}
}

// forbidden says why a package may not import another; empty when it may.
func forbidden(pkg, other string) string {
	room := func(p string) string {
		parts := strings.SplitN(p, "/", 3)
		return strings.Join(parts[:min(len(parts), 2)], "/")
	}
	switch top, _, _ := strings.Cut(pkg, "/"); top {
	case "sdk":
		if !strings.HasPrefix(other, "sdk") {
			return "the SDK stands alone"
		}
	case "engine":
		if room(pkg) == room(other) || other == "internal/lazyregexp" { // which might as well be of the standard library
			return ""
		}
		allowed, known := mayImport[room(pkg)]
		if !known {
			return "the room is not in this test's table: say what it may import"
		}
		if !slices.Contains(allowed, other) {
			return "against the flow, or not said in this test's table"
		}
	case "plugins":
		if strings.HasPrefix(other, "engine") || strings.HasPrefix(other, "cmd") {
			return "a plugin imports the SDK only"
		}
	}
	return ""
}

// The rule must be able to fail.
func TestForbidden(t *testing.T) {
	for _, c := range []struct {
		pkg, other string
		ok         bool
	}{
		{"engine/run", "engine/plan", true},
		{"engine/plan", "engine/run", false},
		{"engine/judge", "engine/report", false},
		{"engine/report", "engine/judge", true},
		{"sdk", "engine/journal", false},
		{"sdk/wire", "sdk/schema", true},
		{"plugins/http", "sdk", true},
		{"plugins/http", "engine/host", false},
		{"engine/new", "engine/judge", false},
	} {
		if got := forbidden(c.pkg, c.other) == ""; got != c.ok {
			t.Errorf("%s importing %s: allowed %t, want %t", c.pkg, c.other, got, c.ok)
		}
	}
}
