package install

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// packed is a file of an archive.
type packedFile struct {
	name string
	text string
	mode fs.FileMode
	hard bool // in a tar: a hard link
}

func zipOf(t testing.TB, files ...packedFile) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, f := range files {
		h := &zip.FileHeader{Name: f.name, Method: zip.Deflate}
		h.SetMode(f.mode)
		w, err := z.CreateHeader(h)
		if err == nil {
			_, err = w.Write([]byte(f.text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func tarOf(t testing.TB, files ...packedFile) []byte {
	t.Helper()
	var b bytes.Buffer
	g := gzip.NewWriter(&b)
	w := tar.NewWriter(g)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Mode: int64(f.mode.Perm()), Size: int64(len(f.text)), ModTime: time.Unix(1e9, 0), Typeflag: tar.TypeReg}
		switch {
		case f.hard:
			h.Typeflag, h.Linkname, h.Size = tar.TypeLink, "/etc/passwd", 0
		case f.mode.IsDir():
			h.Typeflag = tar.TypeDir
		case f.mode&fs.ModeSymlink != 0:
			h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, f.text, 0
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := w.Write([]byte(f.text)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func file(t testing.TB, text []byte) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "archive")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

const lampBinary = "faultline-plugin-lamp"

func TestUnpack(t *testing.T) {
	binary := packedFile{name: lampBinary, text: "the binary", mode: 0o755}
	other := func(name string, mode fs.FileMode) []packedFile {
		return []packedFile{binary, {name: name, text: "x", mode: mode}}
	}
	for _, c := range []struct {
		name  string
		files []packedFile
		want  string // empty: it is unpacked
	}{
		{"alone", []packedFile{binary}, ""},
		{"licence and folder", append(other("LICENSE", 0o644), packedFile{name: "doc/", mode: fs.ModeDir | 0o755}, packedFile{name: "doc/README.md", text: "x", mode: 0o644}), ""},
		{"from the top", []packedFile{{name: "./", mode: fs.ModeDir | 0o755}, {name: "./" + lampBinary, text: "the binary", mode: 0o755}}, ""},
		{"nothing", nil, "there is no file faultline-plugin-lamp in it"},
		{"another plugin", []packedFile{{name: "faultline-plugin-fan", text: "x", mode: 0o755}}, "there is no file"},
		{"in a folder", []packedFile{{name: "bin/" + lampBinary, text: "x", mode: 0o755}}, "there is no file"},
		{"empty", []packedFile{{name: lampBinary, mode: 0o755}}, "is empty"},
		{"outside", other("../evil", 0o644), "outside of it"},
		{"outside, later", other("doc/../../evil", 0o644), "outside of it"},
		{"the binary, outside", []packedFile{{name: "../" + lampBinary, text: "x", mode: 0o755}}, "outside of it"},
		{"absolute", other("/etc/evil", 0o644), "outside of it"},
		{"backslash", other(`..\evil`, 0o644), "outside of it"},
		{"no name", other("", 0o644), "outside of it"},
		{"a link", other("doc", fs.ModeSymlink|0o777), "link"},
		{"the binary is a link", []packedFile{{name: lampBinary, text: "/bin/sh", mode: fs.ModeSymlink | 0o777}}, "link"},
		{"the binary is a folder", []packedFile{{name: lampBinary + "/", mode: fs.ModeDir | 0o755}}, "is a folder"},
		{"twice", []packedFile{binary, {name: lampBinary, text: "another", mode: 0o755}}, "twice"},
		{"twice, spelt differently", []packedFile{binary, {name: "./" + lampBinary, text: "another", mode: 0o755}}, "twice"},
		{"a file and a folder of one name", []packedFile{binary, {name: "x", text: "1", mode: 0o644}, {name: "x/", mode: fs.ModeDir | 0o755}}, "twice"},
	} {
		for _, p := range []struct {
			packing
			make func(testing.TB, ...packedFile) []byte
		}{{packedZip, zipOf}, {packedTar, tarOf}} {
			if c.name == "no name" && p.packing == packedTar {
				continue // Go's tar does not write one
			}
			var got bytes.Buffer
			err := unpack(file(t, p.make(t, c.files...)), p.packing, lampBinary, &got)
			switch {
			case c.want == "" && (err != nil || got.String() != "the binary"):
				t.Errorf("%s, %s: %q, %v", c.name, p.packing, got.String(), err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%s, %s: %v, want %q", c.name, p.packing, err, c.want)
			}
		}
	}
	if err := unpack(file(t, tarOf(t, binary, packedFile{name: "hard", hard: true})), packedTar, lampBinary, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "link") {
		t.Errorf("a hard link: %v", err)
	}
}

func TestUnpackDamaged(t *testing.T) {
	good := packedFile{name: lampBinary, text: strings.Repeat("the binary ", 1000), mode: 0o755}
	for packing, text := range map[packing][]byte{packedZip: zipOf(t, good), packedTar: tarOf(t, good)} {
		for cut := range len(text) {
			if err := unpack(file(t, text[:cut]), packing, lampBinary, &bytes.Buffer{}); err == nil {
				// All of the content may be there before the end of a tar.
				if packing == packedZip || cut < len(text)-64 {
					t.Errorf("%s: cut at %d of %d, it is unpacked", packing, cut, len(text))
				}
			}
		}
		if err := unpack(file(t, []byte("not an archive")), packing, lampBinary, &bytes.Buffer{}); err == nil {
			t.Errorf("%s: a text is unpacked", packing)
		}
	}
}

// zeros is endless, and costs nothing.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// counting counts what is written, and keeps nothing.
type counting int64

func (c *counting) Write(p []byte) (int, error) { *c += counting(len(p)); return len(p), nil }

func TestUnpackBombs(t *testing.T) {
	var many []packedFile
	for i := range maxEntries + 1 {
		many = append(many, packedFile{name: strings.Repeat("x", i%50+1) + string(rune('a'+i%26)) + strings.Repeat("y", i/50), text: "", mode: 0o644})
	}
	for packing, text := range map[packing][]byte{packedZip: zipOf(t, many...), packedTar: tarOf(t, many...)} {
		if err := unpack(file(t, text), packing, lampBinary, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "more than 1000 files") {
			t.Errorf("%s: %v", packing, err)
		}
	}
	// A list of millions would take gigabytes before any of it is looked at.
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := range 100_000 {
		if _, err := z.CreateRaw(&zip.FileHeader{Name: strconv.Itoa(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := unpack(file(t, b.Bytes()), packedZip, lampBinary, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "far too many files") {
		t.Errorf("a long list: %v", err)
	}
	if testing.Short() {
		t.Skip("a gigabyte of zeros takes seconds")
	}
	var deflated bytes.Buffer
	w, err := flate.NewWriter(&deflated, flate.BestSpeed)
	if err == nil {
		_, err = io.CopyN(w, zeros{}, maxBinary+1)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, says := range []uint64{maxBinary + 1, 10} { // the honest one, and one that lies
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		to, err := z.CreateRaw(&zip.FileHeader{Name: lampBinary, Method: zip.Deflate, CompressedSize64: uint64(deflated.Len()), UncompressedSize64: says})
		if err == nil {
			_, err = to.Write(deflated.Bytes())
		}
		if err == nil {
			err = z.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		var n counting
		if err := unpack(file(t, b.Bytes()), packedZip, lampBinary, &n); err == nil || n > maxBinary {
			t.Errorf("a zip of %d bytes with a gigabyte in it, which says %d: %v, %d written", b.Len(), says, err, n)
		}
	}
}

func TestAtMost(t *testing.T) {
	var n counting
	written, err := io.Copy(&n, atMost(zeros{}, 100_000))
	if err == nil || written != 100_000 {
		t.Errorf("%d, %v", written, err)
	}
	if written, err := io.Copy(&n, atMost(strings.NewReader("abc"), 3)); err != nil || written != 3 {
		t.Errorf("just enough: %d, %v", written, err)
	}
}

func FuzzUnpack(f *testing.F) {
	good := packedFile{name: lampBinary, text: "the binary", mode: 0o755}
	licence := packedFile{name: "LICENSE", text: "free", mode: 0o644}
	link := packedFile{name: "doc", text: "/etc", mode: fs.ModeSymlink | 0o777}
	for _, files := range [][]packedFile{{good}, {good, licence}, {good, link}, {{name: "../x", text: "x", mode: 0o644}}} {
		f.Add(zipOf(f, files...), true)
		f.Add(tarOf(f, files...), false)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte, isZip bool) {
		packing := packedTar
		if isZip {
			packing = packedZip
		}
		archive, err := os.CreateTemp(dir, "")
		if err != nil {
			t.Fatal(err)
		}
		defer os.Remove(archive.Name())
		defer archive.Close()
		if _, err := archive.Write(text); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Seek(0, 0); err != nil {
			t.Fatal(err)
		}
		var n counting
		if err := unpack(archive, packing, lampBinary, &n); err == nil && (n == 0 || n > maxBinary) {
			t.Errorf("unpacked %d bytes", n)
		}
	})
}
