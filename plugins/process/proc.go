//go:build linux

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/plugins/internal/incarnation"
)

// process is what /proc says of one process at one moment. Its details are read
// by fill; everything else comes from /proc/<pid>/stat.
type process struct {
	incarnation.Incarnation
	parent  int
	session int
	state   string // one letter, as in /proc/<pid>/stat
	threads int
	comm    string // at most 15 bytes, and the process may change it
	kernel  bool   // a kernel thread

	executable string // path; empty when we may not read the link
	args       []string
	uid, gid   uint32 // effective
	groups     []uint32
	cgroup     string
}

// kernelThread is PF_KTHREAD of the kernel's include/linux/sched.h.
const kernelThread = 0x00200000

// readProcess reads the stat of a pid; false when there is no such process.
func readProcess(pid int) (process, bool, error) {
	boot, err := incarnation.BootID()
	if err != nil {
		return process{}, false, err
	}
	proc, err := procfs.NewProc(pid)
	if err == nil {
		var stat procfs.ProcStat
		if stat, err = proc.Stat(); err == nil {
			return process{
				Incarnation: incarnation.Incarnation{PID: pid, Start: stat.Starttime, Boot: boot},
				parent:      stat.PPID,
				session:     stat.Session,
				state:       stat.State,
				threads:     stat.NumThreads,
				comm:        stat.Comm,
				kernel:      stat.Flags&kernelThread != 0,
			}, true, nil
		}
	}
	if vanished(err) {
		return process{}, false, nil
	}
	return process{}, false, fmt.Errorf("read process %d: %w", pid, err)
}

// vanished says whether an error of reading /proc/<pid> means that for us there is
// no such process: it ended while we looked, or /proc is mounted so that it shows a
// user only his own.
func vanished(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) || errors.Is(err, fs.ErrPermission)
}

// processes reads every process of the machine that is alive, in order of pid.
func processes() ([]process, error) {
	all, err := procfs.AllProcs()
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	out := make([]process, 0, len(all))
	for _, proc := range all {
		p, ok, err := readProcess(proc.PID)
		if err != nil {
			return nil, err
		}
		if ok && !p.dead() {
			out = append(out, p)
		}
	}
	return out, nil
}

// dead is true for a zombie. A leader that ended before its other threads looks
// like one, but its process lives on.
func (p process) dead() bool {
	return (p.state == "Z" || p.state == "X" || p.state == "x") && p.threads <= 1
}

// fill reads the details; false when the process ended meanwhile.
func (p *process) fill() (bool, error) {
	proc, err := procfs.NewProc(p.PID)
	var status procfs.ProcStatus
	if err == nil {
		status, err = proc.NewStatus()
	}
	if err == nil {
		p.args, err = proc.CmdLine()
	}
	if err != nil {
		if vanished(err) {
			return false, nil
		}
		return false, fmt.Errorf("read process %d: %w", p.PID, err)
	}
	p.executable = executableOf(p.PID)
	p.uid, p.gid = uint32(status.UIDs[1]), uint32(status.GIDs[1])
	p.groups = supplementary(p.PID)
	if groups, err := proc.Cgroups(); err == nil {
		p.cgroup = cgroupPath(groups)
	}
	now, ok, err := readProcess(p.PID)
	return ok && now.Start == p.Start, err
}

// executableOf reads the path of a process's executable; a path that was deleted
// or replaced since counts as the path that it was.
func executableOf(pid int) string {
	path, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(path, " (deleted)")
}

// supplementary reads the further groups of a process, which procfs leaves out.
func supplementary(pid int) []uint32 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return nil
	}
	var out []uint32
	for line := range strings.Lines(string(text)) {
		list, ok := strings.CutPrefix(line, "Groups:")
		if !ok {
			continue
		}
		for _, g := range strings.Fields(list) {
			if n, err := strconv.ParseUint(g, 10, 32); err == nil {
				out = append(out, uint32(n))
			}
		}
	}
	return out
}

// cgroupPath is the path in the unified hierarchy, or in systemd's own on older
// machines.
func cgroupPath(groups []procfs.Cgroup) string {
	var path string
	for _, g := range groups {
		if g.HierarchyID == 0 {
			return g.Path
		}
		for _, c := range g.Controllers {
			if c == "name=systemd" {
				path = g.Path
			}
		}
	}
	return path
}

// environ reads the environment that a process was started with. One that we may
// not read is empty: what we started ourselves, we may read.
func environ(pid int) []string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return nil
	}
	return strings.Split(string(text), "\x00")
}

// name is what people call the process: its executable's file name.
func (p process) name() string {
	if p.executable != "" {
		return filepath.Base(p.executable)
	}
	return p.comm
}

// called says whether the process goes by a name: that of its executable, of its
// first argument, or the one it gave itself.
func (p process) called(name string) bool {
	return name == p.name() || name == p.comm || (len(p.args) > 0 && name == filepath.Base(p.args[0]))
}

func (p process) command() string { return strings.Join(p.args, " ") }

// key identifies what runs, across restarts: executable, arguments and user. It is
// a digest, so that an undo record holds no argument that might be a secret.
func (p process) key() string {
	first := ""
	if len(p.args) > 0 {
		first = filepath.Base(p.args[0]) // a program of many names goes by it
	}
	parts := []string{p.executable, first, strconv.FormatUint(uint64(p.uid), 10)}
	if len(p.args) > 1 {
		parts = append(parts, p.args[1:]...)
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:8])
}

// ticks is the kernel's USER_HZ, which is 100 on every architecture that Go knows.
const ticks = 100

// age is how long ago the process was started. It is counted on the clock of the
// start time itself, so that a wall clock that was set since does not matter.
func (p process) age() (time.Duration, error) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return 0, fmt.Errorf("read the clock: %w", err)
	}
	return time.Duration(now.Nano()) - time.Duration(p.Start)*(time.Second/ticks), nil
}

// userName is the name of a user id, or the number when it has none.
func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}
