package sshsig

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/faultline-go/faultline/sdk/plugintest"
)

// keygen runs the real ssh-keygen.
func keygen(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command("ssh-keygen", args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func needKeygen(t *testing.T) {
	t.Helper()
	plugintest.Need(t, "ssh-keygen", func() error { _, err := exec.LookPath("ssh-keygen"); return err })
}

// newKeyFile lets ssh-keygen make a key.
func newKeyFile(t *testing.T, kind, bits string) (file, public string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "key")
	if out, err := keygen(t, "", "-q", "-t", kind, "-b", bits, "-N", "", "-C", "me@example.com", "-f", file); err != nil {
		t.Fatalf("make a key: %v: %s", err, out)
	}
	raw, err := os.ReadFile(file + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	return file, string(raw)
}

func sign(t *testing.T, key, message string, args ...string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "message")
	if err := os.WriteFile(file, []byte(message), 0o600); err != nil {
		t.Fatal(err)
	}
	args = append([]string{"-Y", "sign", "-q", "-n", namespace, "-f", key}, append(args, file)...)
	if out, err := keygen(t, "", args...); err != nil {
		t.Fatalf("ssh-keygen %v: %v: %s", args, err, out)
	}
	raw, err := os.ReadFile(file + ".sig")
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// keygenVerifies is OpenSSH's own opinion of a signature.
func keygenVerifies(t *testing.T, message string, armored []byte, k Key) bool {
	t.Helper()
	dir := t.TempDir()
	allowed, sig := filepath.Join(dir, "allowed"), filepath.Join(dir, "sig")
	for file, text := range map[string]string{allowed: "me@example.com " + k.String() + "\n", sig: string(armored)} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err := keygen(t, message, "-Y", "verify", "-q", "-f", allowed, "-I", "me@example.com", "-n", namespace, "-s", sig)
	return err == nil
}

func TestKeygenSigns(t *testing.T) {
	needKeygen(t)
	file, line := newKeyFile(t, "ed25519", "256")
	key, err := ParseKey(line)
	if err != nil || key.Comment() != "me@example.com" {
		t.Fatalf("the key %q: %v, comment %q", line, err, key.Comment())
	}
	if out, err := keygen(t, "", "-l", "-f", file+".pub"); err != nil || !strings.Contains(out, " "+key.ID()+" ") {
		t.Errorf("ssh-keygen -l prints %q, %v; we say %s", out, err, key.ID())
	}
	for _, message := range []string{"", "hello", strings.Repeat("0123456789abcdef  lamp.zip\n", 10_000)} {
		for _, hash := range []string{"sha256", "sha512"} {
			armored := sign(t, file, message, "-O", "hashalg="+hash)
			if _, err := Verify([]byte(message), armored, namespace, []Key{key}); err != nil {
				t.Errorf("%d bytes, %s: %v", len(message), hash, err)
			}
			if !keygenVerifies(t, message, armored, key) {
				t.Errorf("%d bytes, %s: ssh-keygen does not verify its own signature: the comparison is worth nothing", len(message), hash)
			}
			if _, err := Verify([]byte(message+"x"), armored, namespace, []Key{key}); !errors.Is(err, ErrMismatch) {
				t.Errorf("%d bytes and another, %s: %v", len(message), hash, err)
			}
		}
	}
}

// What we hold for right, OpenSSH does, too; and what we write in tests is what it writes.
func TestKeygenVerifies(t *testing.T) {
	needKeygen(t)
	a := newAuthor(t)
	if !keygenVerifies(t, "hello", a.blob("hello").encode(), a.key) {
		t.Error("ssh-keygen refuses what the tests take for a right signature")
	}
	if keygenVerifies(t, "hello!", a.blob("hello").encode(), a.key) {
		t.Error("ssh-keygen verifies anything")
	}
	file, _ := newKeyFile(t, "ed25519", "256")
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := ssh.ParseRawPrivateKey(raw)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	s, err := parse(sign(t, file, "hello"))
	if err != nil {
		t.Fatal(err)
	}
	sig, err := signer.Sign(nil, s.signed([]byte("hello")))
	if err != nil {
		t.Fatal(err)
	}
	ours := blob{
		Magic: []byte(magic), Version: version, PublicKey: signer.PublicKey().Marshal(), Namespace: namespace,
		Hash: s.hashName, Signature: ssh.Marshal(sig),
	}.encode()
	if theirs := sign(t, file, "hello"); !bytes.Equal(ours, theirs) {
		t.Errorf("the same signature, by OpenSSH:\n%s\nby us:\n%s", theirs, ours)
	}
}

func TestKeygenOtherKeys(t *testing.T) {
	needKeygen(t)
	for kind, bits := range map[string]string{"rsa": "2048", "ecdsa": "256"} {
		file, line := newKeyFile(t, kind, bits)
		if _, err := ParseKey(line); !errors.As(err, new(*UnsupportedError)) {
			t.Errorf("a key of %s: %v", kind, err)
		}
		if _, err := Verify([]byte("hello"), sign(t, file, "hello"), namespace, nil); !errors.As(err, new(*UnsupportedError)) {
			t.Errorf("a signature of %s: %v", kind, err)
		}
	}
}
