// Package pressure makes load of all kinds: processor time, memory, disk space, reads
// and writes, and processes.
//
// The load is made by child processes: the plugin's own binary, started once more. A
// child has joined the target's control groups before it begins, so that it competes
// with the target and not with the whole machine. It leaves nothing behind: its files
// have no name, its own children end with it, and when memory runs out the kernel takes
// it first. It ends with its plugin (its standard input closes, and the kernel kills
// it), with its target, and when the plugin stands still.
package pressure

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/plugins/internal/cgroup"
	"github.com/faultline-go/faultline/plugins/internal/incarnation"
	"github.com/faultline-go/faultline/sdk"
)

// child is a pressure process that this process has started.
type child struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout io.ReadCloser
	out    *bufio.Reader // of stdout
	exited chan struct{}
}

// spawn starts a pressure process, which waits for its order.
func spawn(mark string) (*child, error) {
	c := &child{exited: make(chan struct{})}
	c.cmd = exec.Command("/proc/self/exe")
	c.cmd.Args = []string{filepath.Base(os.Args[0]), argument, mark}
	c.cmd.Dir = "/" // it keeps no folder from being unmounted
	c.cmd.Stderr = os.Stderr
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	var err error
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start a pressure process: %w", err)
	}
	if c.stdout, err = c.cmd.StdoutPipe(); err != nil {
		return nil, fmt.Errorf("start a pressure process: %w", err)
	}
	c.out = bufio.NewReader(c.stdout)
	started := make(chan error, 1)
	go func() {
		// The kernel ends a child together with the thread that started it: this one
		// stays until the child has ended.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(c.exited)
		err := c.cmd.Start()
		started <- err
		if err == nil {
			_, _ = c.cmd.Process.Wait() // how it ends is of no interest: it is ended in every way
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start a pressure process: %w", err)
	}
	return c, nil
}

// end kills the child and waits for its end.
func (c *child) end() {
	_ = c.cmd.Process.Kill() // or it has ended by itself
	<-c.exited
	c.close()
}

func (c *child) close() {
	c.stdin.Close()
	c.stdout.Close()
}

// start puts a load on a target, under a mark by which everybody can find and end it.
// It returns when the load is on.
func start(ctx context.Context, mark string, l Load, target *incarnation.Incarnation) error {
	c, err := spawn(mark)
	if err != nil {
		return err
	}
	if err := c.begin(ctx, l, target); err != nil {
		c.end()
		return err
	}
	go c.beat()
	return nil
}

// begin gives the order, puts the child where the load belongs, and waits until it is
// on.
func (c *child) begin(ctx context.Context, l Load, target *incarnation.Incarnation) error {
	line, err := json.Marshal(order{Load: l, Target: target})
	if err != nil {
		return err
	}
	if err := c.ask(ctx, string(line)); err != nil {
		return err
	}
	if target != nil {
		if err := join(*target, c.cmd.Process.Pid); err != nil {
			return err
		}
	}
	return c.ask(ctx, goOn)
}

// ask writes a line and waits for the answer, with beats meanwhile.
func (c *child) ask(ctx context.Context, line string) error {
	if _, err := c.stdin.Write([]byte(line + "\n")); err != nil {
		return fmt.Errorf("talk to a pressure process: %w", err)
	}
	answered := make(chan error, 1)
	go func() { answered <- c.answer() }()
	beats := time.NewTicker(beatEvery)
	defer beats.Stop()
	for {
		select {
		case err := <-answered:
			return err
		case <-beats.C:
			_, _ = c.stdin.Write([]byte("\n")) // a child that is gone gives its answer, or none
		case <-ctx.Done():
			c.stdout.Close()
			<-answered
			return fmt.Errorf("put the pressure on: %w", ctx.Err())
		}
	}
}

// join puts a process into the groups of a target that still is who it was.
func join(target incarnation.Incarnation, pid int) error {
	g, err := cgroup.Here.Of(target.PID)
	if err != nil {
		return err
	}
	failed := g.Join(pid)
	// Looked at afterwards: whose groups they were, and whether they were gone.
	alive, err := target.Alive()
	if err == nil && !alive {
		return fmt.Errorf("%s: %w", target, sdk.ErrGone)
	}
	return errors.Join(failed, err)
}

func (c *child) answer() error {
	line, err := c.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("the pressure process ended before its pressure was on (the kernel may have killed it for lack of memory): %w", err)
	}
	var a answer
	if err := json.Unmarshal(line, &a); err != nil {
		return fmt.Errorf("understand a pressure process: %w", err)
	}
	if a.Gone {
		return fmt.Errorf("%s: %w", a.Error, sdk.ErrGone)
	}
	if a.Error != "" {
		return errors.New(a.Error)
	}
	return nil
}

// beat tells the child that it is still wanted, until it has ended.
func (c *child) beat() {
	defer c.close()
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		select {
		case <-c.exited:
			return
		case <-tick.C:
			_, _ = c.stdin.Write([]byte("\n"))
		}
	}
}

// found is what a mark stands for on the machine.
type found struct {
	first *incarnation.Incarnation // the process that was started; nil when it is gone
	all   []incarnation.Incarnation
}

// find looks for the processes of a mark.
func find(mark string) (found, error) {
	folders, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return found{}, fmt.Errorf("look for pressure processes: %w", err)
	}
	want := []byte("\x00" + argument + "\x00" + mark + "\x00")
	var f found
	for _, folder := range folders {
		args, err := os.ReadFile(filepath.Join(folder, "cmdline"))
		if err != nil || !bytes.HasSuffix(args, want) {
			continue // somebody else's, or gone by now
		}
		pid, err := strconv.Atoi(filepath.Base(folder))
		if err != nil {
			continue
		}
		i, err := incarnation.Of(pid)
		if errors.Is(err, sdk.ErrGone) {
			continue
		}
		if err != nil {
			return found{}, err
		}
		// Those that it started itself come later; they were never executed anew.
		if f.first == nil || i.Start < f.first.Start || i.Start == f.first.Start && i.PID < f.first.PID {
			f.first = &i
		}
		f.all = append(f.all, i)
	}
	return f, nil
}

// end ends all processes of a mark, and returns how many there were.
func end(ctx context.Context, mark string) (int, error) {
	most := 0
	for {
		f, err := find(mark)
		if err != nil {
			return most, err
		}
		if len(f.all) == 0 {
			return most, nil
		}
		most = max(most, len(f.all))
		if len(f.all) > 1 {
			// It clears away its own before it goes, if it is in a state to.
			polite, cancel := context.WithTimeout(ctx, clearTime)
			_ = signalAndWait(polite, *f.first, unix.SIGTERM)
			cancel()
		}
		// The others, if any are left, end with the first.
		if err := signalAndWait(ctx, *f.first, unix.SIGKILL); err != nil {
			return most, err
		}
		if ctx.Err() != nil {
			return most, fmt.Errorf("%d pressure processes have not ended: %w", len(f.all), ctx.Err())
		}
	}
}

// clearTime is how long a pressure process may take to clear away its own.
const clearTime = 3 * time.Second

// signalAndWait sends a signal that ends a process, and waits for that. One that has
// ended already is fine.
func signalAndWait(ctx context.Context, i incarnation.Incarnation, s unix.Signal) error {
	h, err := i.Open()
	if err == nil {
		defer h.Close()
		if err = h.Signal(s); err == nil {
			err = h.Wait(ctx)
		}
	}
	if errors.Is(err, sdk.ErrGone) {
		return nil
	}
	return err
}
