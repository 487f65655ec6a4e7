package reference

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/faultline-go/faultline/sdk/schema"
)

var update = flag.Bool("update", false, "write the golden files")

func lamps() *schema.Description {
	least, kilo := 0.5, 1024.0
	return &schema.Description{
		Format: schema.Version, Name: "lamp", Version: "1.2.0", Doc: "Street lamps.",
		Settings: schema.Body{Attributes: []schema.Attribute{{Name: "token", Type: "string", Doc: "Opens the cabinet.", Sensitive: true}}},
		Faults: []schema.Fault{{
			Type: "lamp_off", Doc: "Switches a lamp off. It stays warm.", Reversibility: schema.SelfHealing, Hold: schema.HoldKernel,
			Accepts: []schema.Accept{{Interface: "lamp"}, {Interface: "switch"}}, Requires: []string{"root"},
			Config: schema.Body{
				Attributes: []schema.Attribute{
					{Name: "after", Type: "duration", Default: "1s", Min: &least},
					{Name: "way", Type: "string", Required: true, Enum: []string{"cut", "dim|slowly"}, Doc: "How: with a | in it."},
					{Name: "size", Type: "size", Min: &kilo, Max: &kilo, Doc: "How large."},
					{Name: "share", Type: "amount", Deprecated: "use size"},
					{Name: "rate", Type: "rate", Max: &kilo},
					{Name: "free", Type: "number", Unit: "percent", Example: 20.0},
					{Name: "ports", Type: "list(number)", Whole: true, MinItems: 1, MaxItems: 3, Unit: "ports"},
					{Name: "form", Type: "string", Pattern: "[a-z]+"},
				},
				Blocks: []schema.Block{{Name: "again", Max: 1, Doc: "Once more.", Body: schema.Body{Attributes: []schema.Attribute{{Name: "times", Type: "number"}}}}, {Name: "bulb", Label: "NAME", Min: 1, Max: 4, Body: schema.Body{Rules: []schema.Rule{{Kind: schema.Together, Of: []string{"watt", "volt"}}}, Attributes: []schema.Attribute{{Name: "watt", Type: "number", Required: true}, {Name: "volt", Type: "number"}}}}},
				Rules:  []schema.Rule{{Kind: schema.ExactlyOne, Of: []string{"size", "share"}}},
			},
		}},
		Probes:  []schema.Probe{{Type: "lamp", Doc: "Measures light.", Sample: []schema.Attribute{{Name: "lux", Type: "number", Doc: "light"}}}},
		Targets: []schema.Target{{Type: "lamp", Doc: "A lamp.", Interfaces: []string{"lamp"}, Attributes: []schema.Attribute{{Name: "street", Type: "string", Doc: "where"}}}},
	}
}

func TestRendering(t *testing.T) {
	var page, index, list, text strings.Builder
	for _, err := range []error{
		Page(&page, lamps()), Index(&index, []*schema.Description{lamps()}), List(&list, lamps()),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, x := range Types(lamps(), "lamp") {
		x.Text(&text)
	}
	Types(lamps(), "lamp_off")[0].Text(&text)
	for name, got := range map[string]string{"page.md": page.String(), "index.md": index.String(), "list.txt": list.String(), "types.txt": text.String()} {
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
	}
	if none := Types(lamps(), "lamp_on"); len(none) != 0 {
		t.Errorf("a type that is not there: %+v", none)
	}
}
