package install

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/faultline-go/faultline/engine/install/address"
	"github.com/faultline-go/faultline/engine/install/sshsig"
	"github.com/faultline-go/faultline/sdk/plugintest"
)

// signer is a key that ssh-keygen made.
type signer struct {
	file string
	line string // the public key, as it stands in a configuration
	key  sshsig.Key
}

func newSigner(t testing.TB, who string) signer {
	t.Helper()
	plugintest.Need(t, "ssh-keygen", func() error { _, err := exec.LookPath("ssh-keygen"); return err })
	file := filepath.Join(t.TempDir(), who)
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", who, "-f", file).CombinedOutput(); err != nil {
		t.Fatalf("make a key: %v: %s", err, out)
	}
	line, err := os.ReadFile(file + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	key, err := sshsig.ParseKey(string(line))
	if err != nil {
		t.Fatal(err)
	}
	return signer{file, strings.TrimSpace(string(line)), key}
}

func (s signer) sign(t testing.TB, file string) {
	t.Helper()
	_ = os.Remove(file + ".sig")
	if out, err := exec.Command("ssh-keygen", "-q", "-Y", "sign", "-n", SignatureNamespace, "-f", s.file, file).CombinedOutput(); err != nil {
		t.Fatalf("sign: %v: %s", err, out)
	}
}

// mirror writes a mirror's files, as an author would with zip, sha256sum and
// ssh-keygen.
type mirror struct {
	t   testing.TB
	dir string
	a   address.Address
}

func newMirror(t testing.TB) mirror { return mirror{t, t.TempDir(), lamp} }

func (m mirror) path(name string) string {
	return filepath.Join(m.dir, filepath.FromSlash(m.a.String()), name)
}

func (m mirror) write(name string, text []byte) {
	m.t.Helper()
	if err := os.MkdirAll(filepath.Dir(m.path(name)), 0o700); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(m.path(name), text, 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// content is the release's binary: a text that says what it is, which describe reads.
func content(version string, p Platform) string {
	return fmt.Sprintf("lamp %s 1 for %s", version, p)
}

// publish adds a release for two platforms; unsigned without a signer. With bare the
// checksum file does not name the binaries.
func (m mirror) publish(version string, by *signer, bare bool) {
	m.t.Helper()
	archives, sums := map[string]any{}, ""
	for _, p := range []Platform{amd, arm} {
		text := content(version, p)
		zip := zipOf(m.t, packedFile{name: lampBinary, text: text, mode: 0o755}, packedFile{name: "LICENSE", text: "free", mode: 0o644})
		name := ArchiveName("lamp", version, p) + ".zip"
		m.write(name, zip)
		archives[p.String()] = map[string]any{"url": name, "hashes": []string{"h1:other", "zh:" + sumOf(string(zip))}}
		sums += sumOf(string(zip)) + "  " + name + "\n"
		if !bare {
			sums += sumOf(text) + "  " + p.String() + "/" + lampBinary + "\n"
		}
	}
	m.json(version+".json", map[string]any{"archives": archives, "protocols": []int{1, 2}})
	m.write(ChecksumsName("lamp", version), []byte(sums))
	_ = os.Remove(m.path(ChecksumsName("lamp", version) + ".sig"))
	if by != nil {
		by.sign(m.t, m.path(ChecksumsName("lamp", version)))
	}
	versions := map[string]any{"not a version": map[string]any{}}
	found, _ := filepath.Glob(m.path("*.json"))
	for _, f := range found {
		if v := strings.TrimSuffix(filepath.Base(f), ".json"); v != "index" {
			versions[v] = map[string]any{}
		}
	}
	m.json("index.json", map[string]any{"versions": versions})
}

func (m mirror) json(name string, v any) {
	m.t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		m.t.Fatal(err)
	}
	m.write(name, raw)
}

// edit replaces a text in a file of the mirror.
func (m mirror) edit(name, old, now string) {
	m.t.Helper()
	raw, err := os.ReadFile(m.path(name))
	if err != nil {
		m.t.Fatal(err)
	}
	if !strings.Contains(string(raw), old) {
		m.t.Fatalf("%s has no %q", name, old)
	}
	m.write(name, []byte(strings.ReplaceAll(string(raw), old, now)))
}

func (m mirror) remove(names ...string) {
	m.t.Helper()
	for _, name := range names {
		if err := os.Remove(m.path(name)); err != nil {
			m.t.Fatal(err)
		}
	}
}

// describe reads what content wrote.
func describe(_ context.Context, name, path, sum string) (s Self, err error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return s, err
	}
	if filepath.Base(path) != BinaryName(name) || sumOf(string(raw)) != sum {
		return s, fmt.Errorf("%s is not the %s that was vouched for", path, name)
	}
	_, err = fmt.Sscanf(string(raw), "%s %s %d", &s.Name, &s.Version, &s.Protocol)
	return s, err
}

// files are those of a folder, for a look at what changed.
func files(t testing.TB, dir string) []string {
	t.Helper()
	all := map[string]bool{}
	_ = filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			all[strings.TrimPrefix(path, dir+"/")] = true
		}
		return nil
	})
	return slices.Sorted(maps.Keys(all))
}

func prefix(t testing.TB, text string) address.Prefix {
	t.Helper()
	p, err := address.ParsePrefix(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
