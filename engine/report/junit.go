package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/faultline-go/faultline/engine/judge"
)

// JUnitOptions say how a CI server is to see what is neither held nor broken.
type JUnitOptions struct {
	Strict bool   // as a failure; else as skipped
	Places Places // what a case's file is, from the root of the repository
}

// JUnit writes the run as a JUnit XML file: a suite for the scenario, a case for
// each experiment. Broken is a failure; errored and anything not put back is an
// error; what could not be concluded is skipped, or a failure when strict; what was not
// due is always skipped. What went wrong with the run as a whole is a case of its own,
// named "run".
//
// The form is that of Jenkins' junit-10.xsd, and the attribute "file" of a case, which
// GitLab shows as a link. What XML cannot say is left out.
func JUnit(w io.Writer, r *judge.Result, o JUnitOptions) error {
	suite := testSuite{
		Name: clean(first(r.Run.Scenario.Name, r.Run.ID)), ID: r.Run.ID, Time: junitSeconds(r.Run.Duration),
		Timestamp: r.Run.Started.UTC().Format("2006-01-02T15:04:05"), Hostname: r.Run.Engine.Host,
		Properties: &properties{[]property{
			{"run", r.Run.ID}, {"verdict", string(r.Verdict)}, {"seed", fmt.Sprint(r.Run.Seed)}, {"plan_hash", r.Run.PlanHash},
		}},
	}
	for _, p := range []property{
		{"title", r.Run.Scenario.Title}, {"owner", r.Run.Scenario.Owner}, {"environment", r.Run.Scenario.Environment},
		{"runbook", r.Run.Scenario.Runbook}, {"git_commit", r.Run.Scenario.GitCommit},
	} {
		if p.Value != "" {
			suite.Properties.All = append(suite.Properties.All, property{p.Name, clean(p.Value)})
		}
	}
	for _, text := range unchecked(r) {
		suite.Properties.All = append(suite.Properties.All, property{"warning", clean(text)})
	}
	for i := range r.Experiments {
		suite.add(experimentCase(suite.Name, &r.Experiments[i], o))
	}
	if c, ok := runCase(suite.Name, r, o); ok {
		suite.add(c)
	}
	doc := testSuites{
		Name: "faultline", Tests: suite.Tests, Failures: suite.Failures, Errors: suite.Errors,
		Time: suite.Time, Suites: []testSuite{suite},
	}
	return writeJUnit(w, doc)
}

func writeJUnit(w io.Writer, doc testSuites) error {
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(doc); err != nil {
		return fmt.Errorf("write JUnit XML: %w", err)
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func experimentCase(suite string, e *judge.Experiment, o JUnitOptions) testCase {
	c := testCase{Name: clean(e.Name), Class: suite, Time: "0.000"}
	if file, _, ok := o.Places.of(firstPlace(e)); ok {
		c.File = clean(file)
	}
	if e.Started != nil && e.Ended != nil {
		c.Time = junitSeconds(e.Ended.Sub(*e.Started).Seconds())
	}
	var text strings.Builder
	text.WriteString(clean(Sentence(e)))
	text.WriteByte('\n')
	for _, r := range e.Reasons {
		fmt.Fprintf(&text, "%s: %s\n", word(r.Verdict), clean(r.Text))
	}
	p := &problem{Message: clean(Sentence(e)), Type: string(e.Verdict), Text: text.String()}
	switch {
	case e.Residue:
		p.Type = string(judge.Residue)
		c.Error = p
	case e.Verdict == judge.Errored:
		c.Error = p
	case e.Verdict == judge.Broken:
		c.Failure = p
	case e.Verdict == judge.Held:
		c.Out = &output{text.String()}
	case o.Strict && e.Verdict != judge.NotDue:
		c.Failure = p
	default:
		c.Skipped = &skipped{Message: p.Message}
		c.Out = &output{text.String()}
	}
	return c
}

// runCase is what is wrong with the run beyond its experiments.
func runCase(suite string, r *judge.Result, o JUnitOptions) (testCase, bool) {
	var lines []string
	for _, reason := range r.Reasons {
		lines = append(lines, clean(reason.Text))
	}
	for _, l := range r.Residue {
		lines = append(lines, clean(fmt.Sprintf("%s at %s: %s; try again with: %s", first(l.Fault, l.Plugin, "something"), l.Target, l.Why, l.Retry)))
	}
	c := testCase{Name: "run", Class: suite, Time: junitSeconds(r.Run.Duration)}
	if len(lines) == 0 {
		return c, false
	}
	p := &problem{Message: capital(lines[0]), Type: string(r.Verdict), Text: strings.Join(lines, "\n")}
	switch r.Verdict {
	case judge.Residue, judge.Errored:
		c.Error = p
	case judge.Held, judge.Broken: // the experiments say it
		return c, false
	default:
		if o.Strict {
			c.Failure = p
		} else {
			c.Skipped = &skipped{Message: p.Message}
		}
	}
	return c, true
}

// junitSeconds is a time as JUnit writes it.
func junitSeconds(s float64) string { return fmt.Sprintf("%.3f", max(s, 0)) }

type testSuites struct {
	XMLName  xml.Name    `xml:"testsuites"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Time     string      `xml:"time,attr"`
	Suites   []testSuite `xml:"testsuite"`
}

type testSuite struct {
	Name       string      `xml:"name,attr"`
	ID         string      `xml:"id,attr"`
	Tests      int         `xml:"tests,attr"`
	Failures   int         `xml:"failures,attr"`
	Errors     int         `xml:"errors,attr"`
	Skipped    int         `xml:"skipped,attr"`
	Time       string      `xml:"time,attr"`
	Timestamp  string      `xml:"timestamp,attr"`
	Hostname   string      `xml:"hostname,attr,omitempty"`
	Properties *properties `xml:"properties,omitempty"`
	Cases      []testCase  `xml:"testcase"`
}

func (s *testSuite) add(c testCase) {
	s.Cases = append(s.Cases, c)
	s.Tests++
	switch {
	case c.Error != nil:
		s.Errors++
	case c.Failure != nil:
		s.Failures++
	case c.Skipped != nil:
		s.Skipped++
	}
}

type properties struct {
	All []property `xml:"property"`
}

type property struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type testCase struct {
	Name    string   `xml:"name,attr"`
	Class   string   `xml:"classname,attr"`
	Time    string   `xml:"time,attr"`
	File    string   `xml:"file,attr,omitempty"`
	Skipped *skipped `xml:"skipped,omitempty"`
	Error   *problem `xml:"error,omitempty"`
	Failure *problem `xml:"failure,omitempty"`
	Out     *output  `xml:"system-out,omitempty"`
}

type skipped struct {
	Message string `xml:"message,attr"`
}

type problem struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

type output struct {
	Text string `xml:",chardata"`
}
