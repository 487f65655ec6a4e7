package main

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/faultline-go/faultline/engine/install"
)

// What nobody vouches for is quoted in errors: here the type of the key in a mirror's
// signature. The terminal does not act on it.
func TestAMirrorDoesNotActOnTheTerminal(t *testing.T) {
	dir := t.TempDir()
	key := ssh.Marshal(struct{ Type string }{"\x1b]0;owned\a"})
	blob := append([]byte("SSHSIG"), ssh.Marshal(struct {
		Version             uint32
		Key                 []byte
		Namespace, _r, Hash string
		Signature           []byte
	}{1, key, install.SignatureNamespace, "", "sha256", nil})...)
	sums := "mirror/acme/lamp/" + install.ChecksumsName("lamp", "1.0.0")
	for path, text := range map[string]string{
		"mirror/acme/lamp/index.json": `{"versions": {"1.0.0": {}}}`,
		"mirror/acme/lamp/1.0.0.json": `{"archives": {}}`,
		sums:                          "",
		sums + ".sig":                 "-----BEGIN SSH SIGNATURE-----\n" + base64.StdEncoding.EncodeToString(blob) + "\n-----END SSH SIGNATURE-----\n",
		"config.hcl":                  "source \"acme\" {\n  mirror = \"mirror\"\n  keys = [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ9UGhLnhMbZTODrwUaPNPj2SChhnjQAnBuV9H0xuvoB acme\"]\n}\n",
		"day/day.hcl":                 "plugin \"lamp\" {\n  source = \"acme/lamp\"\n}\n",
	} {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	code := command(t.Context(), &process{
		args: []string{"init", filepath.Join(dir, "day")}, stdout: &out, stderr: &out, width: func() int { return 80 },
		getenv: func(name string) string {
			return map[string]string{"HOME": dir, "FAULTLINE_CLI_CONFIG": filepath.Join(dir, "config.hcl")}[name]
		},
	})
	if code != exitRefused || !strings.Contains(out.String(), `\x1b]0;owned\x07`) || strings.Contains(out.String(), "\x1b") {
		t.Errorf("code %d, %q", code, out.String())
	}
}
