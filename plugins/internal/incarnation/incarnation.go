// Package incarnation tells one life of a process from the next. A pid is given to
// somebody else sooner or later; pid, start time and boot together never are. What is
// signalled is signalled through a pidfd, so that it reaches that life or nobody.
package incarnation

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/sdk"
)

// Incarnation is one life of one process: no other process of any boot has the same
// three.
type Incarnation struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start_ticks"` // since boot, field 22 of /proc/<pid>/stat
	Boot  string `json:"boot"`
}

func (i Incarnation) String() string {
	return fmt.Sprintf("pid %d started %d boot %s", i.PID, i.Start, i.Boot)
}

// Of looks at the process that has the pid now, or returns sdk.ErrGone. A zombie has ended.
func Of(pid int) (Incarnation, error) {
	boot, err := BootID()
	if err != nil {
		return Incarnation{}, err
	}
	proc, err := procfs.NewProc(pid)
	var stat procfs.ProcStat
	if err == nil {
		stat, err = proc.Stat()
	}
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ESRCH), err == nil && dead(stat):
		return Incarnation{}, fmt.Errorf("process %d: %w", pid, sdk.ErrGone)
	case err != nil:
		return Incarnation{}, fmt.Errorf("read process %d: %w", pid, err)
	}
	return Incarnation{PID: pid, Start: stat.Starttime, Boot: boot}, nil
}

// dead is true for a zombie. A leader that ended before its other threads looks like
// one, but its process lives on.
func dead(s procfs.ProcStat) bool {
	return (s.State == "Z" || s.State == "X" || s.State == "x") && s.NumThreads <= 1
}

// Alive says whether this life goes on.
func (i Incarnation) Alive() (bool, error) {
	now, err := Of(i.PID)
	if errors.Is(err, sdk.ErrGone) {
		return false, nil
	}
	return err == nil && now == i, err
}

// Explain says what went wrong while doing something to this process: that it is gone,
// what right is missing, or else err.
func (i Incarnation) Explain(doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ESRCH):
		return fmt.Errorf("process %d: %w", i.PID, sdk.ErrGone)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s process %d: it belongs to another user: run faultline as that user or as root: %w", doing, i.PID, err)
	}
	return fmt.Errorf("%s process %d: %w", doing, i.PID, err)
}

// Handle holds on to one life.
type Handle struct {
	Incarnation
	fd int
}

// Open takes hold of the process, or returns sdk.ErrGone. The pidfd comes first and the
// check after it: a process that still has our start time then is the one that the
// pidfd stands for.
func (i Incarnation) Open() (*Handle, error) {
	fd, err := unix.PidfdOpen(i.PID, 0)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) && i.PID <= 0 {
		return nil, fmt.Errorf("process %d: %w", i.PID, sdk.ErrGone)
	}
	if err != nil {
		return nil, fmt.Errorf("take hold of process %d (needs Linux 5.3 or newer): %w", i.PID, err)
	}
	h := &Handle{i, fd}
	alive, err := i.Alive()
	if err == nil && !alive {
		err = fmt.Errorf("process %d: %w", i.PID, sdk.ErrGone)
	}
	if err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}

// Close lets go of the process.
func (h *Handle) Close() { unix.Close(h.fd) }

// Signal sends a signal; 0 only asks whether we may.
func (h *Handle) Signal(s unix.Signal) error {
	return h.Explain("signal", unix.PidfdSendSignal(h.fd, s, nil, 0))
}

// look is how often a wait looks up from the kernel to its context.
const look = 20 * time.Millisecond

// Wait waits until the process has ended; its zombie may remain.
func (h *Handle) Wait(ctx context.Context) error {
	fds := []unix.PollFd{{Fd: int32(h.fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, int(look.Milliseconds()))
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for process %d to end: %w", h.PID, err)
		}
		if n > 0 {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("process %d has not ended: %w", h.PID, ctx.Err())
		}
	}
}

// BootID names this boot of the machine; it does not change while we run.
var BootID = sync.OnceValues(func() (string, error) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read the boot id: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
})
