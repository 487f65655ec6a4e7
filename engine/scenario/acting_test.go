package scenario

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// Nobody who reads what faultline says of a scenario, before running it, is shown
// something else than stands there.
func TestNothingOfAScenarioActsOnAScreen(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"in a text":         {"scenario \"a\" {\n  title = \"x\x1b[1A\x1b[2K\"\n}\n", "test.hcl:2:13: Control character: Here is the character U+001B"},
		"in a comment":      {"# for you\u202e only\nscenario \"a\" {}\n", "test.hcl:1:10: Control character: Here is the character U+202E"},
		"a carriage return": {"# evil()\rgood\nscenario \"a\" {}\n", "test.hcl:1:9: Control character: Here is the character U+000D"},
		"as an escape":      {`scenario "a" { title = "x\u001b[2K" }`, `Control character: The argument "title" has the character U+001B`},
		"made":              {`scenario "a" { title = jsondecode("\"x\\u009b\"") }`, `Control character: The argument "title" has the character U+009B`},
		"in a list":         {`scenario "a" { checklist = ["look", "x\u2066"] }`, `Control character: The argument "checklist" has the character U+2066`},
		"in a name":         {`variable "x\u001b[2J" {}`, ""},
		"no text at all":    {"scenario \"\xff\x9b\" {}\n", ""},
	} {
		_, d := loadText(c.text, Options{})
		var b strings.Builder
		if err := d.Write(&b, 80, false); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(d.Error(), c.want) || d.Error() == "" {
			t.Errorf("%s: %s\nwant %s", name, d.Error(), c.want)
		}
		if strings.ContainsFunc(b.String(), acts) || !utf8.ValidString(b.String()) {
			t.Errorf("%s: shown as %q", name, b.String())
		}
	}
	if _, d := loadText("scenario \"a\" {\r\n\ttitle = \"größer \u200d\"\r\n}\r\n", Options{}); strings.Contains(d.Error(), "Control") {
		t.Errorf("a file of Windows: %s", d.Error())
	}
}
