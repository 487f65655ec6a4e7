package main

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/plugins/internal/cgroup"
	"github.com/faultline-go/faultline/plugins/internal/incarnation"
	"github.com/faultline-go/faultline/sdk"
)

// A crash goes past the engine: a signal to the container's main process, for which it
// has died by itself, so that the restart policy acts; or the freezer of its control
// group. It is as fast as the kernel, where the engine deals with one container after
// the other. It can only be done where the engine's process ids mean something, which
// is looked at in the process's control groups: they carry the container's id.

const (
	viaEngine = "engine"
	viaCrash  = "crash"
)

// mainProcess finds the container's main process among those of this machine. Its
// incarnation is taken first and its groups are looked at afterwards, so that a process
// id that was given to another process meanwhile is noticed.
func (s snapshot) mainProcess() (incarnation.Incarnation, cgroup.Groups, error) {
	const need = "this needs to run on the Docker engine's own host, outside of a container"
	if s.Pid <= 0 {
		return incarnation.Incarnation{}, cgroup.Groups{}, fmt.Errorf("container %s has no process: %w", s.Name, sdk.ErrGone)
	}
	p, err := incarnation.Of(s.Pid)
	var groups cgroup.Groups
	if err == nil {
		groups, err = cgroup.Here.Of(s.Pid)
	}
	switch {
	case errors.Is(err, sdk.ErrGone):
		err = fmt.Errorf("process %d of container %s is not on this machine: %s", s.Pid, s.Name, need)
	case err != nil:
		err = fmt.Errorf("look at process %d of container %s: %w", s.Pid, s.Name, err)
	case !groups.Within(s.ID):
		err = fmt.Errorf("process %d on this machine does not belong to container %s: %s", s.Pid, s.Name, need)
	}
	return p, groups, err
}

// crashable says whether crash could work, without touching anything, and on whom.
func (s snapshot) crashable() (incarnation.Incarnation, error) {
	p, _, err := s.mainProcess()
	if err != nil {
		return p, err
	}
	return p, signal(p, s.Name, 0)
}

// crash sends the signal. It asks the engine nothing: while it kills a hundred
// containers, the engine is busy with the ends of the first.
func (u life) crash(name string) error { return signal(*u.Process, u.Name, signals[name]) }

func signal(p incarnation.Incarnation, container string, s unix.Signal) error {
	h, err := p.Open()
	if err == nil {
		defer h.Close()
		err = h.Signal(s)
	}
	if errors.Is(err, sdk.ErrGone) {
		return fmt.Errorf("the main process of container %s has ended: %w", container, sdk.ErrGone)
	}
	if err != nil {
		return fmt.Errorf("container %s: %w", container, err)
	}
	return nil
}

var signals = map[string]unix.Signal{
	"SIGHUP": unix.SIGHUP, "SIGINT": unix.SIGINT, "SIGQUIT": unix.SIGQUIT, "SIGABRT": unix.SIGABRT, "SIGKILL": unix.SIGKILL,
	"SIGUSR1": unix.SIGUSR1, "SIGSEGV": unix.SIGSEGV, "SIGUSR2": unix.SIGUSR2, "SIGTERM": unix.SIGTERM,
}
