// Package sshsig verifies detached signatures that `ssh-keygen -Y sign` makes (the
// format SSHSIG, described in OpenSSH's PROTOCOL.sshsig). Whoever publishes a plugin
// has that tool, and most likely a key; whoever installs one needs neither: checking is
// pure Go, and needs no network.
//
// Only Ed25519 keys are trusted, plain ones and those on a FIDO token (which must have
// been touched for the signature). There is one encoding of each signature: whatever
// could be read in two ways is refused.
package sshsig

import (
	"bytes"
	"crypto"
	_ "crypto/sha256" // linked in, as crypto.Hash demands
	_ "crypto/sha512"
	"fmt"
	"slices"

	"golang.org/x/crypto/ssh"
)

const (
	magic   = "SSHSIG"
	version = 1
	// maxArmored is far beyond any signature of Ed25519, which has some 300 bytes.
	maxArmored = 16 << 10
)

// Verify checks that armored is a signature over message, for the purpose that
// namespace names, by one of the trusted keys, and returns that key.
//
// What is wrong comes back as ErrNotSignature, ErrMismatch, *NamespaceError,
// *UnsupportedError or *UntrustedError. The last means that all else was right: its
// key did sign the message.
func Verify(message, armored []byte, namespace string, trusted []Key) (Key, error) {
	s, err := parse(armored)
	if err != nil {
		return Key{}, err
	}
	if s.namespace != namespace {
		return Key{}, &NamespaceError{Namespace: s.namespace, Want: namespace}
	}
	if s.key.public.Verify(s.signed(message), s.signature) != nil {
		return Key{}, ErrMismatch
	}
	i := slices.IndexFunc(trusted, s.key.Equal)
	if i < 0 {
		return Key{}, &UntrustedError{Key: s.key}
	}
	return trusted[i], nil
}

// signature is what a signature file says.
type signature struct {
	key       Key
	namespace string
	hashName  string
	hash      crypto.Hash
	signature *ssh.Signature
}

// hashes are the ones that the format allows.
var hashes = map[string]crypto.Hash{"sha256": crypto.SHA256, "sha512": crypto.SHA512}

func parse(armored []byte) (signature, error) {
	raw, err := unarmor(armored)
	if err != nil {
		return signature{}, err
	}
	body, ok := bytes.CutPrefix(raw, []byte(magic))
	if !ok {
		return signature{}, fmt.Errorf("%w: it does not begin with %s", ErrNotSignature, magic)
	}
	var blob struct {
		Version   uint32
		PublicKey []byte
		Namespace string
		Reserved  []byte
		Hash      string
		Signature []byte
	}
	if err := ssh.Unmarshal(body, &blob); err != nil {
		return signature{}, fmt.Errorf("%w: %w", ErrNotSignature, err)
	}
	switch {
	case blob.Version != version:
		return signature{}, &UnsupportedError{What: fmt.Sprintf("version %d of the signature format", blob.Version)}
	case len(blob.Reserved) != 0:
		return signature{}, &UnsupportedError{What: "a signature that uses the format's reserved field"}
	case blob.Namespace == "":
		return signature{}, fmt.Errorf("%w: it names no namespace", ErrNotSignature)
	}
	hash, ok := hashes[blob.Hash]
	if !ok {
		return signature{}, &UnsupportedError{What: fmt.Sprintf("the hash %q", blob.Hash)}
	}
	public, err := ssh.ParsePublicKey(blob.PublicKey)
	if err != nil {
		return signature{}, fmt.Errorf("%w: its key cannot be read: %w", ErrNotSignature, err)
	}
	key, err := newKey(public, "")
	if err != nil {
		return signature{}, err
	}
	var sig ssh.Signature
	if err := ssh.Unmarshal(blob.Signature, &sig); err != nil {
		return signature{}, fmt.Errorf("%w: %w", ErrNotSignature, err)
	}
	// Only a token adds something after the signature itself: its flags and its counter.
	if sig.Format != public.Type() || (sig.Format == ssh.KeyAlgoED25519 && len(sig.Rest) != 0) {
		return signature{}, fmt.Errorf("%w: the inner signature is not one of %s", ErrNotSignature, public.Type())
	}
	return signature{key: key, namespace: blob.Namespace, hashName: blob.Hash, hash: hash, signature: &sig}, nil
}

// signed is what the key signed in place of the message.
func (s signature) signed(message []byte) []byte {
	h := s.hash.New()
	h.Write(message)
	return append([]byte(magic), ssh.Marshal(struct {
		Namespace string
		Reserved  []byte
		Hash      string
		Digest    []byte
	}{s.namespace, nil, s.hashName, h.Sum(nil)})...)
}
