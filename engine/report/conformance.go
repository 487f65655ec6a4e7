package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/faultline-go/faultline/engine/conformance"
)

// Conformance writes which promises a plugin's faults have kept.
func Conformance(w io.Writer, all []conformance.Promise, o Options) error {
	p := &page{o: o}
	count := map[conformance.State]int{}
	g := grid{head: []string{"Fault", "Promise", "", "Took"}, right: []int{3}, wrap: 1}
	for _, x := range all {
		count[x.State]++
		g.add(x.Fault, x.Promise, string(x.State), length(x.Seconds))
	}
	head := p.paint("1;"+green, "KEPT")
	if !conformance.AllKept(all) {
		head = p.paint("1;"+red, "BROKEN")
	}
	p.line(fmt.Sprintf("%s – %s kept, %d broken, %d not looked at", head, counted(count[conformance.Kept], "promise"), count[conformance.Broken], count[conformance.Skipped]))
	p.line("")
	for _, l := range drawTable(g, p.o.width(), func(s string) string {
		switch s {
		case string(conformance.Kept):
			return p.paint(green, s)
		case string(conformance.Broken):
			return p.paint(red, s)
		}
		return s
	}) {
		p.line(l)
	}
	for _, x := range all {
		if x.State == conformance.Kept {
			continue
		}
		p.line("")
		p.line(p.bold(clean(x.Fault + ": " + x.Promise + ": " + string(x.State))))
		for _, s := range x.Said {
			p.text("  ", s)
		}
	}
	_, err := io.WriteString(w, p.b.String())
	return err
}

// ConformanceJUnit writes them as a JUnit XML file: a suite for each fault, a case for each
// promise.
func ConformanceJUnit(w io.Writer, plugin string, all []conformance.Promise) error {
	doc := testSuites{Name: "faultline plugin test"}
	var seconds []float64
	for _, x := range all {
		i := slices.IndexFunc(doc.Suites, func(s testSuite) bool { return s.Name == clean(x.Fault) })
		if i < 0 {
			i = len(doc.Suites)
			doc.Suites = append(doc.Suites, testSuite{Name: clean(x.Fault), ID: clean(plugin), Timestamp: time.Now().UTC().Format("2006-01-02T15:04:05")})
			seconds = append(seconds, 0)
		}
		c := testCase{Name: clean(x.Promise), Class: clean(plugin) + "." + clean(x.Fault), Time: junitSeconds(x.Seconds)}
		text := clean(strings.Join(x.Said, "\n"))
		switch x.State {
		case conformance.Broken:
			c.Failure = &problem{Message: "broken: " + clean(first(x.Said...)), Type: string(x.State), Text: text}
		case conformance.Skipped:
			c.Skipped = &skipped{Message: clean(first(x.Said...))}
		}
		doc.Suites[i].add(c)
		seconds[i] += x.Seconds
	}
	var sum float64
	for i := range doc.Suites {
		s := &doc.Suites[i]
		s.Time = junitSeconds(seconds[i])
		doc.Tests, doc.Failures, sum = doc.Tests+s.Tests, doc.Failures+s.Failures, sum+seconds[i]
	}
	doc.Time = junitSeconds(sum)
	return writeJUnit(w, doc)
}
