package sshsig

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Key is a public key that signs. The zero Key equals no other.
type Key struct {
	public  ssh.PublicKey
	comment string
}

// limits are options in front of a key that make it worth less. They are not honoured
// here, so a key that has one is refused: trusting it fully is not what was meant.
var limits = []string{"cert-authority", "namespaces", "valid-after", "valid-before", "expiry-time", "verify-required"}

// ParseKey reads one public key as it stands in ~/.ssh/id_ed25519.pub, in
// authorized_keys or in a file of allowed signers. A comment is kept; what may stand
// in front of the key (a principal, options about logins) is ignored.
func ParseKey(line string) (Key, error) {
	line = strings.TrimSpace(line)
	if strings.ContainsAny(line, "\r\n") {
		return Key{}, errors.New("read a public key: there is more than one line")
	}
	if strings.Contains(line, "PRIVATE KEY") {
		return Key{}, errors.New("read a public key: this is a private one")
	}
	public, comment, options, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		return Key{}, errors.New(`read a public key: it should look like "ssh-ed25519 AAAA… comment"`)
	}
	for _, o := range options {
		name, _, _ := strings.Cut(o, "=")
		if slices.Contains(limits, strings.ToLower(name)) {
			return Key{}, fmt.Errorf("read a public key: the option %s is not honoured here: remove it to trust the key without that limit", name)
		}
	}
	return newKey(public, comment)
}

func newKey(public ssh.PublicKey, comment string) (Key, error) {
	switch public.Type() {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoSKED25519:
		return Key{public: public, comment: comment}, nil
	}
	return Key{}, &UnsupportedError{What: fmt.Sprintf("a key of the type %s (only %s and %s are)",
		public.Type(), ssh.KeyAlgoED25519, ssh.KeyAlgoSKED25519)}
}

// ID is the key's fingerprint, as `ssh-keygen -l` prints it: SHA256:…
func (k Key) ID() string {
	if k.public == nil {
		return ""
	}
	return ssh.FingerprintSHA256(k.public)
}

// Comment is what stood after the key, often whose it is. Nobody vouches for it.
func (k Key) Comment() string { return k.comment }

// String is the key as ParseKey reads it, without its comment.
func (k Key) String() string {
	if k.public == nil {
		return ""
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k.public)))
}

// Equal reports whether two keys are the same, whatever their comments say.
func (k Key) Equal(other Key) bool {
	return k.public != nil && other.public != nil && bytes.Equal(k.public.Marshal(), other.public.Marshal())
}
