package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/faultline-go/faultline/sdk"
)

// A crash is a signal to the container's main process that the engine has not sent:
// for the engine it has died by itself, and the restart policy acts. It can only be
// sent where the engine's process ids mean something, which is looked at in the
// process's control groups: they carry the container's id.

// procDir is where the kernel shows processes.
const procDir = "/proc"

// mainProcess gets hold of the container's main process. The handle is taken first
// and the process looked at afterwards, so that a process id that was given to
// another process meanwhile is noticed.
func (s snapshot) mainProcess() (*os.Process, error) {
	const need = `via = "crash" needs to run on the Docker engine's own host, outside of a container`
	if s.Pid <= 0 {
		return nil, fmt.Errorf("container %s has no process: %w", s.Name, sdk.ErrGone)
	}
	p, err := os.FindProcess(s.Pid)
	if err != nil {
		return nil, fmt.Errorf("get hold of process %d of container %s: %w", s.Pid, s.Name, err)
	}
	groups, err := os.ReadFile(filepath.Join(procDir, strconv.Itoa(s.Pid), "cgroup"))
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ESRCH):
		err = fmt.Errorf("process %d of container %s is not on this machine: %s", s.Pid, s.Name, need)
	case err != nil:
		err = fmt.Errorf("look at process %d of container %s: %w", s.Pid, s.Name, err)
	case !strings.Contains(string(groups), s.ID):
		err = fmt.Errorf("process %d on this machine does not belong to container %s: %s", s.Pid, s.Name, need)
	}
	if err != nil {
		return nil, errors.Join(err, p.Release())
	}
	return p, nil
}

// crashable says whether crash could work, without touching anything.
func (s snapshot) crashable() error {
	p, err := s.mainProcess()
	if err != nil {
		return err
	}
	defer p.Release()
	return s.sent(p.Signal(syscall.Signal(0)))
}

// crash sends the signal.
func (s snapshot) crash(name string) error {
	p, err := s.mainProcess()
	if err != nil {
		return err
	}
	defer p.Release()
	return s.sent(p.Signal(signals[name]))
}

func (s snapshot) sent(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrProcessDone), errors.Is(err, syscall.ESRCH):
		return fmt.Errorf("the main process of container %s has ended: %w", s.Name, sdk.ErrGone)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("signal process %d of container %s: %w: via = \"crash\" needs root", s.Pid, s.Name, err)
	}
	return fmt.Errorf("signal process %d of container %s: %w", s.Pid, s.Name, err)
}

var signals = map[string]syscall.Signal{
	"SIGHUP": syscall.SIGHUP, "SIGINT": syscall.SIGINT, "SIGQUIT": syscall.SIGQUIT, "SIGABRT": syscall.SIGABRT, "SIGKILL": syscall.SIGKILL,
	"SIGUSR1": syscall.SIGUSR1, "SIGSEGV": syscall.SIGSEGV, "SIGUSR2": syscall.SIGUSR2, "SIGTERM": syscall.SIGTERM,
}
