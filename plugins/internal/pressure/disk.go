package pressure

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/plugins/internal/incarnation"
)

// fileName is what a file is called for the moment that it has a name, on file systems
// that cannot make one without.
func fileName(mark string) string { return ".faultline-" + mark }

// openFolder opens a folder as the target sees it: links in its path lead where they
// lead for the target.
func openFolder(folder string, target *incarnation.Incarnation) (*os.File, error) {
	root := "/"
	if target != nil {
		root = filepath.Join("/proc", strconv.Itoa(target.PID), "root")
	}
	top, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open the root of the target's file system: %w", err)
	}
	defer unix.Close(top)
	fd, err := unix.Openat2(top, folder, &unix.OpenHow{
		Flags: unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT,
	})
	if err != nil {
		return nil, fmt.Errorf("open folder %s of the target: %w", folder, err)
	}
	return os.NewFile(uintptr(fd), folder), nil
}

// nameless makes a file that has no name, so that it is gone as soon as nobody holds
// it, whoever dies.
func nameless(folder *os.File, mark string, flags int) (*os.File, error) {
	flags |= unix.O_RDWR | unix.O_CLOEXEC
	fd, err := unix.Openat(int(folder.Fd()), ".", flags|unix.O_TMPFILE, 0o600)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EISDIR) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOSYS) {
		name := fileName(mark)
		fd, err = unix.Openat(int(folder.Fd()), name, flags|unix.O_CREAT|unix.O_EXCL, 0o600)
		if err == nil {
			// Before anything is written: the worst that can be left is an empty file.
			err = unix.Unlinkat(int(folder.Fd()), name, 0)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("make a file in %s of the target: %w", folder.Name(), err)
	}
	return os.NewFile(uintptr(fd), filepath.Join(folder.Name(), fileName(mark))), nil
}

// space is what a file system has, for users that are not root.
type space struct {
	free     int64
	whole    int64
	inMemory bool // it has no disk
}

func spaceOf(f *os.File) (space, error) {
	var s unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &s); err != nil {
		return space{}, fmt.Errorf("ask for the free space of %s: %w", f.Name(), err)
	}
	used := int64(s.Blocks-s.Bfree) * s.Bsize
	free := int64(s.Bavail) * s.Bsize
	memory := int64(s.Type) == unix.TMPFS_MAGIC || int64(s.Type) == unix.RAMFS_MAGIC
	return space{free: free, whole: used + free, inMemory: memory}, nil
}

// want is how much to take, given what there is.
func (d Disk) want(s space) (int64, error) {
	n := int64(0)
	if d.Size != nil {
		n = d.Size.Of(s.whole)
	} else {
		n = d.Until.Of(s.whole) - (s.whole - s.free)
	}
	reserve := d.Reserve.Of(s.whole)
	switch {
	case n <= 0:
		return 0, fmt.Errorf("%s of %s are in use already: nothing is left to take", size(s.whole-s.free), size(s.whole))
	case s.free-n < reserve:
		return 0, fmt.Errorf("%s of %s are free: taking %s would cross the reserve of %s", size(s.free), size(s.whole), size(n), size(reserve))
	}
	return n, nil
}

// filler is the file that takes the space.
type filler struct {
	file    *os.File
	size    int64
	reserve int64
}

// step is how much is taken before the reserve is looked at again: everything that a
// file system can reserve at once, little where it has to be written.
const (
	reserveStep = 256 << 20
	writeStep   = 4 << 20
)

func (d Disk) work(mark string, target *incarnation.Incarnation) work {
	var f filler
	var goal int64
	return work{
		start: func(ctx context.Context) error {
			folder, err := openFolder(d.Path, target)
			if err != nil {
				return err
			}
			defer folder.Close()
			s, err := spaceOf(folder)
			if err != nil {
				return err
			}
			if goal, err = d.want(s); err != nil {
				return err
			}
			if f.file, err = nameless(folder, mark, 0); err != nil {
				return err
			}
			f.reserve = d.Reserve.Of(s.whole)
			for f.size < goal {
				if err := f.more(goal); err != nil {
					return fmt.Errorf("took %s of %s: %w", size(f.size), size(goal), err)
				}
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
			}
			return nil
		},
		hold: func(ctx context.Context) { f.keep(ctx, goal) },
	}
}

var errReserve = errors.New("more would cross the reserve")

// more takes the next step towards the goal.
func (f *filler) more(goal int64) error {
	s, err := spaceOf(f.file)
	if err != nil {
		return err
	}
	n := min(goal-f.size, reserveStep)
	if n = min(n, s.free-f.reserve); n <= 0 {
		return errReserve
	}
	err = unix.Fallocate(int(f.file.Fd()), 0, f.size, n)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		n = min(n, writeStep)
		err = f.write(n)
	}
	if errors.Is(err, unix.EINTR) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("take space of %s: %w", filepath.Dir(f.file.Name()), err)
	}
	f.size += n
	return nil
}

// write fills the next n bytes with what cannot be compressed, and has them on the
// disk: what is only in a cache does not show in the free space.
func (f *filler) write(n int64) error {
	b := make([]byte, n)
	fill(b, uint64(f.size))
	if _, err := f.file.WriteAt(b, f.size); err != nil {
		return err
	}
	return unix.Fdatasync(int(f.file.Fd()))
}

// keep holds the space, and gives back what others need above the reserve.
func (f *filler) keep(ctx context.Context, goal int64) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s, err := spaceOf(f.file)
		if err != nil {
			continue
		}
		switch missing := f.reserve - s.free; {
		case missing > 0:
			if less := max(f.size-missing, 0); f.file.Truncate(less) == nil {
				f.size = less
			}
		case missing < -2*writeStep && f.size < goal:
			_ = f.more(min(goal, f.size-missing-writeStep)) // not now, then
		}
	}
}
