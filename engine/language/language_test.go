package language

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/faultline-go/faultline/engine/report/schema/schematest"
	"github.com/faultline-go/faultline/sdk/schema"
)

var update = flag.Bool("update", false, "write docs/language.md anew")

// The page in docs is the one that is made now.
func TestPage(t *testing.T) {
	var got strings.Builder
	if err := Page(&got); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("..", "..", "docs", "language.md")
	if *update {
		if err := os.WriteFile(path, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || got.String() != string(want) {
		t.Errorf("docs/language.md is not that of the tables, %v: write it anew with `go test ./engine/language -update`", err)
	}
}

// What is printed follows the JSON Schema that is published for it.
func TestDocumentFollowsItsSchema(t *testing.T) {
	least := 1.0
	d := Describe("1.2.3", []string{"lose-one"}, []Plugin{
		{Name: "gone", Error: "it is not there"},
		{Name: "lamp", SHA256: "aa", Description: &schema.Description{
			Format: 1, Name: "lamp", Version: "0.1.0", Doc: "Lamps.",
			Settings: schema.Body{
				Attributes: []schema.Attribute{
					{Name: "a", Type: "size", Min: &least, Max: &least, Example: "64MiB", Sensitive: true},
					{Name: "b", Type: "list(number)", Whole: true, MinItems: 1, MaxItems: 2, Unit: "lux", Deprecated: "use a"},
					{Name: "c", Type: "string", Pattern: "x", Enum: []string{"x"}, Default: "x", Required: true},
				},
				Blocks: []schema.Block{{Name: "k", Label: "NAME", Min: 1, Max: 2}},
				Rules:  []schema.Rule{{Kind: schema.Together, Of: []string{"a", "b"}}},
			},
			Faults:  []schema.Fault{{Type: "lamp_off", Accepts: []schema.Accept{{Interface: "lamp", Attributes: []string{"x"}}}, Hold: schema.HoldKernel, Reversibility: schema.Reversible, Requires: []string{"root"}, SettleMS: 1, Example: "a = 1"}},
			Probes:  []schema.Probe{{Type: "lamp", Sample: []schema.Attribute{{Name: "lux", Type: "number"}}, Example: "a = 1"}},
			Actions: []schema.Action{{Type: "lamp", Example: "a = 1"}},
			Targets: []schema.Target{{Type: "lamp", Interfaces: []string{"lamp"}, Example: "a = 1"}},
		}},
	})
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	schematest.Check(t, schematest.Strict(t, "language"), text)
}
