package install

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// UntrustedError says that what a mirror or the store has is not what may be
// installed: a signature, a checksum or a key is wrong, or something older than what
// was locked is offered. Whoever sees it should look before trying again.
type UntrustedError struct{ Problem string }

func (e *UntrustedError) Error() string { return e.Problem }

func untrusted(format string, args ...any) error {
	return &UntrustedError{fmt.Sprintf(format, args...)}
}

// changed says that a release is not what it was when it was locked.
func changed(p Locked, platform Platform, locked, now string) error {
	return untrusted("%s %s was changed after it was locked: its binary for %s has the SHA-256 %s, and the lock file has %s; ask its author which is right", p.Source, p.Version, platform, now, locked)
}

// sentence makes an error the beginning of a sentence.
func sentence(err error) string {
	text := err.Error()
	r, n := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(r)) + text[n:]
}

// MissingError says that a source does not have what is asked for.
type MissingError struct{ Problem string }

func (e *MissingError) Error() string { return e.Problem }

// IncompatibleError says that a plugin and this faultline have no protocol in common.
type IncompatibleError struct{ Problem string }

func (e *IncompatibleError) Error() string { return e.Problem }
