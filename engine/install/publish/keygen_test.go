package publish

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/creack/pty"

	"github.com/faultline-go/faultline/engine/install"
	"github.com/faultline-go/faultline/engine/install/sshsig"
	"github.com/faultline-go/faultline/sdk/plugintest"
)

// newKey lets ssh-keygen make a key, and returns its file.
func newKey(t *testing.T, kind, passphrase string) string {
	t.Helper()
	plugintest.Need(t, "ssh-keygen", func() error { _, err := exec.LookPath("ssh-keygen"); return err })
	file := filepath.Join(t.TempDir(), "key")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "me", "-f", file).CombinedOutput(); err != nil {
		t.Fatalf("make a key: %v: %s", err, out)
	}
	return file
}

func TestKeygen(t *testing.T) {
	key := newKey(t, "ed25519", "")
	line, err := os.ReadFile(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	public, err := sshsig.ParseKey(string(line))
	if err != nil {
		t.Fatal(err)
	}
	mirror := t.TempDir()
	if p, err := release(t, "1.0.0").Publish(t.Context(), mirror, nil); err != nil || p.Signed {
		t.Fatal(err, p.Signed)
	}
	// Signed after the fact.
	p, err := release(t, "1.0.0").Publish(t.Context(), mirror, Keygen(key, nil, io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	if !p.Already || !p.Signed || p.Signer == nil || !p.Signer.Equal(public) {
		t.Errorf("%+v, signed by %v", p, p.Signer)
	}
	files := tree(t, p.Dir)
	if _, err := sshsig.Verify([]byte(files[p.Sums]), []byte(files[p.Sums+".sig"]), install.SignatureNamespace, []sshsig.Key{public}); err != nil {
		t.Error(err)
	}
	// And not unsigned by whoever packs it again.
	if p, err := release(t, "1.0.0").Publish(t.Context(), mirror, nil); err != nil || !p.Signed || p.Signer != nil || tree(t, p.Dir)[p.Sums+".sig"] != files[p.Sums+".sig"] {
		t.Errorf("%v, %+v", err, p)
	}
}

func TestKeygenRefuses(t *testing.T) {
	garbage := filepath.Join(t.TempDir(), "garbage")
	if err := os.WriteFile(garbage, []byte("not a key\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ key, says, words string }{
		{newKey(t, "ecdsa", ""), "not supported: a key of the type ecdsa-sha2-nistp256", ""},
		{garbage, "ssh-keygen, for the reason that it gave: exit status", garbage},
		{"/nowhere/key", "no such file", ""},
	} {
		var words bytes.Buffer
		mirror := t.TempDir()
		_, err := release(t, "1.0.0").Publish(t.Context(), mirror, Keygen(c.key, nil, &words))
		if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(words.String(), c.words) {
			t.Errorf("%s: %v, ssh-keygen said %q", c.key, err, words.String())
		}
		if left := tree(t, mirror); len(left) > 0 {
			t.Errorf("%s: left %v", c.key, left)
		}
	}
}

// The key may be in an agent alone.
func TestKeygenAgent(t *testing.T) {
	key := newKey(t, "ed25519", "")
	socket := filepath.Join(t.TempDir(), "agent")
	agent := exec.Command("ssh-agent", "-D", "-a", socket)
	out, err := agent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { agent.Process.Kill(); agent.Wait() })
	if _, err := out.Read(make([]byte, 1)); err != nil { // it says where it listens
		t.Fatal(err)
	}
	t.Setenv("SSH_AUTH_SOCK", socket)
	if out, err := exec.Command("ssh-add", "-q", key).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	if p, err := release(t, "1.0.0").Publish(t.Context(), t.TempDir(), Keygen(key+".pub", nil, io.Discard)); err != nil || !p.Signed {
		t.Errorf("%v, %+v", err, p)
	}
}

// ssh-keygen asks for the passphrase on the terminal.
func TestKeygenPassphrase(t *testing.T) {
	key := newKey(t, "ed25519", "open sesame")
	t.Setenv("SSH_AUTH_SOCK", "")
	t.Setenv("SSH_ASKPASS", "/bin/false")
	user, terminal, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer user.Close()
	defer terminal.Close()
	answered := make(chan string, 1)
	go func() {
		var shown []byte
		for b := make([]byte, 256); !bytes.Contains(shown, []byte("passphrase")); {
			n, err := user.Read(b)
			if err != nil {
				break
			}
			shown = append(shown, b[:n]...)
		}
		_, _ = user.WriteString("open sesame\n")
		answered <- string(shown)
	}()
	p, err := release(t, "1.0.0").Publish(t.Context(), t.TempDir(), Keygen(key, terminal, terminal))
	if err != nil || !p.Signed {
		t.Errorf("%v, %+v; on the terminal was %q", err, p, <-answered)
	}
}
