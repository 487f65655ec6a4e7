package plan

import (
	"strings"
	"testing"

	"github.com/faultline-go/faultline/sdk/schema"
)

func TestAPlanShowsWhatItNeeds(t *testing.T) {
	p, err := Build(t.Context(), gameDay(), &lamps{found: fleet(3), may: []schema.Capability{schema.CapRoot, schema.CapDocker}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := p.Show(&b); err != nil {
		t.Fatal(err)
	}
	want := `
capabilities
  docker: commands a Docker engine, which is as good as being root on its
    machine (lamp_off.one)
  root: acts as root on the machine that faultline runs on, for some of its
    targets (lamp_off.one)
`
	if !strings.HasSuffix(b.String(), want) {
		t.Errorf("shown:\n%s", b.String())
	}
	raw, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if saved, err := Decode(raw); err != nil || len(saved.Capabilities) != 2 {
		t.Errorf("saved: %+v, %v", saved, err)
	}
	again, err := Build(t.Context(), gameDay(), &lamps{found: fleet(3), may: []schema.Capability{schema.CapRoot}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if Drift(p, again) == "" {
		t.Error("a plan whose plugin needs less, or more, than was reviewed has not drifted")
	}
}
