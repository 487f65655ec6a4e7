package scenario

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/zclconf/go-cty/cty"
)

func TestSurvey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "day.hcl")
	text := `scenario "day" { title = var.title }
variable "title" { type = string }
variable "many" { type = map(list(number)) }
variable "one" { type = object({ name = string, on = bool, pair = tuple([number, any]), set = set(string) }) }
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	given := map[string]string{"nobody": "x"}
	if _, diags := Load(path, Options{Vars: given}); !diags.HasErrors() {
		t.Error("a scenario without values is as good as one with them")
	}
	s, diags := Load(path, Options{Vars: given, Survey: true})
	// Without an experiment there is always one error; there must be no other.
	if errors, _ := diags.Counts(); errors > 1 || s != nil && s.Title != "1s" {
		t.Errorf("%v", diags)
	}
	for want, typ := range map[string]cty.Type{
		"cty.NumberIntVal(1)": cty.Number, "cty.False": cty.Bool, `cty.StringVal("1s")`: cty.DynamicPseudoType,
		"cty.SetValEmpty(cty.String)": cty.Set(cty.String), "cty.MapValEmpty(cty.Bool)": cty.Map(cty.Bool),
		`cty.TupleVal([]cty.Value{cty.NumberIntVal(1), cty.StringVal("1s")})`: cty.Tuple([]cty.Type{cty.Number, cty.String}),
	} {
		if got := standIn(typ).GoString(); got != want {
			t.Errorf("%s stands in for %s, want %s", got, typ.FriendlyName(), want)
		}
	}
}
