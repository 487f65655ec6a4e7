package install

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
)

// Bounds of what an archive may hold: of the binary, of everything together, and of the
// number of files, which are a binary, a licence and a few texts.
const (
	maxBinary   = 1 << 30
	maxUnpacked = 2 << 30
	maxEntries  = 1000
	maxListing  = 4 << 20 // of a zip's list of files
)

// unpack writes the one file of an archive that is the plugin's binary, which stands at
// its top. Nothing else is written anywhere, whatever it is called; but an archive with
// a link, a device, a path out of it or two files of one name is refused as a whole, as
// nobody packs a plugin like that.
func unpack(f *os.File, packed packing, name string, to io.Writer) error {
	e := &entries{want: name, seen: map[string]bool{}, to: to}
	var err error
	if packed == packedZip {
		err = e.zip(f)
	} else {
		err = e.tar(f)
	}
	if err == nil && !e.found {
		err = fmt.Errorf("there is no file %s in it", name)
	}
	return err
}

type entries struct {
	want  string
	seen  map[string]bool
	found bool
	to    io.Writer
}

// wanted checks an entry and says whether it is the binary.
func (e *entries) wanted(name string, mode fs.FileMode) (bool, error) {
	bare := strings.TrimSuffix(name, "/")
	if bare == "." || bare == "./" {
		return false, nil // the top itself, as `tar -C folder .` packs it
	}
	switch {
	case len(name) > 1024 || strings.ContainsAny(name, "\\\x00") || !filepath.IsLocal(bare):
		return false, fmt.Errorf("it has a file called %q, which would be outside of it", short(name))
	case !mode.IsRegular() && !mode.IsDir():
		return false, fmt.Errorf("%q in it is a link or a device", short(name))
	case len(e.seen) == maxEntries:
		return false, fmt.Errorf("there are more than %d files in it", maxEntries)
	}
	// Two spellings of one path are one file where it is unpacked.
	clean := filepath.Clean(bare)
	if e.seen[clean] {
		return false, fmt.Errorf("%q is in it twice", short(name))
	}
	e.seen[clean] = true
	if clean != e.want {
		return false, nil
	}
	if !mode.IsRegular() {
		return false, fmt.Errorf("%s in it is a folder", e.want)
	}
	return true, nil
}

func short(name string) string { return name[:min(len(name), 100)] }

func (e *entries) copy(r io.Reader) error {
	n, err := io.Copy(e.to, atMost(r, maxBinary))
	if err != nil {
		return fmt.Errorf("unpack %s: %w", e.want, err)
	}
	if n == 0 {
		return fmt.Errorf("%s in it is empty", e.want)
	}
	e.found = true
	return nil
}

func (e *entries) zip(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	listing := &listingReader{f, maxListing}
	z, err := zip.NewReader(listing, info.Size())
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) { // wanted says it better
		return fmt.Errorf("it is no zip archive: %w", err)
	}
	listing.left = math.MaxInt64 // what is unpacked is limited by itself
	var binary *zip.File
	for _, x := range z.File {
		// All are looked at before anything is unpacked.
		ok, err := e.wanted(x.Name, x.Mode())
		if err != nil {
			return err
		}
		if ok {
			binary = x
		}
	}
	if binary == nil {
		return nil
	}
	if binary.UncompressedSize64 > maxBinary {
		return fmt.Errorf("%s in it has more than %d bytes", e.want, maxBinary)
	}
	r, err := binary.Open()
	if err != nil {
		return fmt.Errorf("unpack %s: %w", e.want, err)
	}
	defer r.Close()
	return e.copy(r)
}

// listingReader bounds what is read of a zip before it is known how many files are in it:
// the reader keeps something of each, and a gigabyte has room for millions.
type listingReader struct {
	io.ReaderAt
	left int64
}

func (r *listingReader) ReadAt(p []byte, at int64) (int, error) {
	if r.left -= int64(len(p)); r.left < 0 {
		return 0, errors.New("there are far too many files in it")
	}
	return r.ReaderAt.ReadAt(p, at)
}

func (e *entries) tar(f *os.File) error {
	z, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("it is no gzip archive: %w", err)
	}
	t := tar.NewReader(atMost(z, maxUnpacked))
	for {
		h, err := t.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return fmt.Errorf("read the archive: %w", err)
		}
		mode := h.FileInfo().Mode()
		if h.Typeflag == tar.TypeLink {
			mode |= fs.ModeSymlink // a hard link looks like a file
		}
		ok, err := e.wanted(h.Name, mode)
		if err == nil && ok {
			err = e.copy(t)
		}
		if err != nil {
			return err
		}
	}
}
