package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/faultline-go/faultline/engine/judge"
)

// However much there is to say, a page stays below the limit, says the most important
// and what it has left out, and no section is cut in two.
func TestMarkdownFits(t *testing.T) {
	r := everything()
	for i := range 900 {
		e := held()
		if i%30 == 7 {
			e = broken()
		}
		e.Name = fmt.Sprintf("number-%d", i)
		r.Experiments = append(r.Experiments, e)
	}
	for i := range 500 {
		r.Warnings = append(r.Warnings, judge.Warning{Text: fmt.Sprintf("warning %d %s", i, strings.Repeat("x", 300))})
	}
	whole := markdownSections(r)
	for _, limit := range []int{MarkdownLimit, 200_000, 20_000, 4000, 1500, 500, 10, 0, -5} {
		got := string(write(t, func(w io.Writer) error { return MarkdownUpTo(w, r, limit) }))
		if len(got) > max(limit, 0) {
			t.Errorf("%d bytes, %d are allowed", len(got), limit)
		}
		if got == "" {
			if limit > 1000 {
				t.Errorf("nothing in %d bytes", limit)
			}
			continue
		}
		if !strings.HasPrefix(got, "# RESIDUE") || !strings.Contains(got, "Left out: ") {
			t.Errorf("%d bytes begin with %.100q and end with %.300q", limit, got, got[max(0, len(got)-300):])
		}
		kept := 0
		for _, s := range whole {
			if strings.Contains(got, s.text) {
				kept += len(s.text)
			}
		}
		note := got[strings.LastIndex(got, "\n---\n"):]
		if kept+len(note) != len(got) {
			t.Errorf("%d bytes: %d are of whole sections, %d of the note, %d there", limit, kept, len(note), len(got))
		}
		if limit == 200_000 && strings.Count(got, "## BROKEN") != 31 {
			t.Errorf("%d of 31 broken experiments are kept", strings.Count(got, "## BROKEN"))
		}
	}
	small := write(t, func(w io.Writer) error { return Markdown(w, everything()) })
	if bytes.Contains(small, []byte("Left out")) {
		t.Error("something is left out of a small page")
	}
}

func TestEscapeMarkdown(t *testing.T) {
	for text, want := range map[string]string{
		"net_delay.a_b":               "net_delay.a_b",
		"_x_ *y* ~z~":                 `\_x_ \*y\* \~z\~`,
		"a|b `c` <b>&amp;</b>":        "a\\|b \\`c\\` \\<b\\>\\&amp;\\</b\\>",
		"[a](http://b) # c\nd\x1b[0m": `\[a\](http://b) \# c d \[0m`,
		"@ada and ada@b":              "@\u200bada and ada@b",
		`\ $x$`:                       `\\ \$x\$`,
	} {
		if got := escapeMarkdown(text); got != want {
			t.Errorf("%q is %q, not %q", text, got, want)
		}
	}
	if got := codeSpan("a `b` ``c``"); got != "``` a `b` ``c`` ```" {
		t.Errorf("%q", got)
	}
	var b strings.Builder
	markdownList(&b, []string{"1. x", "- y", "12 × z"})
	if got := b.String(); got != "- 1\\. x\n- \\- y\n- 12 × z\n" {
		t.Errorf("%q", got)
	}
}
