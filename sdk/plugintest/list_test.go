package plugintest

import (
	"slices"
	"testing"
)

func TestEveryPromiseIsListed(t *testing.T) {
	k := new(kit)
	done := []string{descriptionComplete}
	for _, c := range slices.Concat(k.reversible(), k.irreversible()) {
		done = append(done, c.name)
	}
	var listed []string
	for _, p := range Promises() {
		if p.Doc == "" || slices.Contains(listed, p.Name) {
			t.Errorf("promise %q is listed twice, or says nothing", p.Name)
		}
		listed = append(listed, p.Name)
		if !slices.Contains(done, p.Name) {
			t.Errorf("nothing looks at %q", p.Name)
		}
	}
	for _, name := range done {
		if !slices.Contains(listed, name) {
			t.Errorf("promise %q is not listed", name)
		}
	}
}
