package install

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// fetched is a binary that was unpacked into a staging folder.
type fetched struct {
	staging *staging
	path    string
	sum     string
}

// fetch gets the binary of a release for a platform, from an archive whose checksum is
// the one that was vouched for. The binary's own checksum is taken, and left to whoever
// called to compare. Whoever called discards the staging folder.
func fetch(ctx context.Context, from Source, v *vouched, p Platform, store Store) (*fetched, error) {
	archive, packed, want, err := v.archive(p)
	if err != nil {
		return nil, err
	}
	staging, err := store.stage()
	if err != nil {
		return nil, err
	}
	out := &fetched{staging: staging, path: staging.binary(v.address.Name)}
	what := ArchiveName(v.address.Name, v.version, p) + string(packed)
	file, err := download(ctx, from, v, archive, what, want, filepath.Join(staging.dir, "archive"))
	if err == nil {
		defer file.Close()
		out.sum, err = unpackTo(file, packed, BinaryName(v.address.Name), out.path)
		if err != nil {
			err = fmt.Errorf("%s: %w", what, err)
		}
	}
	if err == nil {
		err = os.Remove(file.Name())
	}
	if err != nil {
		staging.discard()
		return nil, err
	}
	return out, nil
}

// download copies an archive into a new file. With another checksum than the one wanted
// nobody looks into it.
func download(ctx context.Context, from Source, v *vouched, a Archive, what, want, path string) (file *os.File, err error) {
	file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			file.Close()
		}
	}()
	if err = from.Archive(ctx, v.address, a, file); err != nil {
		return nil, err
	}
	h := sha256.New()
	if _, err = io.Copy(h, io.NewSectionReader(file, 0, maxArchive)); err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		return nil, untrusted("the archive %s of %s has the SHA-256 %s, and %s was signed or promised; it was changed, or is not complete", what, v.address, got, want)
	}
	_, err = file.Seek(0, io.SeekStart)
	return file, err
}

// unpackTo writes the binary of an archive to a path, executable and on the disk, and
// returns its SHA-256.
func unpackTo(archive *os.File, packed packing, name, path string) (sum string, err error) {
	to, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	err = unpack(archive, packed, name, io.MultiWriter(to, h))
	if err == nil {
		err = to.Chmod(0o500)
	}
	if err == nil {
		err = to.Sync()
	}
	if e := to.Close(); err == nil {
		err = e
	}
	return hex.EncodeToString(h.Sum(nil)), err
}
