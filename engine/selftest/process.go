package selftest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// process is one process, known by its number and its start: a number alone may be
// another's tomorrow.
type process struct {
	pid    int
	start  uint64 // clock ticks since boot
	parent int
	state  byte
	exe    string // path of its program; read by under only
}

// look reads a process; false when there is none.
func look(pid int) (process, bool) {
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return process{}, false
	}
	// The second field is the name in parentheses, which may hold anything.
	end := bytes.LastIndexByte(raw, ')')
	fields := strings.Fields(string(raw[end+1:]))
	if end < 0 || len(fields) < 20 {
		return process{}, false
	}
	p := process{pid: pid, state: fields[0][0]}
	p.parent, _ = strconv.Atoi(fields[1])
	p.start, err = strconv.ParseUint(fields[19], 10, 64)
	return p, err == nil
}

// signal reaches this process or none: the handle is opened first, and the process
// looked at after.
func (p process) signal(s syscall.Signal) error {
	fd, err := unix.PidfdOpen(p.pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return os.ErrProcessDone
	}
	if err != nil {
		return fmt.Errorf("open process %d: %w", p.pid, err)
	}
	defer unix.Close(fd)
	if now, ok := look(p.pid); !ok || now.start != p.start {
		return os.ErrProcessDone
	}
	err = unix.PidfdSendSignal(fd, s, nil, 0)
	if errors.Is(err, unix.ESRCH) {
		return os.ErrProcessDone
	}
	if err != nil {
		return fmt.Errorf("send %s to process %d: %w", s, p.pid, err)
	}
	return nil
}

// under lists the live processes whose program lies in a folder. It is empty for
// zombies: they have no program any more.
func under(dir string) ([]process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var out []process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		exe, err := os.Readlink("/proc/" + e.Name() + "/exe")
		if err != nil || !strings.HasPrefix(exe, dir+string(filepath.Separator)) {
			continue
		}
		if p, ok := look(pid); ok && p.state != 'Z' && p.state != 'X' {
			p.exe = strings.TrimSuffix(exe, " (deleted)")
			out = append(out, p)
		}
	}
	return out, nil
}

func (p process) name() string { return filepath.Base(p.exe) }
