package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/faultline-go/faultline/engine/judge"
)

// junitElement is what Jenkins' junit-10.xsd says of an element, as far as it is used:
// the attributes it must and may have, and what may be in it.
type junitElement struct {
	must, may, children []string
	text                bool
}

var junitSchema = map[string]junitElement{
	"testsuites": {may: []string{"name", "time", "tests", "failures", "errors"}, children: []string{"testsuite"}},
	"testsuite": {must: []string{"name", "tests", "failures", "errors"}, may: []string{"time", "skipped", "timestamp", "hostname", "id", "package", "file", "log", "url", "group"},
		children: []string{"properties", "testcase", "system-out", "system-err"}},
	"properties": {children: []string{"property"}},
	"property":   {must: []string{"name", "value"}},
	// "file" is GitLab's: the schema does not have it, the Jenkins step reads over it.
	"testcase":   {must: []string{"name"}, may: []string{"time", "classname", "group", "file"}, children: []string{"skipped", "error", "failure", "system-out", "system-err"}},
	"failure":    {may: []string{"type", "message"}, text: true},
	"error":      {may: []string{"type", "message"}, text: true},
	"skipped":    {may: []string{"type", "message"}, text: true},
	"system-out": {text: true},
}

var (
	surefireTime = regexp.MustCompile(`^(([0-9]{0,3},)*[0-9]{3}|[0-9]{0,3})*(\.[0-9]*)?$`)
	isoTime      = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$`)
)

// checkJUnit holds a file against the schema, and counts what a CI server would count
// and compares it with what the file says.
func checkJUnit(t *testing.T, file []byte) {
	t.Helper()
	count := map[string]int{}
	said := map[string]string{}
	var open []string
	d := xml.NewDecoder(bytes.NewReader(file))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, file)
		}
		switch token := token.(type) {
		case xml.CharData:
			if len(open) > 0 && !junitSchema[open[len(open)-1]].text && strings.TrimSpace(string(token)) != "" {
				t.Errorf("text in %s: %q", open[len(open)-1], token)
			}
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.StartElement:
			name := token.Name.Local
			count[name]++
			e, ok := junitSchema[name]
			if !ok || len(open) == 0 && name != "testsuites" || len(open) > 0 && !slices.Contains(junitSchema[open[len(open)-1]].children, name) {
				t.Errorf("%s in %q", name, open)
			}
			open = append(open, name)
			must := slices.Clone(e.must)
			for _, a := range token.Attr {
				said[name+"."+a.Name.Local] = a.Value
				switch i := slices.Index(must, a.Name.Local); {
				case i >= 0:
					must = slices.Delete(must, i, i+1)
				case !slices.Contains(e.may, a.Name.Local):
					t.Errorf("%s has %s", name, a.Name.Local)
				}
				if a.Name.Local == "time" && (!surefireTime.MatchString(a.Value) || a.Value == "") || a.Name.Local == "timestamp" && !isoTime.MatchString(a.Value) {
					t.Errorf("%s: %s is %q", name, a.Name.Local, a.Value)
				}
			}
			if len(must) > 0 {
				t.Errorf("%s has no %q", name, must)
			}
		}
	}
	for attr, element := range map[string]string{"tests": "testcase", "failures": "failure", "errors": "error", "skipped": "skipped"} {
		for _, suite := range []string{"testsuites", "testsuite"} {
			if got, ok := said[suite+"."+attr]; (ok || suite == "testsuite") && got != strconv.Itoa(count[element]) {
				t.Errorf("%s says %s=%q, there are %d", suite, attr, got, count[element])
			}
		}
	}
}

// Every verdict is what a CI server is to see of it.
func TestJUnitVerdicts(t *testing.T) {
	for verdict, want := range map[judge.Verdict][2]string{ // usually, and when strict
		judge.Held: {"passed", "passed"}, judge.Broken: {"failure", "failure"}, judge.Errored: {"error", "error"},
		judge.Inconclusive: {"skipped", "failure"}, judge.NotExercised: {"skipped", "failure"}, judge.NotStarted: {"skipped", "failure"},
		judge.Aborted: {"skipped", "failure"}, judge.NotDue: {"skipped", "skipped"},
	} {
		for i, strict := range []bool{false, true} {
			for _, residue := range []bool{false, true} {
				e := open("x", verdict, "because")
				e.Residue = residue
				if residue {
					want[i] = "error"
				}
				got := write(t, func(w io.Writer) error { return JUnit(w, result(e), JUnitOptions{Strict: strict}) })
				checkJUnit(t, got)
				seen := "passed"
				for _, element := range []string{"skipped", "failure", "error"} {
					if bytes.Contains(got, []byte("<"+element+" ")) {
						seen = element
					}
				}
				if seen != want[i] {
					t.Errorf("%s, strict %v, residue %v: %s, not %s", verdict, strict, residue, seen, want[i])
				}
			}
		}
	}
}

// Nothing that a name or an error may have in it spoils the file.
func TestJUnitWithoutWhatXMLCannotSay(t *testing.T) {
	bad := "a\x00b\x0b\ufffe\uffff\xff]]><&\"'\r\n\u0085é日"
	e := open(bad, judge.Errored, bad)
	e.Hypothesis = bad
	r := result(e)
	r.Run.Scenario.Name, r.Run.Scenario.Title, r.Run.Error = bad, bad, bad
	r.Residue = []judge.LeftBehind{{Target: bad, Why: bad, Retry: bad}}
	r.Verdict = judge.Residue
	got := write(t, func(w io.Writer) error { return JUnit(w, r, JUnitOptions{}) })
	checkJUnit(t, got)
	for _, c := range []string{"\x00", "\x0b", "\ufffe", "\uffff"} {
		if bytes.Contains(got, []byte(c)) {
			t.Errorf("%q is in the file", c)
		}
	}
	if !bytes.Contains(got, []byte("é日")) {
		t.Error("what XML can say is gone")
	}
}
