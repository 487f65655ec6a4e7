package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/recover"
)

// guardFlag makes `recover` a guardian: it sleeps until its standard input ends.
const guardFlag = "when-parent-dies"

// guardian sees to it that somebody recovers the run when the engine dies.
type guardian struct {
	start func() (*guardianProcess, error)
	mu    sync.Mutex // held while it is looked after
	now   *guardianProcess
}

// guardianProcess is who does so: detached, in a session of its own, with no terminal. It
// sleeps on a pipe whose other end only the engine holds.
type guardianProcess struct {
	process *os.Process
	pipe    io.Closer
	ready   chan struct{} // closed when it watches
	done    chan struct{} // closed when it has ended
}

func (g *global) newGuardian(run, dir string) (*guardian, error) {
	x := &guardian{start: func() (*guardianProcess, error) { return g.startGuardian(run, dir) }}
	var err error
	x.now, err = x.start()
	return x, err
}

// startGuardian starts the guardian of a run. Its own output goes to the run's
// folder.
func (g *global) startGuardian(run, dir string) (*guardianProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start the guardian: %w", err)
	}
	log, err := os.OpenFile(filepath.Join(dir, "guardian.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start the guardian: %w", err)
	}
	defer log.Close()
	ready, said, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start the guardian: %w", err)
	}
	defer said.Close()
	args := []string{"recover", "--" + guardFlag, "--state-dir", g.state()}
	for _, d := range g.pluginDirs {
		if d, err = filepath.Abs(d); err != nil { // the guardian works in another folder
			return nil, fmt.Errorf("start the guardian: %w", err)
		}
		args = append(args, "--plugin-dir", d)
	}
	if g.insecure {
		args = append(args, "--insecure")
	}
	cmd := exec.Command(self, append(args, run)...)
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{said} // guardianReady
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	// One thread is enough to sleep, and a small heap to recover.
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "GOGC=50")
	pipe, err := cmd.StdinPipe()
	if err != nil {
		ready.Close()
		return nil, fmt.Errorf("start the guardian: %w", err)
	}
	if err := cmd.Start(); err != nil {
		ready.Close()
		return nil, fmt.Errorf("start the guardian: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "guardian.pid"), []byte(strconv.Itoa(cmd.Process.Pid)+"\n"), 0o600); err != nil {
		ready.Close()
		_ = cmd.Process.Kill() // nothing was injected yet
		_ = cmd.Wait()
		return nil, fmt.Errorf("start the guardian: %w", err)
	}
	x := &guardianProcess{process: cmd.Process, pipe: pipe, ready: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer ready.Close()
		if n, _ := ready.Read(make([]byte, 1)); n > 0 {
			close(x.ready)
		}
	}()
	go func() {
		defer close(x.done)
		_ = cmd.Wait() // what it did is in the journal and in its log
	}()
	return x, nil
}

// guardianReady is the descriptor on which a guardian says that it watches.
const guardianReady = 3

// readyTime is how long a guardian may take until it watches.
const readyTime = 10 * time.Second

// watches waits until the guardian does; where it has ended, or does not come to it,
// another takes its place, and news says so. On an error nothing is to be broken.
func (x *guardian) watches(ctx context.Context) (news string, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	trouble := x.now.watches(ctx)
	if trouble == nil || ctx.Err() != nil {
		return "", trouble
	}
	x.now.end(0)
	next, err := x.start()
	if err != nil {
		return "", fmt.Errorf("%w, and %w", trouble, err)
	}
	x.now = next
	if err := next.watches(ctx); err != nil {
		return "", fmt.Errorf("two in a row: %w", err)
	}
	return trouble.Error() + "; another took its place", nil
}

func (x *guardianProcess) watches(ctx context.Context) error {
	const who = "the guardian, which puts everything back if faultline dies,"
	late := time.NewTimer(readyTime)
	defer late.Stop()
	select {
	case <-x.done:
	case <-x.ready:
		select {
		case <-x.done:
		default:
			return nil
		}
	case <-late.C:
		return fmt.Errorf("%s had not begun to watch after %s", who, readyTime)
	case <-ctx.Done():
		return fmt.Errorf("%s had not begun to watch: %w", who, ctx.Err())
	}
	return errors.New(who + " had ended (its guardian.log may say why)")
}

// dismissTime is how long a guardian may take to see that its run has ended.
const dismissTime = 5 * time.Second

// dismiss ends the guardian of a run that has ended, and waits for it.
func (x *guardian) dismiss() { x.now.end(dismissTime) }

// end kills the process where it does not go by itself, because it is stopped: there is
// nothing left to guard.
func (x *guardianProcess) end(patience time.Duration) {
	x.pipe.Close()
	select {
	case <-x.done:
		return
	case <-time.After(patience):
	}
	_ = x.process.Kill()
	<-x.done
}

// guard is the guardian's own life.
func (g *global) guard(c *cobra.Command, run string) error {
	// Whatever asks processes to end is meant for the engine; the guardian ends by
	// itself soon after it.
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	store, err := journal.Open(g.state())
	if err != nil {
		return err
	}
	h, err := g.hostOfRuns()
	if err != nil {
		return err
	}
	ready := os.NewFile(guardianReady, "ready")
	_, _ = ready.Write([]byte{1}) // an engine that is dead already does not hear it, and needs it
	ready.Close()
	sleepLight()
	result, acted, err := recover.Guard(context.WithoutCancel(c.Context()), g.process.stdin, recover.Options{
		Store: store, By: "guardian", PID: os.Getpid(),
		Start: func(ctx context.Context, u journal.PluginUsed, run, dir string) (recover.Plugin, error) {
			return startUsed(ctx, h, u, run, dir)
		},
	}, run)
	if err != nil {
		return err
	}
	if !acted {
		return nil
	}
	return showRecovered(c, []recover.Result{result}, "text")
}
