package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/faultline-go/faultline/sdk/plugintest"
)

// fullDisk is a file on a disk with limited room. Like a real one it may write a
// part of what it is given.
type fullDisk struct {
	diskFile
	room      int64 // the end of what is allocated, and can be
	allocated int64
	noSync    error
	noReserve bool
}

func (f *fullDisk) WriteAt(p []byte, off int64) (int, error) {
	room := max(f.room, f.allocated)
	if off+int64(len(p)) <= room {
		return f.diskFile.WriteAt(p, off)
	}
	n, err := f.diskFile.WriteAt(p[:max(0, room-off)], off)
	if err != nil {
		return n, err
	}
	return n, syscall.ENOSPC
}

func (f *fullDisk) Allocate(off, n int64) error {
	if f.noReserve {
		return errors.ErrUnsupported
	}
	if off+n > f.room {
		return syscall.ENOSPC
	}
	f.allocated = max(f.allocated, off+n)
	return nil
}

func (f *fullDisk) Sync() error { return f.noSync }

func onFullDisk(t *testing.T, room int64) (*Writer, *fullDisk) {
	w := create(t, openStore(t), "a")
	f := &fullDisk{diskFile: w.file.(diskFile), room: room}
	w.file = f
	return w, f
}

func note(n int) *Mark { return &Mark{What: "note", Text: strings.Repeat("n", n)} }

func TestAFailedWriteLeavesNoTrace(t *testing.T) {
	// The disk fills up at any byte of the third line; then there is room again, and
	// the next line may be shorter or longer than what was left.
	for room := int64(0); room < 420; room++ {
		for _, next := range []int{0, 300} {
			w, f := onFullDisk(t, 1<<20)
			write(t, w, start("x"), note(1))
			f.room = w.end + room
			if _, err := w.Append(note(300)); !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("Append with %d bytes of room: %v", room, err)
			}
			log, err := ReadAll(w.Dir())
			if err != nil || len(log.Events) != 2 {
				t.Fatalf("%d bytes of room: %v, %d events", room, err, len(log.Events))
			}
			f.room = 1 << 20
			write(t, w, note(next), note(1))
			log, err = ReadAll(w.Dir())
			if err != nil || log.Torn != nil || len(log.Events) != 4 {
				t.Fatalf("after %d bytes of room: %v, torn %v, %d events", room, err, log.Torn, len(log.Events))
			}
			w.Close()
		}
		if room > 20 && room < 380 {
			room += 36 // the ends are what matters
		}
	}
}

func TestReserveIsKeptForWhatMatters(t *testing.T) {
	w, f := onFullDisk(t, 10_000)
	write(t, w, start("x"))
	if err := w.Reserve(20_000); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("Reserve of more than there is: %v", err)
	}
	if err := w.Reserve(4_000); err != nil {
		t.Fatal(err)
	}
	samples := &Samples{Probe: strings.Repeat("p", 500)}
	var err error
	for n := 0; err == nil && n < 1000; n++ {
		_, err = w.Append(samples)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("samples on a full disk: %v", err)
	}
	if left := f.room - w.end; left < 4_000 {
		t.Fatalf("samples have used the reserve: %d bytes are left", left)
	}
	for i := range 5 {
		write(t, w, &FaultReverted{ID: fmt.Sprint(i), Cause: strings.Repeat("c", 400)})
	}
	write(t, w, &RunEnded{By: "engine"})
	log, err := ReadAll(w.Dir())
	if err != nil || log.Torn != nil {
		t.Fatal(err, log.Torn)
	}
	if _, ok := log.Events[len(log.Events)-1].Data.(*RunEnded); !ok {
		t.Error("the end of the run is not on record")
	}
}

func TestReserveWhereItIsNotSupported(t *testing.T) {
	w, f := onFullDisk(t, 1<<20)
	f.noReserve = true
	if err := w.Reserve(1 << 30); err != nil {
		t.Fatal(err)
	}
	write(t, w, start("x"), &Samples{Probe: "p"})
}

func TestSyncFailsForGood(t *testing.T) {
	w, f := onFullDisk(t, 1<<20)
	f.noSync = syscall.EIO
	if err := w.Sync(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("Sync: %v", err)
	}
	f.noSync = nil
	if err := w.Sync(); !errors.Is(err, syscall.EIO) {
		t.Errorf("Sync after a lost write: %v, want the same error", err)
	}
}

// tinyDisk mounts a file system of that size.
func tinyDisk(t *testing.T, size string) string {
	dir := t.TempDir()
	plugintest.Need(t, "root", func() error {
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
			return fmt.Errorf("mount a tmpfs: %w", err)
		}
		return nil
	})
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

func TestFullRealDisk(t *testing.T) {
	dir := tinyDisk(t, "1m")
	s, err := Open(filepath.Join(dir, "state"))
	if err != nil {
		t.Fatal(err)
	}
	w, err := s.Create("a")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	write(t, w, start("x"))
	if err := w.Reserve(4 << 20); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("Reserve of more than the disk: %v", err)
	}
	const reserve = 64 << 10
	if err := w.Reserve(reserve); err != nil {
		t.Fatal(err)
	}
	// Somebody else fills the disk, and our samples what is left.
	other := filepath.Join(dir, "other")
	if err := os.WriteFile(other, make([]byte, 2<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("fill the disk: %v", err)
	}
	samples := &Samples{Probe: strings.Repeat("p", 1000)}
	err = nil
	for n := 0; err == nil && n < 2000; n++ {
		_, err = w.Append(samples)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("samples on a full disk: %v", err)
	}
	for i := range reserve / 1200 {
		write(t, w, &FaultReverted{ID: fmt.Sprint(i), Cause: strings.Repeat("c", 1000)})
	}
	write(t, w, &RunEnded{By: "engine"})
	log, err := ReadAll(w.Dir())
	if err != nil || log.Torn != nil {
		t.Fatal(err, log.Torn)
	}
	if r, err := s.Run("a"); err != nil || !r.Finished {
		t.Errorf("run: %+v, %v", r, err)
	}
	if _, err := s.Create("b"); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Create on a full disk: %v", err)
	}
	if _, err := os.Stat(s.RunDir("b")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the run that could not be created is still there: %v", err)
	}
}

func TestReadOnlyDisk(t *testing.T) {
	dir := tinyDisk(t, "1m")
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	w := create(t, s, "a")
	write(t, w, start("x"), &RunEnded{By: "engine"})
	w.Close()
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); !errors.Is(err, syscall.EROFS) || !strings.Contains(err.Error(), "set -state-dir") {
		t.Errorf("Open of a read-only place: %v", err)
	}
	s, err = OpenRead(dir)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := s.Latest(); err != nil || r.ID != "a" || !r.Finished {
		t.Errorf("latest run of a read-only place: %+v, %v", r, err)
	}
}
