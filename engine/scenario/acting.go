package scenario

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// A scenario is read by people before it is run, on terminals, in plans and in reviews.
// Characters that make a text look like another one have no place in it.

// acts says whether a character moves the cursor, clears or colours a screen, or turns the
// direction of writing around.
func acts(r rune) bool {
	switch {
	case r == '\n' || r == '\t':
		return false
	case r < 0x20, r >= 0x7f && r < 0xa0, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
		return true
	}
	return false
}

// shown is a text for the screen: of the same width, and without effect.
func shown(s string) string {
	return strings.Map(func(r rune) rune {
		if acts(r) {
			return utf8.RuneError
		}
		return r
	}, s)
}

// acting reports the first such character of a file.
func (s *source) acting() *hcl.Diagnostic {
	text := string(s.text)
	for at, r := range text {
		if !acts(r) || r == '\r' && strings.HasPrefix(text[at:], "\r\n") {
			continue
		}
		begin := strings.LastIndexByte(text[:at], '\n') + 1
		from := hcl.Pos{Line: 1 + strings.Count(text[:at], "\n"), Column: 1 + utf8.RuneCountInString(text[begin:at]), Byte: at}
		to := hcl.Pos{Line: from.Line, Column: from.Column + 1, Byte: at + utf8.RuneLen(r)}
		return &hcl.Diagnostic{
			Severity: hcl.DiagError,
			Summary:  "Control character",
			Detail:   fmt.Sprintf(`Here is the character %U, which changes what a screen shows. Remove it; in a text for a plugin it can be written as "\u%04x".`, r, r),
			Subject:  &hcl.Range{Filename: s.path, Start: from, End: to},
		}
	}
	return nil
}

// actingIn finds such a character in the texts of a value.
func actingIn(v cty.Value) (found rune) {
	_ = cty.Walk(v, func(_ cty.Path, x cty.Value) (bool, error) {
		if x.Type() == cty.String && x.IsKnown() && !x.IsNull() {
			if i := strings.IndexFunc(x.AsString(), acts); i >= 0 {
				found, _ = utf8.DecodeRuneInString(x.AsString()[i:])
			}
		}
		return found == 0, nil
	})
	return found
}
