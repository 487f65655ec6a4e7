package journal

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// File is what a Writer needs of the file system; tests put one in its place that
// fails.
type File interface {
	WriteAt(p []byte, off int64) (int, error)
	Sync() error
	Close() error
	// Allocate makes sure that n bytes from off can be written, without changing the
	// file's size. errors.ErrUnsupported: nothing is promised here.
	Allocate(off, n int64) error
}

type diskFile struct{ *os.File }

func (f diskFile) Allocate(off, n int64) error {
	for {
		err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, off, n)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS):
			return errors.ErrUnsupported
		case err != nil:
			return &os.PathError{Op: "allocate", Path: f.Name(), Err: err}
		}
		return nil
	}
}
