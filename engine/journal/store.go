package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/engine/durable"
	"github.com/faultline-go/faultline/sdk/arbiter"
)

var (
	// ErrLive says that another process holds a run's lock.
	ErrLive = errors.New("the run is live")
	// ErrNoRun says that there is no such run.
	ErrNoRun = errors.New("no such run")
)

const (
	runsFolder = "runs"
	lockFile   = "lock"
)

// Store keeps the runs of a machine in its state folder: DIR/runs/<run>/.
type Store struct {
	dir  string
	disk func(run string, f File) File // what a run's journal is written through
	now  func() time.Time              // the clock of its events
}

// Open opens the state folder for writing, and makes it (0700) if it is missing.
func Open(dir string) (*Store, error) {
	const set = "set -state-dir or " + StateDirEnv + " to a folder that you may write to"
	if dir == "" {
		return nil, fmt.Errorf("no place for state: %s", set)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open state folder: %w", err)
	}
	runs := filepath.Join(dir, runsFolder)
	if err := os.MkdirAll(runs, 0o700); err != nil {
		return nil, fmt.Errorf("make state folder: %w: %s", err, set)
	}
	if err := unix.Access(runs, unix.W_OK|unix.X_OK); err != nil {
		return nil, fmt.Errorf("state folder %s cannot be written to (%w): %s", runs, err, set)
	}
	// Whoever can add a journal here says what recover does, and which program does it.
	if info, err := os.Stat(runs); err == nil && info.Mode().Perm()&0o002 != 0 {
		return nil, fmt.Errorf("state folder %s can be changed by everybody, and recover believes what it says; run: chmod o-w %s", runs, runs)
	}
	return &Store{dir: dir, disk: directly, now: time.Now}, nil
}

// OpenRead opens the state folder to read from: it may be read-only, and one that
// is missing has no runs.
func OpenRead(dir string) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open state folder: %w", err)
	}
	return &Store{dir: dir, disk: directly, now: time.Now}, nil
}

func directly(_ string, f File) File { return f }

// Through has every journal that the store opens from now on written through what
// wrap makes of its file: for simulations of disks that fill up and of processes that
// die over a write.
func (s *Store) Through(wrap func(run string, f File) File) { s.disk = wrap }

// Clock has every journal that the store opens from now on stamped by another clock:
// for simulations and measurements of runs that are longer than anybody would wait.
func (s *Store) Clock(now func() time.Time) { s.now = now }

// Dir is the state folder.
func (s *Store) Dir() string { return s.dir }

// RunDir is the folder of a run, whether it exists or not.
func (s *Store) RunDir(run string) string { return filepath.Join(s.dir, runsFolder, run) }

// Create begins the journal of a new run, in epoch 1, and takes the run's lock.
func (s *Store) Create(run string) (_ *Writer, err error) {
	if err := checkRunID(run); err != nil {
		return nil, err
	}
	dir := s.RunDir(run)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make run folder: %w", err)
	}
	defer func() {
		if err != nil {
			os.RemoveAll(dir) // nothing was recorded: no empty run is left behind
		}
	}()
	lock, err := lockRun(dir, os.O_CREATE)
	if err != nil {
		return nil, err
	}
	defer closeUnless(&err, lock)
	w := &Writer{dir: arbiter.Dir(dir), lock: lock, epoch: 1, now: s.now}
	if err := w.dir.Make(); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, FileName), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create journal: %w", err)
	}
	defer closeUnless(&err, f)
	w.file = s.disk(run, diskFile{f})
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := durable.SyncDir(d); err != nil {
			return nil, fmt.Errorf("create journal: %w", err)
		}
	}
	return w, nil
}

// TakeOver goes on with the journal of a run whose writer is gone, in a new epoch:
// plugins inject nothing any more for an older one. It returns ErrLive while
// another process holds the run. What is left of a torn last line is moved to
// torn-<epoch> beside the journal. The caller's first event should be a Takeover.
func (s *Store) TakeOver(run string) (_ *Writer, err error) {
	if err := checkRunID(run); err != nil {
		return nil, err
	}
	dir := s.RunDir(run)
	lock, err := lockRun(dir, 0)
	if err != nil {
		return nil, err
	}
	defer closeUnless(&err, lock)
	f, err := os.OpenFile(filepath.Join(dir, FileName), os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("take over run %s: %w", run, err)
	}
	defer closeUnless(&err, f)

	good := newScanner(f.Name(), f)
	for err == nil {
		_, err = good.next()
	}
	if !errors.Is(err, io.EOF) && !errors.Is(err, ErrTorn) {
		return nil, fmt.Errorf("take over run %s: %w", run, err)
	}
	torn := errors.Is(err, ErrTorn)

	w := &Writer{dir: arbiter.Dir(dir), file: s.disk(run, diskFile{f}), lock: lock, now: s.now, last: good.last.Seq, sum: good.sum, end: good.end}
	if w.epoch, err = raiseEpoch(w.dir, good.last.Epoch); err != nil {
		return nil, fmt.Errorf("take over run %s: %w", run, err)
	}
	if torn {
		if err := cutTorn(f, good.end, filepath.Join(dir, "torn-"+strconv.Itoa(w.epoch))); err != nil {
			return nil, fmt.Errorf("take over run %s: %w", run, err)
		}
	}
	return w, nil
}

// raiseEpoch begins a new epoch, above the recorded one and that of the last event.
func raiseEpoch(dir arbiter.Dir, last int) (int, error) {
	now, err := dir.Epoch()
	if errors.Is(err, fs.ErrNotExist) {
		err = dir.Make()
	}
	if err != nil {
		return 0, err
	}
	next := max(now, last) + 1
	return next, dir.SetEpoch(next)
}

// cutTorn ends the journal at end. Keeping the rest is a courtesy to whoever wants
// to see it, and must not stop a recovery on a full disk.
func cutTorn(f *os.File, end int64, aside string) error {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	rest := make([]byte, min(size-end, 1<<20))
	if n, err := f.ReadAt(rest, end); err == nil || errors.Is(err, io.EOF) {
		_ = os.WriteFile(aside, rest[:n], 0o600)
	}
	if err := f.Truncate(end); err != nil {
		return fmt.Errorf("cut the torn line off: %w", err)
	}
	return f.Sync()
}

// The lock may be held for an instant by somebody who only looks (see live): it is
// tried again that often before it counts as held.
const (
	lockTries = 20
	lockPause = 5 * time.Millisecond
)

// lockRun takes the lock of a run; create is os.O_CREATE or 0. The descriptor is
// close-on-exec, as all of Go's: no plugin inherits it.
func lockRun(dir string, create int) (*os.File, error) {
	run := filepath.Base(dir)
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|create, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("run %s in %s: %w", run, filepath.Dir(dir), ErrNoRun)
	}
	if err != nil {
		return nil, fmt.Errorf("lock run %s: %w", run, err)
	}
	for try := 1; ; try++ {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) || try == lockTries {
			break
		}
		time.Sleep(lockPause)
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		owner, _ := io.ReadAll(io.LimitReader(f, 20))
		f.Close()
		return nil, fmt.Errorf("lock run %s: %w, in process %s", run, ErrLive, strings.TrimSpace(string(owner)))
	}
	if err == nil {
		// For the message above only. On a full disk it may stay empty.
		_ = f.Truncate(0)
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
		return f, nil
	}
	f.Close()
	return nil, fmt.Errorf("lock run %s: %w", run, err)
}

// live says whether somebody holds a run's lock.
func live(dir string) bool {
	f, err := os.Open(filepath.Join(dir, lockFile))
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}

// owner is the process that says of itself that it holds a run's lock.
func owner(dir string) int {
	raw, err := os.ReadFile(filepath.Join(dir, lockFile))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil || pid < 1 {
		return 0
	}
	return pid
}

func closeUnless(err *error, c io.Closer) {
	if *err != nil {
		c.Close()
	}
}
