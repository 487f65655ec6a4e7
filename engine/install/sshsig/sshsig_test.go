package sshsig

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

const namespace = "faultline-plugin"

// blob is a signature file's content before it is encoded, so that a test can get
// every field wrong.
type blob struct {
	Magic                []byte `ssh:"rest"`
	Version              uint32
	PublicKey            []byte
	Namespace            string
	Reserved             []byte
	Hash                 string
	Signature, Afterward []byte
}

// encode writes the blob as OpenSSH would, in lines of 70.
func (b blob) encode() []byte {
	raw := append([]byte(b.Magic), ssh.Marshal(struct {
		Version   uint32
		PublicKey []byte
		Namespace string
		Reserved  []byte
		Hash      string
		Signature []byte
	}{b.Version, b.PublicKey, b.Namespace, b.Reserved, b.Hash, b.Signature})...)
	return armored(append(raw, b.Afterward...))
}

func armored(raw []byte) []byte {
	var out bytes.Buffer
	out.WriteString(begin + "\n")
	text := base64.StdEncoding.EncodeToString(raw)
	for len(text) > 70 {
		out.WriteString(text[:70] + "\n")
		text = text[70:]
	}
	out.WriteString(text + "\n" + end + "\n")
	return out.Bytes()
}

// author is a key pair.
type author struct {
	key    Key
	secret ed25519.PrivateKey
}

func newAuthor(t testing.TB) author {
	t.Helper()
	public, secret, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return author{Key{public: p}, secret}
}

func (a author) blob(message string) blob {
	s := signature{namespace: namespace, hashName: "sha512", hash: crypto.SHA512}
	return blob{
		Magic: []byte(magic), Version: version, PublicKey: a.key.public.Marshal(), Namespace: namespace, Hash: "sha512",
		Signature: ssh.Marshal(ssh.Signature{Format: ssh.KeyAlgoED25519, Blob: ed25519.Sign(a.secret, s.signed([]byte(message)))}),
	}
}

func TestVerify(t *testing.T) {
	a, other := newAuthor(t), newAuthor(t)
	armored := a.blob("hello").encode()
	key, err := Verify([]byte("hello"), armored, namespace, []Key{{}, other.key, a.key})
	if err != nil || !key.Equal(a.key) {
		t.Fatalf("a right signature: %v, by %s", err, key.ID())
	}
	if _, err := Verify([]byte("hello"), bytes.ReplaceAll(armored, []byte("\n"), []byte("\r\n")), namespace, []Key{a.key}); err != nil {
		t.Errorf("with lines as on Windows: %v", err)
	}
	if _, err := Verify([]byte("hello!"), armored, namespace, []Key{a.key}); !errors.Is(err, ErrMismatch) {
		t.Errorf("over something else: %v", err)
	}

	var untrusted *UntrustedError
	for name, trusted := range map[string][]Key{"no key": nil, "another key": {other.key}, "the zero key": {{}}} {
		_, err = Verify([]byte("hello"), armored, namespace, trusted)
		if !errors.As(err, &untrusted) || !untrusted.Key.Equal(a.key) {
			t.Errorf("%s is trusted: %v", name, err)
		}
	}
	if want := "signed by a key that you do not trust (" + a.key.ID() + ")"; untrusted.Error() != want {
		t.Errorf("says %q, want %q", untrusted, want)
	}
	// Trusting the key would not help: so it is not what is said.
	if _, err := Verify([]byte("hello!"), armored, namespace, nil); !errors.Is(err, ErrMismatch) {
		t.Errorf("over something else, by an unknown key: %v", err)
	}

	var purpose *NamespaceError
	if _, err := Verify([]byte("hello"), armored, "git", []Key{a.key}); !errors.As(err, &purpose) || purpose.Namespace != namespace {
		t.Errorf("for another purpose: %v", err)
	}
}

// What differs in a field is refused, although its signature may be right.
func TestVerifyRefusesFields(t *testing.T) {
	a := newAuthor(t)
	unsupported := new(UnsupportedError)
	inner := func(format string, rest string) func(*blob) {
		return func(b *blob) {
			var s ssh.Signature
			if err := ssh.Unmarshal(b.Signature, &s); err != nil {
				t.Fatal(err)
			}
			s.Format, s.Rest = format, []byte(rest)
			b.Signature = ssh.Marshal(s)
		}
	}
	for name, c := range map[string]struct {
		change func(*blob)
		want   error
	}{
		"magic":             {func(b *blob) { b.Magic = []byte("SSHSIH") }, ErrNotSignature},
		"no magic":          {func(b *blob) { b.Magic = nil }, ErrNotSignature},
		"version 0":         {func(b *blob) { b.Version = 0 }, unsupported},
		"version 2":         {func(b *blob) { b.Version = 2 }, unsupported},
		"reserved":          {func(b *blob) { b.Reserved = []byte{0} }, unsupported},
		"hash sha1":         {func(b *blob) { b.Hash = "sha1" }, unsupported},
		"no hash":           {func(b *blob) { b.Hash = "" }, unsupported},
		"another hash":      {func(b *blob) { b.Hash = "sha256" }, ErrMismatch},
		"no namespace":      {func(b *blob) { b.Namespace = "" }, ErrNotSignature},
		"another namespace": {func(b *blob) { b.Namespace = "git" }, new(NamespaceError)},
		"byte after it":     {func(b *blob) { b.Afterward = []byte{0} }, ErrNotSignature},
		"no key":            {func(b *blob) { b.PublicKey = nil }, ErrNotSignature},
		"byte after key":    {func(b *blob) { b.PublicKey = append(b.PublicKey, 0) }, ErrNotSignature},
		"another key":       {func(b *blob) { b.PublicKey = newAuthor(t).key.public.Marshal() }, ErrMismatch},
		"no signature":      {func(b *blob) { b.Signature = nil }, ErrNotSignature},
		"another format":    {inner("ssh-rsa", ""), ErrNotSignature},
		"a token's format":  {inner(ssh.KeyAlgoSKED25519, ""), ErrNotSignature},
		"byte after inner":  {inner(ssh.KeyAlgoED25519, "\x01"), ErrNotSignature},
	} {
		b := a.blob("hello")
		c.change(&b)
		_, err := Verify([]byte("hello"), b.encode(), namespace, []Key{a.key})
		if err == nil {
			t.Errorf("%s: accepted", name)
		} else if fmt.Sprintf("%T", c.want) != "*errors.errorString" {
			if fmt.Sprintf("%T", err) != fmt.Sprintf("%T", c.want) {
				t.Errorf("%s: %T %v, want a %T", name, err, err, c.want)
			}
		} else if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// Every bit of a signature file counts.
func TestVerifyEveryBit(t *testing.T) {
	a := newAuthor(t)
	good := a.blob("hello").encode()
	for i := range good {
		for bit := range 8 {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << bit
			if _, err := Verify([]byte("hello"), bad, namespace, []Key{a.key}); err == nil {
				t.Errorf("accepted with bit %d of byte %d changed: %q", bit, i, bad)
			}
		}
		if i == len(good)-1 {
			break // the newline at the end, without which it reads the same
		}
		if _, err := Verify([]byte("hello"), good[:i], namespace, []Key{a.key}); err == nil {
			t.Errorf("accepted when it ends after %d bytes", i)
		}
	}
}

func TestUnarmorRefuses(t *testing.T) {
	text := base64.StdEncoding.EncodeToString([]byte("some bytes!!")) // no padding
	for name, armored := range map[string]string{
		"nothing":          "",
		"text before":      "x\n" + begin + "\n" + text + "\n" + end + "\n",
		"text after":       begin + "\n" + text + "\n" + end + "\nx\n",
		"two of them":      strings.Repeat(begin+"\n"+text+"\n"+end+"\n", 2),
		"a header":         begin + "\nComment: x\n\n" + text + "\n" + end + "\n",
		"another type":     strings.ReplaceAll(begin+"\n"+text+"\n"+end+"\n", "SSH SIGNATURE", "PGP SIGNATURE"),
		"no text":          begin + "\n" + end + "\n",
		"a space":          begin + "\n" + text[:4] + " " + text[4:] + "\n" + end + "\n",
		"only returns":     begin + "\r" + text + "\r" + end + "\r",
		"a return in it":   begin + "\n" + text[:4] + "\r" + text[4:] + "\n" + end + "\n",
		"bits left over":   begin + "\nAB==\n" + end + "\n",
		"no padding":       begin + "\nAA\n" + end + "\n",
		"far too long":     begin + "\n" + strings.Repeat("AAAA", maxArmored/4) + "\n" + end + "\n",
		"the binary form":  magic + "\x00\x00\x00\x01",
		"another alphabet": begin + "\n-_-_\n" + end + "\n",
	} {
		if raw, err := unarmor([]byte(armored)); name != "no text" && err == nil || len(raw) > 0 {
			t.Errorf("%s: read as %q", name, raw)
		}
		if _, err := parse([]byte(armored)); !errors.Is(err, ErrNotSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A key on a token signs a little more, and only when somebody touched the token.
func TestVerifyToken(t *testing.T) {
	a := newAuthor(t)
	public, err := ssh.ParsePublicKey(ssh.Marshal(struct {
		Type, Key, Application string
	}{ssh.KeyAlgoSKED25519, string(a.secret.Public().(ed25519.PublicKey)), "ssh:"}))
	if err != nil {
		t.Fatal(err)
	}
	sign := func(flags byte) []byte {
		b := a.blob("hello")
		b.PublicKey = public.Marshal()
		b.Signature = ssh.Marshal(tokenSignature(a.secret, "ssh:", flags,
			signature{namespace: namespace, hashName: "sha512", hash: crypto.SHA512}.signed([]byte("hello"))))
		return b.encode()
	}
	trusted := []Key{{public: public}}
	if _, err := Verify([]byte("hello"), sign(1), namespace, trusted); err != nil {
		t.Errorf("touched: %v", err)
	}
	if _, err := exec.LookPath("ssh-keygen"); err == nil && !keygenVerifies(t, "hello", sign(1), trusted[0]) {
		t.Error("ssh-keygen refuses what the test takes for a token's signature")
	}
	if _, err := Verify([]byte("hello"), sign(0), namespace, trusted); !errors.Is(err, ErrMismatch) {
		t.Errorf("not touched: %v", err)
	}
	if _, err := Verify([]byte("hello"), sign(1), namespace, []Key{a.key}); !errors.As(err, new(*UntrustedError)) {
		t.Errorf("the same key outside a token is another one: %v", err)
	}
}

// tokenSignature is what a FIDO token makes of a message.
func tokenSignature(secret ed25519.PrivateKey, application string, flags byte, message []byte) ssh.Signature {
	const counter = 7
	app, digest := sha256.Sum256([]byte(application)), sha256.Sum256(message)
	signed := append(append(app[:], flags, 0, 0, 0, counter), digest[:]...)
	return ssh.Signature{Format: ssh.KeyAlgoSKED25519, Blob: ed25519.Sign(secret, signed), Rest: []byte{flags, 0, 0, 0, counter}}
}

func FuzzVerify(f *testing.F) {
	a := newAuthor(f)
	good := a.blob("hello")
	f.Add(good.encode())
	f.Add([]byte(begin + "\n" + end + "\n"))
	f.Add(armored([]byte(magic)))
	f.Fuzz(func(t *testing.T, armored []byte) {
		key, err := Verify([]byte("hello"), armored, namespace, []Key{a.key})
		if err == nil && !key.Equal(a.key) {
			t.Fatal("no error, and no key")
		}
		s, err := parse(armored)
		if err != nil {
			if s.signature != nil {
				t.Fatal("an error, and a signature")
			}
			return
		}
		// There is one way to write it.
		again := blob{
			Magic: []byte(magic), Version: version, PublicKey: s.key.public.Marshal(), Namespace: s.namespace,
			Hash: s.hashName, Signature: ssh.Marshal(s.signature),
		}.encode()
		x, err := unarmor(armored)
		if err != nil {
			t.Fatal(err)
		}
		if y, err := unarmor(again); err != nil || !bytes.Equal(x, y) {
			t.Fatalf("%q reads as %q", x, y)
		}
	})
}
