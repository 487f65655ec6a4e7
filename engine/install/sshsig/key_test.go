package sshsig

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

func TestParseKey(t *testing.T) {
	a := newAuthor(t)
	text := a.key.String()
	for name, c := range map[string]struct{ line, comment string }{
		"alone":          {text, ""},
		"comment":        {text + " me@example.com on a laptop\n", "me@example.com on a laptop"},
		"spaces":         {"  " + text + "\t", ""},
		"options":        {`restrict,command="echo \"hi\"" ` + text + " me", "me"},
		"allowed signer": {"me@example.com " + text, ""},
	} {
		k, err := ParseKey(c.line)
		if err != nil || !k.Equal(a.key) || k.Comment() != c.comment || k.ID() != a.key.ID() || k.String() != text {
			t.Errorf("%s: %v, %s, comment %q", name, err, k.ID(), k.Comment())
		}
	}
	if !strings.HasPrefix(a.key.ID(), "SHA256:") || len(a.key.ID()) != len("SHA256:")+43 {
		t.Errorf("the ID is %q", a.key.ID())
	}
}

func TestParseKeyRefuses(t *testing.T) {
	text := newAuthor(t).key.String()
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p256, err := ssh.NewPublicKey(&secret.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ line, says string }{
		"nothing":       {"", "should look like"},
		"a remark":      {"# " + text, "should look like"},
		"cut short":     {text[:len(text)-4], "should look like"},
		"a fingerprint": {newAuthor(t).key.ID(), "should look like"},
		"two":           {text + "\n" + text, "more than one line"},
		"private":       {"-----BEGIN OPENSSH PRIVATE KEY-----", "private"},
		"another type":  {Key{public: p256}.String(), "ecdsa-sha2-nistp256"},
		"wrong name":    {strings.Replace(text, "ssh-ed25519 ", "ssh-rsa ", 1), "should look like"},
		"authority":     {"cert-authority " + text, "cert-authority"},
		"namespaces":    {`me namespaces="git" ` + text, "should look like"},
		"limited":       {`me,namespaces="git" ` + text, "namespaces"},
		"expires":       {`valid-before="20300101" ` + text, "valid-before"},
	} {
		k, err := ParseKey(c.line)
		if err == nil || !strings.Contains(err.Error(), c.says) || k.public != nil {
			t.Errorf("%s: %v (%s), want an error that says %q", name, err, k.ID(), c.says)
		}
	}
	if _, err := ParseKey(Key{public: p256}.String()); !errors.As(err, new(*UnsupportedError)) {
		t.Errorf("a key of another type: %T", err)
	}
	if (Key{}).Equal(Key{}) || (Key{}).ID() != "" || (Key{}).String() != "" {
		t.Error("the zero key is somebody's")
	}
}

func FuzzParseKey(f *testing.F) {
	text := newAuthor(f).key.String()
	f.Add(text + " me@example.com")
	f.Add(`restrict,from="10.0.0.0/8" ` + text)
	f.Add("me@example.com namespaces=\"git\" " + text)
	f.Fuzz(func(t *testing.T, line string) {
		k, err := ParseKey(line)
		if err != nil {
			return
		}
		if again, err := ParseKey(k.String()); err != nil || !again.Equal(k) {
			t.Fatalf("%q is a key, and its own text %q is not: %v", line, k, err)
		}
	})
}
