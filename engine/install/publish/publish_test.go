package publish

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/faultline-go/faultline/engine/install"
	"github.com/faultline-go/faultline/engine/install/address"
)

var lamp = address.Address{Host: "plugins.example.com", Namespace: "acme", Name: "lamp"}

func linux(arch string) install.Platform { return install.Platform{OS: "linux", Arch: arch} }

// program writes the header of a program, and something behind it.
func program(t *testing.T, machine elf.Machine, behind string) string {
	t.Helper()
	h := elf.Header64{Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: 1, Ehsize: 64}
	copy(h.Ident[:], elf.ELFMAG+string([]byte{byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), 1}))
	b := new(bytes.Buffer)
	if err := binary.Write(b, binary.LittleEndian, h); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, append(b.Bytes(), behind...), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func release(t *testing.T, version string) Release {
	t.Helper()
	return Release{Source: lamp, Version: version, Binaries: []Binary{
		{Platform: linux("arm64"), Path: program(t, elf.EM_AARCH64, "arm "+version)},
		{Platform: linux("amd64"), Path: program(t, elf.EM_X86_64, "amd "+version)},
	}}
}

// tree is every file below a folder, with its text.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		out[rel] = string(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestPublish(t *testing.T) {
	mirror := t.TempDir()
	r := release(t, "1.2.0")
	r.License = filepath.Join(t.TempDir(), "terms")
	r.Protocols = []int{1, 2}
	if err := os.WriteFile(r.License, []byte("Do as you like.\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := r.Publish(t.Context(), mirror, nil)
	if err != nil {
		t.Fatal(err)
	}
	if p.Already || p.Signed || p.Signer != nil || p.Dir != filepath.Join(mirror, "plugins.example.com", "acme", "lamp") {
		t.Errorf("%+v", p)
	}
	files := tree(t, p.Dir)
	want := []string{
		"1.2.0.json", "faultline-plugin-lamp_1.2.0_SHA256SUMS", "faultline-plugin-lamp_1.2.0_linux_amd64.zip",
		"faultline-plugin-lamp_1.2.0_linux_arm64.zip", "index.json",
	}
	if got := slices.Sorted(maps.Keys(files)); !slices.Equal(got, want) {
		t.Fatalf("files %q", got)
	}
	if files["index.json"] != "{\n  \"versions\": {\n    \"1.2.0\": {}\n  }\n}\n" {
		t.Errorf("index.json: %s", files["index.json"])
	}
	var doc struct {
		Protocols []int
		Archives  map[string]struct {
			URL    string
			Hashes []string
		}
	}
	if err := json.Unmarshal([]byte(files["1.2.0.json"]), &doc); err != nil || len(doc.Archives) != 2 || !slices.Equal(doc.Protocols, r.Protocols) {
		t.Fatalf("1.2.0.json: %v\n%s", err, files["1.2.0.json"])
	}
	sums := ""
	for _, platform := range []string{"linux_amd64", "linux_arm64"} {
		a := doc.Archives[platform]
		sum := sha256.Sum256([]byte(files[a.URL]))
		if !slices.Equal(a.Hashes, []string{"zh:" + hex.EncodeToString(sum[:])}) {
			t.Errorf("%s: hashes %q", platform, a.Hashes)
		}
		sums += hex.EncodeToString(sum[:]) + "  " + a.URL + "\n"
	}
	for i, platform := range []string{"linux_amd64", "linux_arm64"} {
		z, err := zip.NewReader(strings.NewReader(files[p.Archives[i].File]), int64(len(files[p.Archives[i].File])))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, f := range z.File {
			names = append(names, fmt.Sprintf("%s %s %s", f.Mode(), f.Name, f.Modified.UTC().Format("2006-01-02")))
		}
		if !slices.Equal(names, []string{"-rwxr-xr-x faultline-plugin-lamp 1980-01-01", "-rw-r--r-- LICENSE 1980-01-01"}) {
			t.Errorf("%s: in the archive are %q", platform, names)
		}
		in, err := z.File[0].Open()
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(in)
		if original, _ := os.ReadFile(r.Binaries[1-i].Path); err != nil || !bytes.Equal(raw, original) {
			t.Errorf("%s: another binary came out: %v", platform, err)
		}
		sum := sha256.Sum256(raw)
		sums += hex.EncodeToString(sum[:]) + "  " + platform + "/faultline-plugin-lamp\n"
	}
	if files[p.Sums] != sums {
		t.Errorf("checksums:\n%s\nwant:\n%s", files[p.Sums], sums)
	}

	// Elsewhere, and in another order, the same comes out.
	slices.Reverse(r.Binaries)
	other := t.TempDir()
	if _, err := r.Publish(t.Context(), other, nil); err != nil || !maps.Equal(tree(t, other), tree(t, mirror)) {
		t.Errorf("the same binaries made other files: %v", err)
	}
	// Again into the same folder: nothing changes.
	if p, err := r.Publish(t.Context(), mirror, nil); err != nil || !p.Already || !maps.Equal(tree(t, other), tree(t, mirror)) {
		t.Errorf("again: %v, %+v", err, p)
	}
}

// What sha256sum itself says of an unpacked release.
func TestPublishChecksums(t *testing.T) {
	p, err := release(t, "1.2.0").Publish(t.Context(), t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range p.Archives {
		z, err := zip.OpenReader(filepath.Join(p.Dir, a.File))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(filepath.Join(p.Dir, a.Platform.String()), z); err != nil {
			t.Fatal(err)
		}
		z.Close()
	}
	cmd := exec.Command("sha256sum", "-c", "--strict", p.Sums)
	cmd.Dir = p.Dir
	if out, err := cmd.CombinedOutput(); err != nil || strings.Count(string(out), ": OK\n") != 4 {
		t.Errorf("sha256sum: %v\n%s", err, out)
	}
}

func TestPublishKeepsWhatIsThere(t *testing.T) {
	mirror := t.TempDir()
	dir := filepath.Join(mirror, "plugins.example.com", "acme", "lamp")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "index.json"), []byte(`{"note":"ours","versions":{"0.9.0":{"old":true}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	// Some at once.
	var all sync.WaitGroup
	for _, version := range []string{"1.0.0", "1.1.0", "2.0.0-rc.1"} {
		r := release(t, version)
		all.Go(func() {
			if _, err := r.Publish(t.Context(), mirror, nil); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	var index struct {
		Note     string
		Versions map[string]map[string]bool
	}
	if err := json.Unmarshal([]byte(tree(t, dir)["index.json"]), &index); err != nil {
		t.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(index.Versions)); index.Note != "ours" || !index.Versions["0.9.0"]["old"] || !slices.Equal(got, []string{"0.9.0", "1.0.0", "1.1.0", "2.0.0-rc.1"}) {
		t.Errorf("index: %+v", index)
	}
}

// What is refused, or fails, has changed nothing.
func TestPublishWholeOrNotAtAll(t *testing.T) {
	mirror := t.TempDir()
	if _, err := release(t, "1.0.0").Publish(t.Context(), mirror, nil); err != nil {
		t.Fatal(err)
	}
	before := tree(t, mirror)
	canceled, cancel := context.WithCancel(t.Context())
	signer := func(text string, err error) Signer {
		return func(context.Context, []byte) ([]byte, error) { cancel(); return []byte(text), err }
	}
	for name, c := range map[string]struct {
		change func(*Release)
		sign   Signer
		ctx    context.Context
		says   string
	}{
		"another content": {change: func(r *Release) {
			r.Version, r.Binaries[0].Path = "1.0.0", program(t, elf.EM_AARCH64, "other")
		}, says: "is there already with another content"},
		"a platform more": {change: func(r *Release) {
			old := release(t, "1.0.0")
			old.Binaries = append(old.Binaries, Binary{Platform: linux("riscv64"), Path: program(t, elf.EM_RISCV, "x")})
			*r = old
		}, says: "publish another version"},
		"no binary":           {change: func(r *Release) { r.Binaries = nil }, says: "no binary"},
		"twice a platform":    {change: func(r *Release) { r.Binaries[1] = r.Binaries[0] }, says: "are both for linux_arm64"},
		"another platform":    {change: func(r *Release) { r.Binaries[0].Platform = linux("s390x") }, says: "is built for linux_arm64, not for linux_s390x"},
		"not there":           {change: func(r *Release) { r.Binaries[0].Path += "x" }, says: "no such file"},
		"no license":          {change: func(r *Release) { r.License = "/nowhere" }, says: "no such file"},
		"a folder":            {change: func(r *Release) { r.License = t.TempDir() }, says: "is no file"},
		"changed meanwhile":   {change: func(r *Release) { r.Binaries[0].SHA256 = "00" }, says: "was changed while it was packed"},
		"version 1.0":         {change: func(r *Release) { r.Version = "1.0" }, says: "is not of the form 1.2.3"},
		"version v1.0.0":      {change: func(r *Release) { r.Version = "v1.0.0" }, says: "is not of the form 1.2.3"},
		"version ../1.0.0":    {change: func(r *Release) { r.Version = "../1.0.0" }, says: "is not of the form 1.2.3"},
		"build metadata":      {change: func(r *Release) { r.Version = "1.0.0+x" }, says: "is not of the form 1.2.3"},
		"no signature":        {sign: signer("", errors.New("the token was not touched")), says: "the token was not touched"},
		"a wrong signature":   {sign: signer("thank you", nil), says: "check the new signature: not an SSH signature"},
		"given up":            {ctx: canceled, says: "context canceled"},
		"given up in the end": {ctx: canceled, sign: signer("", context.Canceled), says: "context canceled"},
	} {
		t.Run(name, func(t *testing.T) {
			r := release(t, "1.1.0")
			if c.change != nil {
				c.change(&r)
			}
			if c.ctx == nil {
				c.ctx = t.Context()
			} else {
				cancel()
			}
			_, err := r.Publish(c.ctx, mirror, c.sign)
			if err == nil || !strings.Contains(err.Error(), c.says) || !strings.HasPrefix(err.Error(), "publish plugins.example.com/acme/lamp") {
				t.Errorf("%v, want an error that says %q", err, c.says)
			}
			if !maps.Equal(tree(t, mirror), before) {
				t.Error("the mirror has changed")
			}
		})
	}
	for name, text := range map[string]string{"no JSON": "{", "null": "null", "no versions": `{"versions":null}`, "a list": `{"versions":[]}`} {
		index := filepath.Join(mirror, "plugins.example.com", "acme", "lamp", "index.json")
		if err := os.WriteFile(index, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := release(t, "1.1.0").Publish(t.Context(), mirror, nil); err == nil || !strings.Contains(err.Error(), "not what a mirror has") {
			t.Errorf("an index with %s: %v", name, err)
		}
	}
	os.Remove(filepath.Join(mirror, "plugins.example.com", "acme", "lamp", "faultline-plugin-lamp_1.0.0_SHA256SUMS"))
	os.Remove(filepath.Join(mirror, "plugins.example.com", "acme", "lamp", "index.json"))
	if _, err := release(t, "1.0.0").Publish(t.Context(), mirror, nil); err == nil || !strings.Contains(err.Error(), "its content is not known") {
		t.Errorf("a version without checksums: %v", err)
	}
}

func TestPlatform(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	write := func(text string) string {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct{ path, want, says string }{
		{self, "linux_" + runtime.GOARCH, ""},
		{program(t, elf.EM_AARCH64, ""), "linux_arm64", ""},
		{program(t, elf.EM_PPC64, ""), "linux_ppc64le", ""},
		{program(t, elf.EM_S390, ""), "", "not known here"}, // in the wrong byte order
		{program(t, elf.EM_68K, ""), "", "not known here"},
		{write("#!/usr/bin/python3\n"), "", "which does not say which platform"},
		{write("MZ\x90\x00\x03"), "", "no program"},
		{write(""), "", "no program"},
		{write("x"), "", "no program"},
		{write(elf.ELFMAG), "", "damaged"},
		{t.TempDir(), "", "is a directory"},
		{"/nowhere", "", "no such file"},
	} {
		got, err := Platform(c.path)
		if got.OS != "" && got.String() != c.want || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %q, %v; want %q, and to hear %q", c.path, got, err, c.want, c.says)
		}
	}
	// A script may be published for any platform that is named.
	r := Release{Source: lamp, Version: "1.0.0", Binaries: []Binary{{Platform: linux("arm64"), Path: write("#!/bin/sh\n")}}}
	if _, err := r.Publish(t.Context(), t.TempDir(), nil); err != nil {
		t.Error(err)
	}
}
