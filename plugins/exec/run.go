package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

// result is how a command ended.
type result struct {
	status int    // exit status; -1 when a signal ended it
	ended  string // "exit status 3", "killed by SIGSEGV"
	stdout string // its first kilobyte, valid UTF-8
	stderr string // likewise
}

// errNotRun is a command that could not be started: it says nothing of what it was
// to measure.
var errNotRun = errors.New("the command could not be started")

const (
	kept = 1 << 10 // bytes of output that are kept
	// How long a command that has ended, or was killed, may keep its output open: its
	// children may have it still. They are not waited for.
	outputGrace = 100 * time.Millisecond
)

// run runs the command to its end, or to that of ctx: then its process group is
// killed, and ctx's error returned.
func (c *command) run(ctx context.Context) (result, error) {
	catchIgnored()
	var stdout, stderr head
	cmd := exec.CommandContext(ctx, c.path)
	cmd.Args, cmd.Dir, cmd.Env = c.args, c.dir, c.env
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = outputGrace
	if err := ctx.Err(); err != nil {
		return result{}, err
	}
	if err := cmd.Start(); err != nil {
		return result{}, errors.Join(errNotRun, err)
	}
	err := cmd.Wait()
	if ctx.Err() != nil && !endedByItself(cmd.ProcessState) {
		return result{}, ctx.Err()
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) && ctx.Err() == nil {
		return result{}, fmt.Errorf("wait for the command: %w", err)
	}
	return result{
		status: cmd.ProcessState.ExitCode(),
		ended:  endOf(cmd.ProcessState),
		stdout: stdout.String(),
		stderr: stderr.String(),
	}, nil
}

// endedByItself is false for a command that our SIGKILL may have ended.
func endedByItself(s *os.ProcessState) bool {
	w, ok := s.Sys().(syscall.WaitStatus)
	return ok && !(w.Signaled() && w.Signal() == syscall.SIGKILL)
}

func endOf(s *os.ProcessState) string {
	if w, ok := s.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return "killed by signal: " + w.Signal().String()
	}
	return s.String()
}

// catchIgnored catches the signals that a plugin ignores: a command would ignore
// them as well, while those that are caught are back at their default in it.
var catchIgnored = sync.OnceFunc(func() {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP, syscall.SIGPIPE)
})

// head keeps the beginning of what is written to it, and takes the rest, so that a
// talkative command does not block.
type head struct {
	mu   sync.Mutex
	kept []byte
}

func (h *head) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.kept = append(h.kept, p[:min(len(p), kept-len(h.kept))]...)
	return len(p), nil
}

// String is the beginning without a half character at its end.
func (h *head) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.ToValidUTF8(string(h.kept), "")
}
