//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// start runs the command as a process that has nothing to do with us any more: its
// own session, no descriptor of ours, default signals.
func (r *restart) start(mark string) (*child, error) {
	env, err := r.environment(mark)
	if err != nil {
		return nil, err
	}
	cmd := &exec.Cmd{
		Path: r.Command[0], Args: r.Command, Dir: r.Directory, Env: env,
		SysProcAttr: &syscall.SysProcAttr{Setsid: true, Credential: r.credential()},
	}
	if r.Output != "" {
		out, err := os.OpenFile(r.Output, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return nil, fmt.Errorf("open the output file: %w", err)
		}
		defer out.Close()
		cmd.Stdout, cmd.Stderr = out, out
	}
	// Descriptors that we inherited ourselves may lack the mark that Go gives its own.
	if err := unix.CloseRange(3, ^uint(0), unix.CLOSE_RANGE_CLOEXEC); err != nil && !errors.Is(err, unix.ENOSYS) {
		return nil, fmt.Errorf("keep our descriptors to ourselves: %w", err)
	}
	// A signal that we ignore would be ignored by the child as well; one that we catch
	// is back at its default there.
	catchIgnored()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", r.Command[0], err)
	}
	c := &child{pid: cmd.Process.Pid, ended: make(chan struct{})}
	go func() {
		// Ends with the child, which may outlive us: then init does the waiting.
		defer close(c.ended)
		c.err = cmd.Wait()
	}()
	return c, nil
}

var catchIgnored = sync.OnceFunc(func() {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP, syscall.SIGPIPE)
})

// child is a process that we started.
type child struct {
	pid   int
	ended chan struct{}
	err   error // how it ended; read after ended
}

// failed says how the child ended badly; nil while it runs or after a good end.
func (c *child) failed() error {
	if c == nil || !c.gone() {
		return nil
	}
	return c.err
}

func (c *child) gone() bool {
	if c == nil {
		return true
	}
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

// lockStart makes sure that only one revert, of whatever process, looks whether the
// target is back and starts it if not. The lock is a name in the kernel's abstract
// socket namespace: it vanishes with its holder. A child holds it as well until its
// program is executed, that is, until its mark can be seen: whoever gets the lock
// after a crash sees what was started before.
func lockStart(ctx context.Context, mark string) (unlock func(), err error) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		l, err := net.Listen("unix", "@faultline/process/"+mark)
		if err == nil {
			return func() { l.Close() }, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("lock the restart: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("another revert of this process is under way: %w", ctx.Err())
		case <-tick.C:
		}
	}
}
