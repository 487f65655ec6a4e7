package pressure

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/plugins/internal/cgroup"
	"github.com/faultline-go/faultline/plugins/internal/incarnation"
)

// mostProcesses bounds what one fault starts, whatever the limit leaves room for: each
// costs the kernel about 100 KB.
const mostProcesses = 20_000

// keptForUs is how many processes are left to the plugin itself where it shares its
// control group with the pressure.
const keptForUs = 256

func (p Processes) work(target *incarnation.Incarnation) work {
	var pids []int
	if target == nil {
		p.Free = max(p.Free, keptForUs)
	}
	return work{
		start: func(ctx context.Context) error {
			for {
				n, err := p.missing(os.Getpid(), len(pids))
				if err != nil {
					return err
				}
				if n <= 0 {
					break
				}
				for range n {
					if ctx.Err() != nil {
						return context.Cause(ctx)
					}
					pid, err := idle()
					if err == unix.EAGAIN {
						return p.short(len(pids)) // some limit is met
					}
					if err != 0 {
						return fmt.Errorf("start a process: %w", err)
					}
					pids = append(pids, pid)
				}
			}
			return p.short(len(pids))
		},
		hold: func(context.Context) {},
		// They would end with us, but then it is left to the first process of the machine
		// when they stop to count.
		stop: func() {
			for _, pid := range pids {
				_ = unix.Kill(pid, unix.SIGKILL) // ours, and not waited for: the pid is nobody else's
			}
			for _, pid := range pids {
				_, _ = unix.Wait4(pid, nil, 0, nil)
			}
		},
	}
}

// short is the error for a fault that could not start anything.
func (p Processes) short(started int) error {
	if started > 0 {
		return nil
	}
	return errors.New("the limit leaves no room for a process: it is met already")
}

// missing is how many processes are still to be started in the control group of a
// process.
func (p Processes) missing(pid, started int) (int, error) {
	most := mostProcesses
	if p.Limit > 0 {
		most = min(most, p.Limit)
	}
	g, err := cgroup.Here.Of(pid)
	if err != nil {
		return 0, err
	}
	pids, limited, err := g.PIDs()
	switch {
	case err != nil:
		return 0, err
	case limited:
		return int(min(pids.Room-int64(p.Free), int64(most-started))), nil
	case p.Limit == 0:
		return 0, errors.New("the target's control group has no limit of processes that could be exhausted: give it one (pids.max, TasksMax=, docker run --pids-limit), or say how many processes to start with processes")
	}
	return most - started, nil
}

// idle starts a process that does nothing and ends with the thread that calls this. It
// is a copy of this one that never comes back to the Go runtime: it may only make raw
// system calls, and is one process without further threads, as its target's would be.
//
//go:norace
//go:nosplit
func idle() (int, unix.Errno) {
	parent, _ := unix.RawSyscallNoError(unix.SYS_GETPID, 0, 0, 0)
	pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 || pid != 0 {
		return int(pid), errno
	}
	unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0)
	// Nobody waits at the other end of our copies of the pipes to the plugin.
	unix.RawSyscall(unix.SYS_CLOSE, 0, 0, 0)
	unix.RawSyscall(unix.SYS_CLOSE, 1, 0, 0)
	if now, _ := unix.RawSyscallNoError(unix.SYS_GETPPID, 0, 0, 0); now != parent {
		unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
	}
	for {
		unix.RawSyscall6(unix.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
	}
}
