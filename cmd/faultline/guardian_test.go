package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/engine/judge"
)

// TestGuardianDetached looks at the guardian and the plugins of a run as the kernel
// sees them: who has which terminal, session and descriptors, and what it costs to
// sleep.
func TestGuardianDetached(t *testing.T) {
	t.Parallel()
	work := workFolder(t)
	cmd := faultlineIn(t, work, "run", "day", "-var", "duration=1h")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	t.Cleanup(func() {
		if !ended {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	if !eventually(func() bool { return exists(filepath.Join(work, "things", "pear.marked")) }) {
		t.Fatal("no fault is injected")
	}
	runs, err := filepath.Glob(filepath.Join(work, "state", "runs", "*"))
	if err != nil || len(runs) != 1 {
		t.Fatalf("runs %v, %v", runs, err)
	}
	guardian := guardianOf(t, work)

	stat := statOf(t, guardian)
	if session, group, terminal := stat[3], stat[2], stat[4]; session != strconv.Itoa(guardian) || group != session || terminal != "0" {
		t.Errorf("guardian %d is in session %s, group %s, on terminal %s", guardian, session, group, terminal)
	}
	if parent := statOf(t, cmd.Process.Pid); parent[3] == stat[3] {
		t.Error("the guardian is in its engine's session")
	}
	pipe := descriptors(t, guardian)["0"]
	if !strings.HasPrefix(pipe, "pipe:") {
		t.Fatalf("the guardian sleeps on %q", pipe)
	}
	if !holds(descriptors(t, cmd.Process.Pid), pipe) {
		t.Error("the engine does not hold the guardian's pipe")
	}

	plugins := 0
	for _, pid := range children(t, cmd.Process.Pid) {
		if pid == guardian {
			continue
		}
		plugins++
		open := descriptors(t, pid)
		if holds(open, pipe) {
			t.Errorf("plugin %d has the guardian's pipe open: the guardian would not see the engine die", pid)
		}
		for _, to := range open {
			if strings.HasPrefix(to, runs[0]) || strings.HasPrefix(to, filepath.Join(work, "state", "locks")) {
				t.Errorf("plugin %d has %s open: it would hold a dead engine's lock", pid, to)
			}
		}
	}
	if plugins == 0 {
		t.Error("the engine has no plugin")
	}
	if open := descriptors(t, guardian); holds(open, filepath.Join(runs[0], "lock")) || holds(open, filepath.Join(runs[0], "journal.jsonl")) {
		t.Errorf("the guardian has the run open: %v", open)
	}

	// Asleep it uses no processor. It may not have come to its sleep yet.
	ticks := func() (n int) {
		for _, s := range statOf(t, guardian)[11:13] { // user and system time
			x, err := strconv.Atoi(s)
			if err != nil {
				t.Fatal(err)
			}
			n += x
		}
		return n
	}
	if !eventually(func() bool {
		before := ticks()
		<-time.After(2 * time.Second)
		return ticks()-before <= 1
	}) {
		t.Error("the guardian uses the processor while it sleeps")
	}
	if err := cmd.Process.Signal(unix.SIGINT); err != nil {
		t.Fatal(err)
	}
	err = cmd.Wait()
	ended = true
	if got := code(t, err); got != judge.ExitAborted {
		t.Errorf("the run ends with %d:\n%s", got, out.String())
	}
	if exists(filepath.Join(work, "things", "pear.marked")) {
		t.Error("nothing is put back")
	}
	if exists(fmt.Sprintf("/proc/%d", guardian)) {
		t.Error("the guardian outlives a run that ended")
	}
}

// statOf are the fields of /proc/PID/stat from the third on, the state.
func statOf(t *testing.T, pid int) []string {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
	if len(fields) < 20 {
		t.Fatalf("process %d: %q", pid, raw)
	}
	return fields
}

// descriptors are a process's open files by number.
func descriptors(t *testing.T, pid int) map[string]string {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, e := range entries {
		if to, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil {
			out[e.Name()] = to
		}
	}
	return out
}

func holds(open map[string]string, what string) bool {
	for _, to := range open {
		if to == what {
			return true
		}
	}
	return false
}

// children are the living processes whose parent this one is.
func children(t *testing.T, parent int) []int {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	var out []int
	for _, path := range paths {
		raw, err := os.ReadFile(filepath.Join(path, "stat"))
		if err != nil {
			continue
		}
		fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
		pid, _ := strconv.Atoi(filepath.Base(path))
		if len(fields) > 1 && fields[1] == strconv.Itoa(parent) && fields[0] != "Z" {
			out = append(out, pid)
		}
	}
	return out
}

// TestGuardianIsSmall measures the program as users have it: the race detector's
// memory is not theirs.
func TestGuardianIsSmall(t *testing.T) {
	t.Parallel()
	dir, err := real.build()
	if err != nil {
		t.Fatal(err)
	}
	dummy, err := exec.LookPath("faultline-plugin-dummy")
	if err != nil {
		t.Fatal(err)
	}
	work := workFolder(t)
	cmd := faultlineIn(t, work, "run", "day", "-var", "duration=1h", "-insecure", "-plugin-dir", filepath.Dir(dummy)) // nothing vouches for a test binary
	cmd.Path = filepath.Join(dir, "faultline")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() })
	t.Cleanup(func() { _ = cmd.Process.Signal(unix.SIGTERM) })
	if !eventually(func() bool { return exists(filepath.Join(work, "things", "pear.marked")) }) {
		t.Fatal("no fault is injected")
	}
	// It may not have come to its sleep yet: nobody waits for that.
	var kb int
	if guardian := guardianOf(t, work); !eventually(func() bool { kb = resident(t, guardian); return kb <= 10<<10 }) {
		t.Errorf("a sleeping guardian has %d KiB of memory", kb)
	}
}

// guardianOf is the guardian's pid of the only run in a work folder.
func guardianOf(t *testing.T, work string) int {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(work, "state", "runs", "*", "guardian.pid"))
	if err != nil || len(found) != 1 {
		t.Fatalf("guardians %v, %v", found, err)
	}
	raw, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// resident is the memory that a process has in use, in KiB, with what it shares.
func resident(t *testing.T, pid int) int {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		var kb int
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kb); n == 1 {
			return kb
		}
	}
	t.Fatal("the kernel does not say VmRSS")
	return 0
}

// TestGuardianIgnoresSignals: what asks processes to end is not meant for the guardian,
// which then still does its work.
func TestGuardianIgnoresSignals(t *testing.T) {
	t.Parallel()
	work := workFolder(t)
	cmd := faultlineIn(t, work, "run", "day", "-var", "duration=1h")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() })
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	mark := filepath.Join(work, "things", "pear.marked")
	if !eventually(func() bool { return exists(mark) }) {
		t.Fatal("no fault is injected")
	}
	guardian := guardianOf(t, work)
	for _, s := range []unix.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP} {
		if err := unix.Kill(guardian, s); err != nil {
			t.Fatal(err)
		}
	}
	for _, pid := range children(t, cmd.Process.Pid) {
		if pid != guardian {
			if err := unix.Kill(pid, unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if !eventually(func() bool { return !exists(mark) }) {
		t.Error("the guardian does not put back")
	}
}

// TestGuardianIsReplaced ends the guardian before there is a fault, or stops it: another
// watches over the fault, and the report tells of it.
func TestGuardianIsReplaced(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		signal unix.Signal
		says   string
	}{
		{"killed", unix.SIGKILL, "had ended (its guardian.log may say why); another took its place"},
		{"stopped", unix.SIGSTOP, "had not begun to watch after 10s; another took its place"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			work := workFolder(t)
			cmd := faultlineIn(t, work, "run", "day", "-var", "duration=1h")
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var first int
			if !eventually(func() bool { // the file is there a moment before its text
				found, _ := filepath.Glob(filepath.Join(work, "state", "runs", "*", "guardian.pid"))
				if len(found) != 1 {
					return false
				}
				raw, _ := os.ReadFile(found[0])
				first, _ = strconv.Atoi(strings.TrimSpace(string(raw)))
				return first != 0
			}) {
				t.Fatal("there is no guardian")
			}
			if err := unix.Kill(first, c.signal); err != nil {
				t.Fatal(err)
			}
			mark := filepath.Join(work, "things", "pear.marked")
			if !eventually(func() bool { return exists(mark) }) {
				t.Fatal("no fault is injected")
			}
			second := guardianOf(t, work)
			if second == first || exists(fmt.Sprintf("/proc/%d", first)) {
				t.Errorf("guardian %d is not replaced: %d is there", first, second)
			}
			// It guards: what all others leave, it puts back.
			for _, pid := range children(t, cmd.Process.Pid) {
				if pid != second {
					if err := unix.Kill(pid, unix.SIGKILL); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			if !eventually(func() bool { return !exists(mark) }) {
				t.Error("it does not put back")
			}
			if !strings.Contains(out.String(), c.says) {
				t.Errorf("the run does not say %q:\n%s", c.says, out.String())
			}
		})
	}
}

// TestNoGuardianCanBeStarted: then nothing may be broken.
func TestNoGuardianCanBeStarted(t *testing.T) {
	start := func() (*guardianProcess, error) {
		cmd := exec.Command(os.Args[0], "-test.run=^$")
		pipe, err := cmd.StdinPipe()
		if err != nil {
			return nil, err
		}
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		p := &guardianProcess{process: cmd.Process, pipe: pipe, ready: make(chan struct{}), done: make(chan struct{})}
		go func() {
			defer close(p.done)
			_ = cmd.Wait()
		}()
		return p, nil
	}
	first, err := start()
	if err != nil {
		t.Fatal(err)
	}
	x := &guardian{start: start, now: first}
	defer x.dismiss()
	if news, err := x.watches(t.Context()); err == nil || !strings.Contains(err.Error(), "had ended") || news != "" {
		t.Errorf("guardians that end at once: %q, %v", news, err)
	}
	x.start = func() (*guardianProcess, error) { return nil, errors.New("no more processes") }
	if news, err := x.watches(t.Context()); err == nil || !strings.Contains(err.Error(), "no more processes") || news != "" {
		t.Errorf("no guardian: %q, %v", news, err)
	}
}
