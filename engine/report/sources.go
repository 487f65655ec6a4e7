package report

import (
	"fmt"
	"strings"

	"github.com/faultline-go/faultline/engine/judge"
)

// source is a file of the scenario on the page.
type source struct {
	ID, Path, SHA256 string
	Lines            []sourceLine
}

type sourceLine struct {
	ID    string
	N     int
	Parts []sourcePart
}

// sourcePart is a stretch of a line: a comment, a string, or neither.
type sourcePart struct{ Class, Text string }

func sourcesOf(r *judge.Result) []source {
	var out []source
	for i, s := range r.Run.Sources {
		f := source{ID: fmt.Sprintf("source-%d", i+1), Path: s.Path, SHA256: s.SHA256}
		if s.Text != "" {
			for n, text := range strings.Split(strings.TrimSuffix(s.Text, "\n"), "\n") {
				f.Lines = append(f.Lines, sourceLine{fmt.Sprintf("%s-%d", f.ID, n+1), n + 1, partsOf(text)})
			}
		}
		out = append(out, f)
	}
	return out
}

// partsOf tells comments and strings of a line from the rest, only for the eye: it
// knows no comment and no text of several lines. The parts are the line.
func partsOf(line string) []sourcePart {
	var parts []sourcePart
	begin := 0
	cut := func(class string, from, to int) {
		if from > begin {
			parts = append(parts, sourcePart{"", line[begin:from]})
		}
		parts = append(parts, sourcePart{class, line[from:to]})
		begin = to
	}
	for i := 0; i < len(line); i++ {
		switch {
		case line[i] == '#' || strings.HasPrefix(line[i:], "//"):
			cut("comment", i, len(line))
			return parts
		case line[i] == '"':
			end := i + 1
			for end < len(line) && line[end] != '"' {
				if line[end] == '\\' {
					end++
				}
				end++
			}
			end = min(end+1, len(line))
			cut("string", i, end)
			i = end - 1
		}
	}
	if begin < len(line) {
		parts = append(parts, sourcePart{"", line[begin:]})
	}
	return parts
}
