package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/engine/host/output"
)

// process is a plugin's process, and go-plugin's runner.Runner. It leads a process
// group, which ends with it: a helper that must outlive its plugin starts a session
// of its own.
type process struct {
	binary  *binary // not owned
	printed *output.Log
	sockets string // the folder that its socket must be in

	env      []string       // set by the runner function, before Start
	stdin    *os.File       // held open as long as the engine wants the plugin
	firstOut *io.PipeReader // the first line of standard output, for go-plugin

	done chan struct{} // closed when the process is reaped and all it printed is read

	mu        sync.Mutex
	pid       int
	wanted    ending // what we asked for so far
	killed    bool   // we have sent the signal
	reaped    bool
	ended     ending
	handshake string // the first line of standard output
	state     *os.ProcessState
}

// ending says who ended a process.
type ending int

const (
	byItself ending = iota
	asked           // we asked for it
	killed          // we killed it, before it had done what we asked for
)

const (
	drainTime = 250 * time.Millisecond // for what a dead plugin's orphans hold of its pipes
	busyTries = 50                     // while somebody has the binary open for writing
	busyPause = 10 * time.Millisecond
)

func newProcess(b *binary, p *output.Log, sockets string) *process {
	return &process{binary: b, printed: p, sockets: sockets, done: make(chan struct{})}
}

var errKilled = errors.New("it was given up before it started")

// Start runs the binary by its descriptor.
func (p *process) Start(context.Context) (err error) {
	var pipes [6]*os.File // read and write ends of standard input, output and error
	defer func() {
		if err != nil {
			for _, f := range pipes {
				if f != nil {
					f.Close()
				}
			}
		}
	}()
	for i := 0; i < len(pipes); i += 2 {
		if pipes[i], pipes[i+1], err = os.Pipe(); err != nil {
			return fmt.Errorf("start plugin %s: %w", p.binary.name, err)
		}
	}
	attr := &os.ProcAttr{
		Env:   p.env,
		Files: []*os.File{pipes[0], pipes[3], pipes[5]},
		Sys:   &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM},
	}
	// The descriptor is close-on-exec, and still open at the moment when the kernel
	// looks the path up. The interpreter of a script opens it later.
	path := "/proc/self/fd/" + strconv.Itoa(int(p.binary.file.Fd()))
	if p.binary.script() {
		attr.Files = append(attr.Files, p.binary.file)
		path = "/proc/self/fd/3"
	}

	p.mu.Lock()
	defer p.mu.Unlock()
	if p.killed {
		return errKilled
	}
	var proc *os.Process
	for try := 1; ; try++ {
		proc, err = startProcess(path, []string{p.binary.path}, attr)
		// A copy that was just written may still be open for writing in a process that
		// somebody is about to execute.
		if !errors.Is(err, syscall.ETXTBSY) || try == busyTries {
			break
		}
		time.Sleep(busyPause)
	}
	if err != nil {
		var errno syscall.Errno
		if errors.As(err, &errno) {
			err = errno // without the path, which says nothing
		}
		return err
	}
	p.pid = proc.Pid
	for _, i := range []int{0, 3, 5} {
		pipes[i].Close()
	}
	p.stdin = pipes[1]
	var out *io.PipeWriter
	p.firstOut, out = io.Pipe()
	var read sync.WaitGroup
	read.Go(func() { p.readOut(pipes[2], out) })
	read.Go(func() { p.readErr(pipes[4]) })
	go p.wait(proc, &read, pipes[2], pipes[4])
	return nil
}

// wait reaps the process.
func (p *process) wait(proc *os.Process, read *sync.WaitGroup, pipes ...*os.File) {
	for {
		err := unix.Waitid(unix.P_PID, proc.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	// It is dead and not reaped: its number, which is also its group's, cannot be
	// another's yet.
	p.mu.Lock()
	_ = unix.Kill(-proc.Pid, unix.SIGKILL)
	state, _ := proc.Wait()
	p.reaped, p.state, p.ended = true, state, p.wanted
	if state != nil {
		status, ok := state.Sys().(syscall.WaitStatus)
		if p.killed && ok && status.Signaled() && status.Signal() == syscall.SIGKILL {
			p.ended = killed
		}
	}
	p.mu.Unlock()

	for _, f := range pipes {
		_ = f.SetReadDeadline(time.Now().Add(drainTime))
	}
	read.Wait()
	for _, f := range pipes {
		f.Close()
	}
	p.stdin.Close()
	p.printed.End()
	close(p.done)
}

// readOut gives the first line to go-plugin, and what follows to whom standard error
// goes. It bounds the line: go-plugin stops reading at one that is too long, and the
// plugin would then block. Nobody connects to where the plugin should not listen.
func (p *process) readOut(f *os.File, first *io.PipeWriter) {
	defer first.Close()
	seen := false
	w := &output.Lines{Take: func(line []byte) {
		if seen {
			p.printed.Line(line)
			return
		}
		seen = true
		p.mu.Lock()
		p.handshake = string(line)
		p.mu.Unlock()
		if problem, _ := misread(string(line), p.sockets); problem != "" {
			first.Close()
			return
		}
		_, _ = first.Write(append(line, '\n'))
	}}
	p.printed.Read(f, w)
}

func (p *process) readErr(f *os.File) {
	p.printed.Read(f, &output.Lines{Take: p.printed.Line})
}

// kill ends the whole process group at once.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.killed = true
	if p.pid != 0 && !p.reaped {
		_ = unix.Kill(-p.pid, unix.SIGKILL)
	}
}

// started says whether there is, or was, a process.
func (p *process) started() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pid != 0
}

// line returns the first line of standard output.
func (p *process) line() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.handshake
}

// want says that the process is to end.
func (p *process) want(e ending) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wanted = e
}

// exit returns how the process ended, once done is closed.
func (p *process) exit() (*os.ProcessState, ending) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state, p.ended
}

// The rest of runner.Runner.

func (p *process) Wait(context.Context) error      { <-p.done; return nil }
func (p *process) Kill(context.Context) error      { p.kill(); return nil }
func (p *process) Name() string                    { return p.binary.name }
func (p *process) Diagnose(context.Context) string { return "" }
func (p *process) Stdout() io.ReadCloser           { return p.firstOut }
func (p *process) Stderr() io.ReadCloser           { return io.NopCloser(eof{}) }

func (p *process) ID() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pid == 0 {
		return ""
	}
	return strconv.Itoa(p.pid)
}

// PluginToHost refuses everything but a unix socket: there is no TLS on it, the
// socket's private folder is the lock.
func (p *process) PluginToHost(network, addr string) (string, string, error) {
	if network != "unix" {
		return "", "", fmt.Errorf("it listens on %s %s", network, addr)
	}
	return network, addr, nil
}

func (p *process) HostToPlugin(network, addr string) (string, string, error) {
	return network, addr, nil
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }
