package report

import (
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
)

// placed is everything, with places in two files of a scenario.
func placed() *judge.Result {
	r := everything()
	r.Run.Scenario.Source = "game days/shop"
	r.Run.Sources = []journal.Source{{Path: "shop.hcl"}, {Path: "100%, a:b.hcl"}, {Path: "more.hcl"}}
	r.Experiments[0].Place = "shop.hcl:10"
	r.Experiments[0].Objectives[1].Place = "shop.hcl:4"
	r.Experiments[0].Faults[1].Place = "more.hcl:7"
	r.Experiments[1].Place = "elsewhere.hcl:1"
	r.Residue[0].Experiment, r.Residue[0].FaultID = r.Experiments[0].Name, "f1"
	r.Experiments[0].Faults[0].ID = "f0"
	return r
}

func repository(path string) string { return "repo/" + filepath.ToSlash(path) }

var workflowCommand = regexp.MustCompile(`^::(error|warning|notice) (?:file=([^,:]+),line=(\d+),)?title=([^,:]+)::(\S.*)$`)

// commands reads annotations as GitHub's runner does.
func commands(t *testing.T, text []byte) (out [][]string) {
	t.Helper()
	back := strings.NewReplacer("%0A", "\n", "%0D", "\r", "%3A", ":", "%2C", ",", "%25", "%")
	for _, l := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		m := workflowCommand.FindStringSubmatch(l)
		if m == nil {
			t.Fatalf("no workflow command: %q", l)
		}
		for i := range m {
			m[i] = back.Replace(m[i])
		}
		out = append(out, m[1:])
	}
	return out
}

func TestGitHub(t *testing.T) {
	r := placed()
	got := write(t, func(w io.Writer) error { return GitHub(w, r, PlacesOf(&r.Run, repository)) })
	golden(t, "github", got)
	all := commands(t, got)
	if len(all) != 10 {
		t.Errorf("%d annotations", len(all))
	}
	if a := all[0]; a[0] != "error" || a[1] != "repo/game days/shop/more.hcl" || a[2] != "7" || !strings.Contains(a[4], "faultline recover") {
		t.Errorf("first comes %q", a)
	}
	if a := all[1]; a[1] != "repo/game days/shop/shop.hcl" || a[2] != "4" {
		t.Errorf("the broken objective is at %q", a)
	}
	for i, a := range all[1:] {
		if order := "error warning notice"; strings.Index(order, a[0]) < strings.Index(order, all[i][0]) {
			t.Errorf("%s comes after %s", a[0], all[i][0])
		}
	}
	// Without places, and without anything to say.
	for _, a := range commands(t, write(t, func(w io.Writer) error { return GitHub(w, r, nil) })) {
		if a[1] != "" {
			t.Errorf("a file from nowhere: %q", a)
		}
	}
	if a := commands(t, write(t, func(w io.Writer) error { return GitHub(w, result(held()), nil) })); len(a) != 1 || a[0][0] != "notice" {
		t.Errorf("a run that held: %q", a)
	}
}

func TestGitHubSaysWhatIsMissingAndEscapes(t *testing.T) {
	r := result()
	for i := range 25 {
		e := open(fmt.Sprintf("e%d: a,b 100%%\n::error::x", i), judge.Inconclusive, "x\r\n::set-output name=a::b\x1b[0m"+strings.Repeat("long ", 2000))
		r.Experiments = append(r.Experiments, e)
	}
	got := write(t, func(w io.Writer) error { return GitHub(w, r, nil) })
	all := commands(t, got)
	if len(all) != 10 || !strings.HasSuffix(all[9][4], "Not shown here: 15 more; the report has them all.") {
		t.Errorf("%d annotations, the last %q", len(all), all[len(all)-1][4])
	}
	for _, a := range all {
		if !strings.HasPrefix(a[3], "e") || !strings.Contains(a[3], ": a,b 100% ::error::x: inconclusive") || strings.ContainsRune(a[4], 0x1b) {
			t.Errorf("%q", a)
		}
		if runes(a[4]) > longestMessage+50 {
			t.Errorf("%d runes", runes(a[4]))
		}
	}
}

func TestPlaces(t *testing.T) {
	run := func(source string, files ...string) *judge.Run {
		r := &judge.Run{Scenario: journal.Scenario{Source: source}}
		for _, f := range files {
			r.Sources = append(r.Sources, journal.Source{Path: f})
		}
		return r
	}
	for _, tc := range []struct {
		run   *judge.Run
		place string
		want  string
	}{
		{run("days", "a.hcl", "b.hcl"), "b.hcl:3", "days/b.hcl 3"},
		{run("./days/", "a.hcl"), "a.hcl:3", "days/a.hcl 3"},
		{run(".", "a.hcl"), "a.hcl:1", "a.hcl 1"},
		{run("days/a.hcl", "a.hcl"), "a.hcl:3", "days/a.hcl 3"},
		{run("/abs/a.hcl", "a.hcl"), "a.hcl:3", "/abs/a.hcl 3"},
		{run("days", "a.hcl"), "c.hcl:3", ""},
		{run("days", "a.hcl"), "a.hcl", ""},
		{run("days", "a.hcl"), "a.hcl:0", ""},
		{run("days", "catalog:x/a.hcl"), "catalog:x/a.hcl:3", ""},
		{run("", "a.hcl"), "a.hcl:3", ""},
		{run("days", "a.hcl"), "", ""},
	} {
		got := ""
		if file, line, ok := PlacesOf(tc.run, func(p string) string { return p })(tc.place); ok {
			got = fmt.Sprintf("%s %d", file, line)
		}
		if got != tc.want {
			t.Errorf("%q of %+v is %q, not %q", tc.place, tc.run, got, tc.want)
		}
	}
}
