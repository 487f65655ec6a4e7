package report

import (
	"strings"
	"testing"

	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/engine/trust"
)

// That a plugin was not checked is said in every report, and once in each.
func TestUncheckedIsSaidOnce(t *testing.T) {
	r := result(held())
	r.Run.Plugins = []judge.Plugin{{Name: "lamp", Trust: trust.Insecure}, {Name: "docker", Trust: trust.BuiltIn}}
	r.Warnings = []judge.Warning{{Text: trust.Insecure.Note("lamp")}, {Text: "something was left over"}}
	for name, write := range map[string]func(*strings.Builder) error{
		"terminal": func(b *strings.Builder) error { return Terminal(b, r, Options{Width: 200}) },
		"markdown": func(b *strings.Builder) error { return Markdown(b, r) },
	} {
		var b strings.Builder
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		text := strings.ToLower(b.String())
		if n := strings.Count(text, "plugin lamp was not checked"); n != 1 {
			t.Errorf("%s says it %d times:\n%s", name, n, &b)
		}
		if !strings.Contains(text, "something was left over") || strings.Contains(text, "docker was not checked") {
			t.Errorf("%s:\n%s", name, &b)
		}
	}
}
