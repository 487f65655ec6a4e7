package pressure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/plugins/internal/incarnation"
)

const (
	ioBlock = 256 << 10 // of one read or write
	ioAlign = 4096      // what reads and writes past the cache ask of memory
)

func (i IO) work(mark string, target *incarnation.Incarnation) work {
	var files []*os.File
	return work{
		start: func(ctx context.Context) error {
			folder, err := openFolder(i.Path, target)
			if err != nil {
				return err
			}
			defer folder.Close()
			s, err := spaceOf(folder)
			if err != nil {
				return err
			}
			if need := int64(i.Workers) * i.Size; need > s.free/2 {
				return fmt.Errorf("%d files of %s are more than half of the %s that are free in %s", i.Workers, size(i.Size), size(s.free), i.Path)
			}
			for n := range i.Workers {
				f, err := i.open(folder, mark+"-"+strconv.Itoa(n))
				if err != nil {
					return err
				}
				files = append(files, f)
				if err := i.prefill(ctx, f); err != nil {
					return err
				}
			}
			return nil
		},
		hold: func(ctx context.Context) {
			for _, f := range files {
				if i.Write {
					go i.repeat(ctx, func(b []byte, at int64) error {
						_, err := f.WriteAt(b, at)
						return errors.Join(err, unix.Fdatasync(int(f.Fd())))
					})
				}
				if i.Read {
					go i.repeat(ctx, func(b []byte, at int64) error {
						// Without effect on a file that is read past the cache anyway.
						_ = unix.Fadvise(int(f.Fd()), at, int64(len(b)), unix.FADV_DONTNEED)
						_, err := f.ReadAt(b, at)
						if err == io.EOF {
							err = nil
						}
						return err
					})
				}
			}
		},
	}
}

// open makes a worker's file, past the cache where the file system can do that.
func (i IO) open(folder *os.File, mark string) (*os.File, error) {
	f, err := nameless(folder, mark, unix.O_DIRECT)
	if errors.Is(err, unix.EINVAL) {
		return nameless(folder, mark, 0)
	}
	return f, err
}

// prefill writes the file once: what was never written is not read from the disk.
func (i IO) prefill(ctx context.Context, f *os.File) error {
	b := aligned(ioBlock)
	for at := int64(0); at+ioBlock <= i.Size; at += ioBlock {
		fill(b, uint64(at))
		if _, err := f.WriteAt(b, at); err != nil {
			return fmt.Errorf("write to %s of the target: %w", i.Path, err)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return unix.Fdatasync(int(f.Fd()))
}

// repeat goes through the file again and again, at this worker's part of the rate.
func (i IO) repeat(ctx context.Context, do func(b []byte, at int64) error) {
	b := aligned(ioBlock)
	fill(b, uint64(time.Now().UnixNano()))
	blocks := i.Size / ioBlock
	began, done := time.Now(), int64(0)
	for n := int64(0); ctx.Err() == nil; n++ {
		// The stride visits every block, and none after its neighbour.
		if err := do(b, (n*7919%blocks)*ioBlock); err != nil {
			// A full or read-only file system: trying as fast as it goes helps nobody.
			time.Sleep(watchEvery)
		}
		if i.Rate == 0 {
			continue
		}
		done += ioBlock
		due := time.Duration(float64(done) * float64(i.Workers) / float64(i.Rate) * float64(time.Second))
		time.Sleep(due - time.Since(began))
	}
}

// aligned makes a buffer that begins where the kernel wants it.
func aligned(n int) []byte {
	b := make([]byte, n+ioAlign)
	skip := int(-uintptr(unsafe.Pointer(&b[0])) & (ioAlign - 1))
	return b[skip : skip+n : skip+n]
}
