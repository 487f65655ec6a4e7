package report

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// wrap breaks text into lines of at most width runes, at spaces where it can.
func wrap(s string, width int) []string {
	width = max(width, 1)
	var lines []string
	line, used := "", 0
	for _, word := range strings.Fields(clean(s)) {
		n := runes(word)
		if used > 0 && used+1+n > width {
			lines = append(lines, line)
			line, used = "", 0
		}
		for n > width {
			cut := byteOf(word, width)
			// A long name is better cut behind one of its own joints.
			if joint := strings.LastIndexAny(word[:cut], "._-/:"); joint >= cut/3 {
				cut = joint + 1
			}
			lines = append(lines, word[:cut])
			word = word[cut:]
			n = runes(word)
		}
		if used > 0 {
			line += " "
			used++
		}
		line += word
		used += n
	}
	if used > 0 || len(lines) == 0 {
		lines = append(lines, line)
	}
	return lines
}

// clean takes control characters out of text that comes from elsewhere, such as an
// error's: they could move the cursor, change its colour or the direction of writing.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		joins := r == 0x200c || r == 0x200d // letters of some scripts, and emoji
		if !joins && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			return ' '
		}
		return r
	}, s)
}

// runes is how many columns a text takes.
func runes(s string) int { return utf8.RuneCountInString(s) }

// byteOf is where the n-th rune begins.
func byteOf(s string, n int) int {
	i := 0
	for range n {
		_, size := utf8.DecodeRuneInString(s[i:])
		i += size
	}
	return i
}
