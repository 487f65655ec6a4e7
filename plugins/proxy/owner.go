//go:build linux

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/prometheus/procfs"
)

// owner is the process in whose memory a fault lives, and how to talk to it.
type owner struct {
	PID    int    `json:"pid"`
	Start  uint64 `json:"start"` // in clock ticks since boot
	Boot   string `json:"boot"`
	Socket string `json:"socket"` // abstract, with a random name
}

// thisProcess describes the process itself.
func thisProcess(socket string) (owner, error) {
	boot, err := bootID()
	if err != nil {
		return owner{}, err
	}
	_, start, err := state(os.Getpid())
	return owner{PID: os.Getpid(), Start: start, Boot: boot, Socket: socket}, err
}

func bootID() (string, error) {
	raw, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("which boot is this: %w", err)
	}
	return strings.TrimSpace(string(raw)), nil
}

// state reads a process's state letter and start.
func state(pid int) (letter string, start uint64, err error) {
	proc, err := procfs.NewProc(pid)
	if err == nil {
		var s procfs.ProcStat
		if s, err = proc.Stat(); err == nil {
			return s.State, s.Starttime, nil
		}
	}
	return "", 0, fmt.Errorf("look at process %d: %w", pid, err)
}

// isGone says that a process was not there to look at.
func isGone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) }

// lives says whether the process still runs; a dead one takes its faults with it.
func (o owner) lives() (bool, error) {
	boot, err := bootID()
	if err != nil || boot != o.Boot {
		return false, err
	}
	letter, start, err := state(o.PID)
	switch {
	case isGone(err):
		return false, nil
	case err != nil:
		return false, err
	}
	return start == o.Start && letter != "Z" && letter != "X", nil
}

func (o owner) String() string { return fmt.Sprintf("process %d", o.PID) }
