package quickstart

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// stopPatience is how long a process may take to stop when it is asked to.
const stopPatience = 3 * time.Second

// tick is how often a file or a process that is not our child is looked at.
const tick = 5 * time.Millisecond

// process is one process of the shop that we started.
type process struct {
	name     string
	pidFile  string
	addrFile string
	logFile  string
	lifeline io.Closer // its standard input: it stops when this closes, also because we died
	cmd      *exec.Cmd
	exited   chan struct{} // closed when it has been waited for
}

func startProcess(binary, dir, name string, args []string) (*process, error) {
	path := func(ending string) string { return filepath.Join(dir, name+ending) }
	p := &process{
		name:    name,
		pidFile: path(".pid"), addrFile: path(".addr"), logFile: path(".log"),
		exited: make(chan struct{}),
	}
	for _, old := range []string{p.pidFile, p.addrFile} { // of an earlier shop
		if err := os.Remove(old); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	log, err := os.OpenFile(p.logFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()

	args = append(args, "-addr-file", p.addrFile, "-pid-file", p.pidFile, "-until-eof", "-max-life", MaxLife.String())
	p.cmd = exec.Command(binary, args...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	// A group of its own: Ctrl-C at the terminal is for faultline, which then
	// puts things back while the shop still runs.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if p.lifeline, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		p.lifeline.Close()
		return nil, err
	}
	go func() {
		defer close(p.exited)
		_ = p.cmd.Wait() // its end is what matters, not its exit code
	}()
	return p, nil
}

// serving waits until the process serves and returns its address. The pid file
// is the last thing it writes before it does.
func (p *process) serving(ctx context.Context) (string, error) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		_, err := os.Stat(p.pidFile)
		if err == nil {
			address, err := os.ReadFile(p.addrFile)
			return strings.TrimSpace(string(address)), err
		}
		if !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
		select {
		case <-ticker.C:
		case <-p.exited:
			return "", fmt.Errorf("it ended: %s", p.lastWords())
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}

// lastWords is the last line of the log.
func (p *process) lastWords() string {
	text, err := os.ReadFile(p.logFile)
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	if last := lines[len(lines)-1]; len(last) > 0 {
		return string(last)
	}
	return p.cmd.ProcessState.String()
}

// stop ends the process and waits for it. One that does not stop when asked, a
// paused one for example, is killed.
func (p *process) stop() {
	p.lifeline.Close()
	timer := time.NewTimer(stopPatience)
	defer timer.Stop()
	select {
	case <-p.exited:
	case <-timer.C:
		_ = p.cmd.Process.Kill() // fails only when it has ended meanwhile
		<-p.exited
	}
}
