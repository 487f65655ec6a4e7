//go:build linux

package hold

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/plugins/internal/netns"
)

// childName is what a child calls itself, in the place of a program's name; the mark of
// its fault follows.
const childName = "faultline-net-hold"

// ServeIfChild keeps a fault and does not return, if this process was started for that.
// It belongs at the beginning of main.
func ServeIfChild() {
	if os.Args[0] != childName {
		return
	}
	// The end of the input is the order to end; what a terminal or a supervisor sends to
	// everybody is for the plugin, which then ends the input.
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGPIPE)
	if err := Serve(os.Stdin, os.Stdout); err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}

// Link is a connection to somebody who keeps faults. It is for one goroutine at a time.
type Link struct {
	in  io.WriteCloser
	out *bufio.Reader
	end func() error
}

// NewLink speaks over given streams; end waits for the other side's end, after in was
// closed.
func NewLink(in io.WriteCloser, out io.Reader, end func() error) *Link {
	return &Link{in: in, out: bufio.NewReader(out), end: end}
}

// Ask gives an order and waits for the answer, or for the context's end; the link cannot
// be used after that.
func (l *Link) Ask(ctx context.Context, o Order) (Answer, error) {
	line, err := json.Marshal(o)
	if err != nil {
		return Answer{}, err
	}
	type reply struct {
		a   Answer
		err error
	}
	done := make(chan reply, 1)
	go func() {
		var r reply
		if _, r.err = l.in.Write(append(line, '\n')); r.err == nil {
			var text []byte
			if text, r.err = l.out.ReadBytes('\n'); r.err == nil {
				r.err = json.Unmarshal(text, &r.a)
			}
		}
		done <- r
	}()
	select {
	case r := <-done:
		switch {
		case r.err != nil:
			return r.a, fmt.Errorf("whoever keeps the fault does not answer: %w", r.err)
		case r.a.Error != "":
			return r.a, errors.New(r.a.Error)
		}
		return r.a, nil
	case <-ctx.Done():
		return Answer{}, errors.Join(ctx.Err(), l.Close())
	}
}

// Close ends the input of the other side, and waits for its end.
func (l *Link) Close() error {
	err := l.in.Close()
	if errors.Is(err, os.ErrClosed) {
		err = nil
	}
	return errors.Join(err, l.end())
}

// Start starts a child in a network namespace: this program once more.
func Start(n *netns.Namespace, mark string) (*Link, error) {
	cmd := &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{childName, mark}, Dir: "/",
		// Out of reach of what is sent to our process group.
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true},
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	// A process is in the namespace of the thread that starts it.
	if err := n.Do(cmd.Start); err != nil {
		return nil, fmt.Errorf("start somebody who keeps the fault: %w", err)
	}
	gone := make(chan struct{})
	go func() {
		_ = cmd.Wait() // however it ended, it has
		close(gone)
	}()
	return NewLink(in, out, func() error {
		patience := time.NewTimer(grace)
		defer patience.Stop()
		select {
		case <-gone:
		case <-patience.C:
			_ = cmd.Process.Kill() // all that it keeps goes with it
			<-gone
		}
		return nil
	}), nil
}

// grace is how long a child may take to remove what it keeps.
const grace = 3 * time.Second

// End ends the children that keep the fault with a mark, whoever has started them, and
// waits until they are gone. With each goes all that it kept.
func End(ctx context.Context, mark string) (ended bool, err error) {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return false, err
	}
	for _, file := range files {
		words, err := os.ReadFile(file)
		if err != nil || string(words) != childName+"\x00"+mark+"\x00" {
			continue
		}
		pid, err := strconv.Atoi(strings.Split(file, "/")[2])
		if err != nil {
			continue
		}
		fd, err := unix.PidfdOpen(pid, 0)
		if errors.Is(err, unix.ESRCH) {
			continue
		}
		if err != nil {
			return ended, fmt.Errorf("get hold of process %d: %w", pid, err)
		}
		err = endOne(ctx, fd)
		unix.Close(fd)
		if err != nil {
			return ended, fmt.Errorf("end process %d, which keeps the fault: %w", pid, err)
		}
		ended = true
	}
	return ended, nil
}

func endOne(ctx context.Context, fd int) error {
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return err
	}
	const look = 50 // milliseconds
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, look)
		switch {
		case err != nil && !errors.Is(err, unix.EINTR):
			return err
		case n > 0:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		}
	}
}
