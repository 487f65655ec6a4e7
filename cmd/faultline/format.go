package main

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/engine/report"
)

// record is a run that a report is made of: what was judged and, for the formats that
// list single samples or events, the way to read its journal once more.
type record struct {
	*judge.Result
	path   string // of its folder or journal
	places report.Places
}

// events are those of the journal, up to a torn last line: whoever judged it has said
// that there is one.
func (r record) events() iter.Seq2[journal.Event, error] {
	return func(yield func(journal.Event, error) bool) {
		for e, err := range journal.Read(r.path) {
			if errors.Is(err, journal.ErrTorn) || !yield(e, err) {
				return
			}
		}
	}
}

// style is how a format is written, where it has a choice.
type style struct {
	report.Options
	strict bool
}

// format is a form of the report.
type format struct {
	name   string
	write  func(w io.Writer, r record, s style) error
	facts  bool // it needs nothing of the result that is made of samples
	before bool // it says what has changed since earlier runs
}

// reportFormats are the forms of the report, the usual one first.
var reportFormats = []format{
	{name: "table", write: func(w io.Writer, r record, s style) error { return report.Terminal(w, r.Result, s.Options) }, before: true},
	{name: "json", write: func(w io.Writer, r record, _ style) error { return report.JSON(w, r.Result) }},
	{name: "junit", write: func(w io.Writer, r record, s style) error {
		return report.JUnit(w, r.Result, report.JUnitOptions{Strict: s.strict, Places: r.places})
	}},
	{name: "markdown", write: func(w io.Writer, r record, _ style) error { return report.Markdown(w, r.Result) }},
	{name: "html", write: func(w io.Writer, r record, s style) error { return report.HTML(w, r.Result, s.Before) }, before: true},
	{name: "postmortem", write: func(w io.Writer, r record, _ style) error { return report.Postmortem(w, r.Result) }},
	{name: "github", write: func(w io.Writer, r record, _ style) error { return report.GitHub(w, r.Result, r.places) }},
	{name: "openmetrics", write: func(w io.Writer, r record, _ style) error { return report.OpenMetrics(w, r.Result) }},
	{name: "csv", write: func(w io.Writer, r record, _ style) error { return report.Samples(w, r.Result, r.events()) }, facts: true},
	{name: "ndjson", write: func(w io.Writer, r record, _ style) error { return report.Events(w, r.events()) }, facts: true},
}

func formatNames() string {
	var names []string
	for _, f := range reportFormats {
		names = append(names, f.name)
	}
	return strings.Join(names, ", ")
}

func formatNamed(name string) (format, error) {
	for _, f := range reportFormats {
		if f.name == name {
			return f, nil
		}
	}
	return format{}, fmt.Errorf("unknown format %q: use one of %s", name, formatNames())
}

// reportFile is a report that `run -report FORMAT=PATH` asks for.
type reportFile struct {
	format
	path string
}

func reportFiles(wanted []string) ([]reportFile, error) {
	var files []reportFile
	for _, w := range wanted {
		name, path, ok := strings.Cut(w, "=")
		if !ok || path == "" {
			return nil, fmt.Errorf("-report %q: write FORMAT=PATH, such as junit=faultline.xml", w)
		}
		f, err := formatNamed(name)
		if err != nil {
			return nil, fmt.Errorf("-report: %w", err)
		}
		files = append(files, reportFile{f, path})
	}
	return files, nil
}

// save writes a report to a file.
func (f format) save(path string, r record, s style) error {
	out, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	err = f.write(out, r, s)
	if e := out.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("write report %s: %w", path, err)
	}
	return nil
}
