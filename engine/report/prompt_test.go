package report

import (
	"bytes"
	"strings"
	"testing"

	"github.com/faultline-go/faultline/engine/judge"
)

// Hold points are in every report, answered or not.
func TestPrompts(t *testing.T) {
	r := &judge.Result{Verdict: judge.Held, Experiments: []judge.Experiment{{
		Name: "kong", Verdict: judge.Held, Reasons: []judge.Reason{{Verdict: judge.Held, Text: "held"}},
		Prompts: []judge.Prompt{
			{Name: "moved", Question: "Has the traffic moved?", Answer: "continue", By: "ada", Took: 12.5},
			{Name: "enough", Question: "Was that enough?", By: "the time line stopped", Took: 3},
		},
	}}}
	var terminal, markdown bytes.Buffer
	if err := Terminal(&terminal, r, Options{}); err != nil {
		t.Fatal(err)
	}
	if err := Markdown(&markdown, r); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"prompt moved: Has the traffic moved? continue, by ada (12.5 s)", "prompt enough: Was that enough? There was no answer (3 s)"} {
		if !strings.Contains(terminal.String(), want) || !strings.Contains(markdown.String(), want) {
			t.Errorf("%q is missing in:\n%s\n%s", want, &terminal, &markdown)
		}
	}
}

// A day without a turn is no failure, however strict one is.
func TestNotDueInJUnit(t *testing.T) {
	r := &judge.Result{Verdict: judge.NotDue, Experiments: []judge.Experiment{{
		Name: "monkey", Verdict: judge.NotDue, Reasons: []judge.Reason{{Verdict: judge.NotDue, Text: "not due today"}},
	}}}
	var b bytes.Buffer
	if err := JUnit(&b, r, JUnitOptions{Strict: true}); err != nil {
		t.Fatal(err)
	}
	if s := b.String(); !strings.Contains(s, "<skipped") || strings.Contains(s, "<failure") {
		t.Errorf("not due is a failure:\n%s", s)
	}
}
