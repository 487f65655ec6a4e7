package output

import (
	"bytes"
	"testing"
)

// Nothing of these may act on a terminal, whoever shows them.
const (
	hostile = "a\x1b[31mred\u009b1m\u202eder\u2066\u200f\u2028\x07\r\x00\U000e0041z"
	visible = `a\x1b[31mred\u009b1m\u202eder\u2066\u200f\u2028\x07\x0d\x00\U000e0041z`
)

func TestPrintable(t *testing.T) {
	for in, want := range map[string][2]string{ // with lines, and on one line
		"plain, ß, 日本, 👩\u200d🔧, \ufffd": {"plain, ß, 日本, 👩\u200d🔧, \ufffd", "plain, ß, 日本, 👩\u200d🔧, \ufffd"},
		hostile:           {visible, visible},
		"two\n\tlines":    {"two\n\tlines", `two\x0a\x09lines`},
		"no utf-8 \xff\n": {`no utf-8 \xff` + "\n", `no utf-8 \xff\x0a`},
	} {
		if got := [2]string{Printable(in, true), Printable(in, false)}; got != want {
			t.Errorf("%q is shown as %q, want %q", in, got, want)
		}
	}
}

func TestEscape(t *testing.T) {
	for in, want := range map[string]string{
		"plain words\tand more":     "plain words\tand more",
		"ends with a return \r":     "ends with a return",
		"\x1b[31mred\x1b[0m":        `\x1b[31mred\x1b[0m`,
		"over\rwritten":             `over\x0dwritten`,
		"grün ✓":                    "grün ✓",
		"turned \u202eround":        `turned \u202eround`,
		"broken \xff\xfe":           `broken \xff\xfe`,
		"bell\a, delete\x7f":        `bell\x07, delete\x7f`,
		"C1 \u009b1m":               `C1 \u009b1m`,
		"beyond \U000e0001 the BMP": `beyond \U000e0001 the BMP`,
	} {
		if got := Escape([]byte(in)); got != want {
			t.Errorf("Escape(%q) = %s, want %s", in, got, want)
		}
	}
	if n := len(Escape(bytes.Repeat([]byte{0}, longestLine))); n > longestLine+8 {
		t.Errorf("an escaped line has %d bytes", n)
	}
}

func FuzzEscape(f *testing.F) {
	f.Add([]byte("\x1b]0;title\a"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, r := range Escape(raw) {
			if r != '\t' && (r < ' ' || r >= 0x7f && r < 0xa0) {
				t.Fatalf("%q lets %U through", raw, r)
			}
		}
	})
}
