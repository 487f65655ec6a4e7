package sshsig

import (
	"errors"
	"fmt"
)

var (
	// ErrNotSignature means that the bytes are no SSH signature, whoever made them.
	ErrNotSignature = errors.New("not an SSH signature")
	// ErrMismatch means that the signature was made over something else, or was
	// changed: the key that it names did not sign the message.
	ErrMismatch = errors.New("the signature does not belong to the content")
)

// NamespaceError means that a signature was made for another purpose. A key that also
// signs commits says nothing about plugins by that.
type NamespaceError struct {
	Namespace string // what the signature says
	Want      string
}

func (e *NamespaceError) Error() string {
	return fmt.Sprintf("signed for another purpose (%q, not %q)", e.Namespace, e.Want)
}

// UntrustedError means that a signature is right, and by a key that is not trusted.
type UntrustedError struct{ Key Key }

func (e *UntrustedError) Error() string {
	return fmt.Sprintf("signed by a key that you do not trust (%s)", e.Key.ID())
}

// UnsupportedError means that a key or a signature is of a kind that is not trusted
// here, although OpenSSH may know it.
type UnsupportedError struct{ What string }

func (e *UnsupportedError) Error() string { return "not supported: " + e.What }
