package quickstart

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// stopSuccessor ends the process that was started in place of one of ours, by a
// game day or by hand, and wrote its pid file. A pid file alone proves nothing,
// since the number may belong to anybody by now: the process must run the shop
// program and have been told to write this very file.
func stopSuccessor(binary, pidFile string) error {
	text, err := os.ReadFile(pidFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read its pid file: %w", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid <= 1 {
		return nil // not written by a shop process
	}
	// The handle is opened first and the process checked after: should the
	// process end and its number be given away later, a signal to the handle
	// reaches nobody (where the system has process handles, as Linux does).
	handle, err := os.FindProcess(pid)
	if err != nil {
		return nil // nobody has this number
	}
	defer handle.Release()
	ours := func() bool { return isShop(pid, binary, pidFile) }
	if !ours() {
		return removeStale(pidFile)
	}
	for _, signal := range []os.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if err := handle.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("send %v to process %d: %w", signal, pid, err)
		}
		if within(stopPatience, func() bool { return !ours() }) {
			return removeStale(pidFile)
		}
	}
	return fmt.Errorf("process %d does not end", pid)
}

// removeStale removes the pid file of a process that is gone.
func removeStale(pidFile string) error {
	if err := os.Remove(pidFile); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove its pid file: %w", err)
	}
	return nil
}

// isShop reports whether pid is a live process of the program binary that was
// started with -pid-file pidFile. A zombie has no command line and is none.
func isShop(pid int, binary, pidFile string) bool {
	args := commandLine(pid)
	if len(args) == 0 || !sameFile(args[0], binary) {
		return false
	}
	at := slices.Index(args, "-pid-file")
	return at >= 0 && at+1 < len(args) && sameFile(args[at+1], pidFile)
}

// commandLine returns the arguments of a process, nil if it cannot be told.
func commandLine(pid int) []string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err == nil {
		return strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")
	}
	if _, err := os.Stat("/proc/self"); err == nil {
		return nil
	}
	// No /proc, as on macOS. ps does not keep arguments with blanks apart; such
	// a process is then not taken for ours, and ends by its -max-life.
	line, err := exec.Command("ps", "-o", "args=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return nil
	}
	return strings.Fields(string(line))
}

// sameFile reports whether two absolute paths name one place, though one may
// lead there by a symbolic link. The files themselves need not exist any more.
func sameFile(a, b string) bool {
	if filepath.Clean(a) == filepath.Clean(b) {
		return true
	}
	first, err := filepath.EvalSymlinks(a)
	if err != nil {
		return false
	}
	second, err := filepath.EvalSymlinks(b)
	return err == nil && first == second
}

// within polls until ok holds, for at most limit.
func within(limit time.Duration, ok func() bool) bool {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		if ok() {
			return true
		}
		select {
		case <-ticker.C:
		case <-deadline.C:
			return ok()
		}
	}
}
