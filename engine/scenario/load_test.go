package scenario

import (
	"strings"
	"testing"
)

// loadText loads a scenario that is one text, called test.hcl.
func loadText(text string, opts Options) (*Scenario, *Diagnostics) {
	if opts.Describe == nil {
		opts.Describe = describe
	}
	return load("test.hcl", []*source{{path: "test.hcl", text: []byte(text)}}, opts)
}

func mustLoad(t testing.TB, text string, opts Options) *Scenario {
	t.Helper()
	s, d := loadText(text, opts)
	if d.HasErrors() {
		var b strings.Builder
		_ = d.Write(&b, 0, false)
		t.Fatalf("load:\n%s", b.String())
	}
	return s
}

func TestStarter(t *testing.T) {
	s := mustLoad(t, string(Starter("my shop")), Options{})
	if s.Name != "my-shop" {
		t.Errorf("name %q", s.Name)
	}
	t.Logf("%s", s.Experiments[0].Steps[0].Config.Full)
}
