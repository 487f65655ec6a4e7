package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"
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
		"markdown":    {func(w io.Writer) error { return Markdown(w, r) }, "> Plugin lamp was not checked"},
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

// That a plugin was not checked is said in every report, and once in each.
func TestUncheckedIsSaidOnce(t *testing.T) {
	r := result(held())
	r.Run.Plugins = []judge.Plugin{{Name: "lamp", Trust: trust.Insecure}, {Name: "docker", Trust: trust.BuiltIn}}
	r.Warnings = []judge.Warning{{Text: trust.Insecure.Note("lamp")}, {Text: "something was left over"}}
	for name, write := range map[string]func(*strings.Builder) error{
		"terminal": func(b *strings.Builder) error { return Terminal(b, r, Options{Width: 200}) },
		"markdown": func(b *strings.Builder) error { return Markdown(b, r) },
		"github":   func(b *strings.Builder) error { return GitHub(b, r, nil) },
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

// However much else there is to say, that plugins were not checked is not left out.
func TestUncheckedIsNeverLeftOut(t *testing.T) {
	r := result()
	for i := range 30 {
		r.Residue = append(r.Residue, judge.LeftBehind{Fault: fmt.Sprintf("docker_kill.%d", i), Target: "web", Why: "gone", Retry: "faultline recover x"})
		r.Experiments = append(r.Experiments, open(fmt.Sprintf("e%d", i), judge.Broken, "it fell over"))
		r.Run.Plugins = append(r.Run.Plugins, judge.Plugin{Name: fmt.Sprintf("lamp%d", i), Trust: trust.Override})
	}
	all := commands(t, write(t, func(w io.Writer) error { return GitHub(w, r, nil) }))
	if len(all) != mostAnnotations || all[0][0] != "warning" {
		t.Errorf("%d annotations, the first %q", len(all), all[0])
	}
	page := write(t, func(w io.Writer) error { return MarkdownUpTo(w, r, 8000) })
	if !bytes.Contains(page, []byte("Left out:")) {
		t.Errorf("nothing had to be left out of\n%s", page)
	}
	for i, p := range r.Run.Plugins {
		note := capital(p.Trust.Note(p.Name))
		if !strings.Contains(all[0][4], note) {
			t.Errorf("the annotations do not say that plugin %d was not checked: %q", i, all[0][4])
		}
		if !bytes.Contains(page, []byte(escapeMarkdown(note))) {
			t.Errorf("the page does not say that plugin %d was not checked", i)
		}
	}
}
