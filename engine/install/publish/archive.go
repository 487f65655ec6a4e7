package publish

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/faultline-go/faultline/engine/install"
)

// Archive is the plugin for one platform, packed.
type Archive struct {
	Platform install.Platform
	File     string // its name
	Size     int64
	SHA256   string
	Binary   string // SHA-256 of the binary in it
}

// epoch is when everything in an archive was last changed: the first moment that a zip
// file can express.
var epoch = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// pack writes the archive of a binary into a folder.
func (r Release) pack(dir string, b Binary) (a Archive, err error) {
	a = Archive{Platform: b.Platform, File: install.ArchiveName(r.Source.Name, r.Version, b.Platform) + ".zip"}
	out, err := os.OpenFile(filepath.Join(dir, a.File), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return a, err
	}
	defer func() {
		if e := out.Close(); err == nil {
			err = e
		}
	}()
	packed := sha256.New()
	z := zip.NewWriter(io.MultiWriter(out, packed))
	if a.Binary, err = add(z, install.BinaryName(r.Source.Name), b.Path, 0o755); err != nil {
		return a, err
	}
	if b.SHA256 != "" && b.SHA256 != a.Binary {
		return a, fmt.Errorf("%s was changed while it was packed; try again", b.Path)
	}
	if r.License != "" {
		if _, err := add(z, "LICENSE", r.License, 0o644); err != nil {
			return a, err
		}
	}
	if err := z.Close(); err != nil {
		return a, err
	}
	a.SHA256 = hex.EncodeToString(packed.Sum(nil))
	if a.Size, err = out.Seek(0, io.SeekCurrent); err != nil {
		return a, err
	}
	return a, out.Sync()
}

// add puts a file into an archive, and returns its SHA-256.
func add(z *zip.Writer, name, path string, mode os.FileMode) (string, error) {
	in, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer in.Close()
	if info, err := in.Stat(); err != nil {
		return "", err
	} else if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is no file", path)
	}
	h := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: epoch}
	h.SetMode(mode)
	w, err := z.CreateHeader(h)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(w, sum), in); err != nil {
		return "", fmt.Errorf("pack %s: %w", path, err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// checksums is the file that `sha256sum -c` reads: the archives, and the binaries in them
// as they are when each archive is unpacked into a folder called for its platform.
func (r Release) checksums(archives []Archive) []byte {
	var b bytes.Buffer
	for _, a := range archives {
		fmt.Fprintf(&b, "%s  %s\n", a.SHA256, a.File)
	}
	for _, a := range archives {
		fmt.Fprintf(&b, "%s  %s\n", a.Binary, install.BinaryInArchives(r.Source.Name, a.Platform))
	}
	return b.Bytes()
}

// documentText is what a mirror says of a version.
func (r Release) documentText(archives []Archive) []byte {
	type archive struct {
		URL    string   `json:"url"` // relative to the document
		Hashes []string `json:"hashes"`
	}
	all := map[string]archive{}
	for _, a := range archives {
		all[a.Platform.String()] = archive{a.File, []string{"zh:" + a.SHA256}}
	}
	doc := map[string]any{"archives": all}
	if len(r.Protocols) > 0 {
		doc["protocols"] = r.Protocols
	}
	return text(doc)
}

func text(v any) []byte {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic(err) // of maps, strings, and JSON that was read
	}
	return append(raw, '\n')
}

func writeFile(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}
