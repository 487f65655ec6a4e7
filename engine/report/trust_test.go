package report

import (
	"bytes"
	"io"
	"testing"

	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/engine/trust"
)

// Nobody may take a run for checked because of the format in which they read about it.
func TestUncheckedPluginsStandInEveryReport(t *testing.T) {
	r := result(held())
	r.Run.Plugins = []judge.Plugin{{Name: "docker", Trust: trust.BuiltIn}, {Name: "old"}, {Name: "lamp", Trust: trust.Insecure}}
	r.Warnings = append(r.Warnings, judge.Warning{Text: trust.Insecure.Note("lamp")}) // as package judge does
	for name, c := range map[string]struct {
		write func(io.Writer) error
		want  string
	}{
		"terminal":    {func(w io.Writer) error { return Terminal(w, r, Options{}) }, "! Plugin lamp was not checked"},
		"html":        {func(w io.Writer) error { return HTML(w, r, nil) }, "Plugin lamp was not checked"},
		"markdown":    {func(w io.Writer) error { return Markdown(w, r) }, "plugin lamp was not checked"},
		"postmortem":  {func(w io.Writer) error { return Postmortem(w, r) }, "plugin lamp was not checked"},
		"github":      {func(w io.Writer) error { return GitHub(w, r, PlacesOf(&r.Run, repository)) }, "Plugin lamp was not checked"},
		"json":        {func(w io.Writer) error { return JSON(w, r) }, `"trust": "insecure"`},
		"junit":       {func(w io.Writer) error { return JUnit(w, r, JUnitOptions{}) }, `<property name="warning" value="Plugin lamp was not checked`},
		"openmetrics": {func(w io.Writer) error { return OpenMetrics(w, r) }, `faultline_run_unchecked_plugins{scenario="checkout"} 1`},
	} {
		got := write(t, c.write)
		if !bytes.Contains(got, []byte(c.want)) {
			t.Errorf("%s does not say %q:\n%s", name, c.want, got)
		}
		if n := bytes.Count(got, []byte("old was not checked")) + bytes.Count(got, []byte("docker was not checked")); n > 0 {
			t.Errorf("%s says so of a plugin of an older journal, or of one that was checked", name)
		}
	}
}
