package scenario

import (
	"fmt"
	"io"
	"sort"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// Diagnostics is everything that Load has to say about the files it read: errors,
// each with its place and what to do, and warnings. The zero value says nothing.
type Diagnostics struct {
	list    hcl.Diagnostics
	sources map[string]*source
}

// Diagnostic is the plain form of one diagnostic, for programs. Line and Column
// count from 1, and EndColumn is behind the last character; they are 0, and File is empty,
// when it has no place in a file.
type Diagnostic struct {
	Severity string `json:"severity"` // "error" or "warning"
	Summary  string `json:"summary"`
	Detail   string `json:"detail"`
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
	Column   int    `json:"column,omitempty"`

	EndLine   int `json:"end_line,omitempty"`
	EndColumn int `json:"end_column,omitempty"`

	// Quote is the line that it is about, with the place marked in a second one.
	Quote string `json:"-"`
}

// HasErrors says whether any of them is an error.
func (d *Diagnostics) HasErrors() bool { return d != nil && d.list.HasErrors() }

// Counts returns the number of errors and of warnings.
func (d *Diagnostics) Counts() (errors, warnings int) {
	if d == nil {
		return 0, 0
	}
	for _, x := range d.list {
		if x.Severity == hcl.DiagError {
			errors++
		} else {
			warnings++
		}
	}
	return errors, warnings
}

// Error is the first error in one line, with the number of the others.
func (d *Diagnostics) Error() string {
	errors, _ := d.Counts()
	for _, x := range d.All() {
		if x.Severity != "error" {
			continue
		}
		s := x.Summary + ": " + x.Detail
		if x.File != "" {
			s = fmt.Sprintf("%s:%d:%d: %s", x.File, x.Line, x.Column, s)
		}
		if errors > 1 {
			s += fmt.Sprintf(" (and %d more)", errors-1)
		}
		return s
	}
	return "no errors"
}

// Unwrap returns why plugins could not be had, as Options.Describe said it.
func (d *Diagnostics) Unwrap() []error {
	var all []error
	for _, x := range d.list {
		if err, ok := x.Extra.(error); ok {
			all = append(all, err)
		}
	}
	return all
}

// All returns the diagnostics in their plain form, sorted by place.
func (d *Diagnostics) All() []Diagnostic {
	if d == nil {
		return nil
	}
	all := make([]Diagnostic, 0, len(d.list))
	for _, x := range d.list {
		p := Diagnostic{Severity: severity(x), Summary: x.Summary, Detail: x.Detail}
		if x.Subject != nil {
			p.File, p.Line, p.Column = x.Subject.Filename, x.Subject.Start.Line, x.Subject.Start.Column
			p.EndLine, p.EndColumn = x.Subject.End.Line, x.Subject.End.Column
			p.Quote = d.quote(x.Subject, func(_, s string) string { return s })
		}
		all = append(all, p)
	}
	return all
}

func severity(d *hcl.Diagnostic) string {
	if d.Severity == hcl.DiagError {
		return "error"
	}
	return "warning"
}

// maxWritten bounds what Write prints: after so many, people mend and run again.
const maxWritten = 100

// Write prints the diagnostics for people: what is wrong, the line it is about with
// the place marked, and what to do. Text is wrapped at width; 0 means never.
func (d *Diagnostics) Write(w io.Writer, width int, color bool) error {
	if d == nil {
		return nil
	}
	for i, x := range d.list {
		if i == maxWritten {
			_, err := fmt.Fprintf(w, "… and %d more. `faultline validate -format json` lists them all.\n", len(d.list)-i)
			return err
		}
		if _, err := io.WriteString(w, d.text(x, width, color)); err != nil {
			return fmt.Errorf("write diagnostics: %w", err)
		}
	}
	return nil
}

// hcl's own writer is not used, because it scans the whole file for each
// diagnostic, which takes seconds in a scenario of some megabytes.
func (d *Diagnostics) text(x *hcl.Diagnostic, width int, color bool) string {
	paint := func(code, s string) string {
		if !color || s == "" {
			return s
		}
		return "\x1b[" + code + "m" + s + "\x1b[0m"
	}
	var b strings.Builder
	if x.Severity == hcl.DiagError {
		b.WriteString(paint("1;31", "Error"))
	} else {
		b.WriteString(paint("1;33", "Warning"))
	}
	b.WriteString(paint("1", ": "+x.Summary) + "\n")
	if x.Subject != nil {
		src := d.sources[x.Subject.Filename]
		fmt.Fprintf(&b, "\n  on %s:%d,%d", shown(x.Subject.Filename), x.Subject.Start.Line, x.Subject.Start.Column)
		if in := src.blockAt(x.Subject.Start.Byte); in != "" {
			b.WriteString(", in " + shown(in))
		}
		b.WriteString(":\n")
		b.WriteString(d.quote(x.Subject, paint))
	}
	if x.Detail != "" {
		b.WriteString("\n" + wrap(shown(x.Detail), width) + "\n")
	}
	b.WriteString("\n")
	return b.String()
}

// quote is a line of a file, and below it the place in it.
func (d *Diagnostics) quote(at *hcl.Range, paint func(code, s string) string) string {
	line, from, to, ok := d.sources[at.Filename].lineOf(*at)
	if !ok {
		return ""
	}
	number := fmt.Sprintf("%4d: ", at.Start.Line)
	before, marked, after := shown(line[:from]), shown(line[from:to]), shown(line[to:])
	return number + before + paint("4;31", marked) + after + "\n" +
		strings.Repeat(" ", len(number)) + blank(before) +
		paint("31", strings.Repeat("^", max(1, len([]rune(marked))))) + "\n"
}

// blank is a text of the same width on the screen: tabs stay, the rest is spaces.
func blank(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, s)
}

// wrap breaks a text at spaces into lines of at most width runes, where it can,
// each indented by two spaces.
func wrap(text string, width int) string {
	var out []string
	for _, paragraph := range strings.Split(text, "\n") {
		line := ""
		for _, word := range strings.Fields(paragraph) {
			if line != "" && width > 0 && len([]rune(line))+1+len([]rune(word)) > width-2 {
				out = append(out, "  "+line)
				line = ""
			}
			if line != "" {
				line += " "
			}
			line += word
		}
		out = append(out, "  "+line)
	}
	return strings.Join(out, "\n")
}

// sortByPlace orders diagnostics by file and place; those without a place come first.
func sortByPlace(list hcl.Diagnostics) {
	key := func(d *hcl.Diagnostic) (string, int) {
		if d.Subject == nil {
			return "", 0
		}
		return d.Subject.Filename, d.Subject.Start.Byte
	}
	sort.SliceStable(list, func(i, j int) bool {
		a, x := key(list[i])
		b, y := key(list[j])
		if a != b {
			return a < b
		}
		return x < y
	})
}

// hide replaces secrets in what a diagnostic says; an error of a function that was
// given one may quote it. Very short values would turn every text into noise, and
// are not worth calling secret.
func hide(list hcl.Diagnostics, secrets []string) {
	var pairs []string
	for _, s := range secrets {
		if len(s) >= 3 {
			pairs = append(pairs, s, redactedText)
		}
	}
	if len(pairs) == 0 {
		return
	}
	r := strings.NewReplacer(pairs...)
	for _, d := range list {
		d.Summary, d.Detail = r.Replace(d.Summary), r.Replace(d.Detail)
	}
}
