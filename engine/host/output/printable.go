package output

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Printable makes a text safe to be shown anywhere: control characters, those that change
// the direction of writing, those that cannot be seen and what is no UTF-8 become what Go
// writes for them in a string (\x1b, \u202e). With lines, line feeds and tabs stay.
func Printable(s string, lines bool) string {
	keep := ""
	if lines {
		keep = "\n\t"
	}
	if !strings.ContainsFunc(s, func(r rune) bool { return r == utf8.RuneError || harmful(r, keep) }) {
		return s
	}
	return printable(s, keep, -1)
}

// Escape does the same to a line that a plugin has printed: its tabs stay, and the result
// is bounded, too.
func Escape(raw []byte) string {
	return printable(string(bytes.TrimRight(raw, " \t\r")), "\t", longestLine)
}

// printable stops soon after so many bytes; below zero it does not.
func printable(s, keep string, most int) string {
	var b strings.Builder
	for i := 0; i < len(s) && (most < 0 || b.Len() < most); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case !harmful(r, keep):
			b.WriteRune(r)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
		i += size
	}
	return b.String()
}

func harmful(r rune, keep string) bool {
	switch {
	case strings.ContainsRune(keep, r), r == 0x200c, r == 0x200d: // the last two join letters and emoji
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}
