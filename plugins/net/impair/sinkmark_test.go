//go:build linux

package impair

import "testing"

// Only what we have named ourselves is ours.
func TestSinkMark(t *testing.T) {
	for name, want := range map[string]string{
		"fl0123456789a": "0123456789", "fldeadbeef00z": "deadbeef00",
		"fl012345678a": "", "fl0123456789": "", "fl0123456789A": "", "flghijklmnopa": "", "ifb0": "", "": "",
	} {
		got, ok := sinkMark(name)
		if ok != (want != "") || ok && got != want {
			t.Errorf("%q: %q, %t", name, got, ok)
		}
	}
}
