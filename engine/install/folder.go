package install

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"syscall"

	"github.com/faultline-go/faultline/engine/install/address"
)

// folder is a mirror on a disk or a USB stick. Nothing outside of it is read, not even
// through a link in it.
type folder struct{ dir string }

func (f folder) Versions(ctx context.Context, a address.Address) ([]string, error) {
	return getter(f.get).versions(ctx, a)
}

func (f folder) Release(ctx context.Context, a address.Address, version string) (*Release, error) {
	return getter(f.get).release(ctx, a, version)
}

func (f folder) Archive(_ context.Context, a address.Address, archive Archive, to *os.File) error {
	u, err := url.Parse(archive.URL)
	if err != nil || u.Scheme != "" || u.Host != "" || u.Path == "" || path.IsAbs(u.Path) {
		return fmt.Errorf("the mirror %s says that an archive is at %q, which is not in the mirror", f.dir, archive.URL)
	}
	r, err := f.open(path.Join(a.String(), u.Path), maxArchive)
	if err != nil {
		return err
	}
	defer r.Close()
	if _, err := io.Copy(to, atMost(r, maxArchive)); err != nil {
		return fmt.Errorf("read %s: %w", r.Name(), err)
	}
	return nil
}

func (f folder) get(_ context.Context, path string, limit int64) ([]byte, error) {
	r, err := f.open(path, limit)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	text, err := io.ReadAll(atMost(r, limit))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", filepath.Join(f.dir, path), err)
	}
	return text, nil
}

func (f folder) open(path string, limit int64) (*os.File, error) {
	root, err := os.OpenRoot(f.dir)
	if errors.Is(err, fs.ErrNotExist) { // not an answer about a plugin
		return nil, fmt.Errorf("the mirror %s is not there; is it mounted?", f.dir)
	}
	if err != nil {
		return nil, fmt.Errorf("open the mirror: %w", err)
	}
	defer root.Close()
	file, err := root.OpenFile(filepath.FromSlash(path), os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe would wait for its writer
	if err != nil {
		return nil, fmt.Errorf("open in the mirror %s: %w", f.dir, err)
	}
	info, err := file.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = fmt.Errorf("%s is no file", filepath.Join(f.dir, path))
	case info.Size() > limit:
		err = fmt.Errorf("%s has %d bytes, and %d are the most that is read", filepath.Join(f.dir, path), info.Size(), limit)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}
