package quickstart_test

import (
	"io/fs"
	"slices"
	"testing"

	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/faultline-go/faultline/scenarios"
)

// The engine's own tests load the scenario; here only what the two sides of this
// folder owe each other: a value for every variable, and no others.
func TestVariablesMatchTheScenario(t *testing.T) {
	var declared []string
	parser := hclparse.NewParser()
	files, err := fs.Glob(scenarios.Quickstart(), "*.hcl")
	if err != nil || len(files) == 0 {
		t.Fatalf("embedded scenario files: %q, %v", files, err)
	}
	for _, name := range files {
		text, err := fs.ReadFile(scenarios.Quickstart(), name)
		if err != nil {
			t.Fatal(err)
		}
		file, problems := parser.ParseHCL(text, name)
		if problems.HasErrors() {
			t.Fatal(problems)
		}
		for _, block := range file.Body.(*hclsyntax.Body).Blocks {
			if block.Type == "variable" {
				declared = append(declared, block.Labels[0])
			}
		}
	}

	var given []string
	for name, value := range startShop(t, true).Variables() {
		given = append(given, name)
		if value == "" {
			t.Errorf("variable %s has no value", name)
		}
	}
	slices.Sort(declared)
	slices.Sort(given)
	if !slices.Equal(declared, given) {
		t.Errorf("the scenario declares %q, the shop gives %q", declared, given)
	}
}
