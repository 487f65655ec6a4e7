//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/sdk"
)

// handle holds on to one incarnation: what is sent through it reaches that process
// or nobody, whatever happens to its pid.
type handle struct {
	incarnation
	fd int
}

// open takes hold of the process, or returns sdk.ErrGone. The pidfd comes first and
// the check after it: a process that still has our start time then is the one that
// the pidfd stands for.
func (i incarnation) open() (*handle, error) {
	fd, err := unix.PidfdOpen(i.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil, fmt.Errorf("process %d: %w", i.PID, sdk.ErrGone)
	}
	if err != nil {
		return nil, fmt.Errorf("take hold of process %d (needs Linux 5.3 or newer): %w", i.PID, err)
	}
	h := &handle{i, fd}
	if _, alive, err := i.find(); err != nil || !alive {
		h.close()
		if err == nil {
			err = fmt.Errorf("process %d: %w", i.PID, sdk.ErrGone)
		}
		return nil, err
	}
	return h, nil
}

func (h *handle) close() { unix.Close(h.fd) }

// send sends a signal; signal 0 only asks whether we may.
func (h *handle) send(s unix.Signal) error {
	err := unix.PidfdSendSignal(h.fd, s, nil, 0)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ESRCH):
		return fmt.Errorf("process %d: %w", h.PID, sdk.ErrGone)
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("signal process %d: it belongs to another user: run faultline as that user or as root: %w", h.PID, err)
	}
	return fmt.Errorf("send %s to process %d: %w", unix.SignalName(s), h.PID, err)
}

// look is how often a wait looks up from the kernel to its context.
const look = 20 * time.Millisecond

// waitDead waits until the process has ended; its zombie may remain.
func (h *handle) waitDead(ctx context.Context) error {
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

// waitState waits until the state is one that want accepts. Nothing tells of a
// change of state, so it looks again and again.
func (h *handle) waitState(ctx context.Context, want func(state string) bool) error {
	tick := time.NewTicker(look / 4)
	defer tick.Stop()
	for {
		p, alive, err := h.find()
		if err != nil {
			return err
		}
		if !alive {
			return fmt.Errorf("process %d: %w", h.PID, sdk.ErrGone)
		}
		if want(p.state) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("process %d is still %s: %w", h.PID, stateName(p.state), ctx.Err())
		case <-tick.C:
		}
	}
}

// mayKill is nil when we are allowed to signal the process.
func (i incarnation) mayKill() error {
	h, err := i.open()
	if err != nil {
		return err
	}
	defer h.close()
	return h.send(0)
}

// stateName spells out a state letter of /proc/<pid>/stat.
func stateName(letter string) string {
	switch letter {
	case "R":
		return "running"
	case "S", "I":
		return "sleeping"
	case "D":
		return "waiting"
	case "T":
		return "stopped"
	case "t":
		return "traced"
	case "Z", "X", "x":
		return "dead"
	}
	return letter
}
