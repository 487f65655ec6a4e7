package selftest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// target is something that a case breaks, and that it looks at itself.
type target interface {
	// clean says whether nothing is broken, and what was seen. An error means that
	// nobody could look.
	clean(context.Context) (ok bool, seen string, err error)
	// remove takes the target away, and waits until it is gone.
	remove(context.Context) error
	// every is the time between two looks.
	every() time.Duration
}

// maker makes a target for a case, in the case's folder, and says which scenario
// breaks it: a file or folder.
type maker func(ctx context.Context, c Case, dir string) (t target, scenario string, err error)

const (
	targetLife = 30 * time.Minute // the longest that a lost target can live
	startTime  = time.Minute      // until it is up
)

// sleeper is a process as a target. Its program is a link of its own, so that the
// process plugin does not take it for a part of faultline.
type sleeper struct {
	dir     string
	program string
	pidFile string
}

const sleeperName = "sleeper"

// startSleeper also returns a target when it failed: something may have to be removed.
func (l *lab) startSleeper(ctx context.Context, dir string) (*sleeper, error) {
	s := &sleeper{dir: dir, program: filepath.Join(dir, sleeperName), pidFile: filepath.Join(dir, "sleeper.pid")}
	if err := os.Link(l.program, s.program); err != nil {
		return s, fmt.Errorf("make the target's program: %w", err)
	}
	return s, s.start(ctx)
}

// start starts the process, and waits until it is up.
func (s *sleeper) start(ctx context.Context) error {
	args := s.command()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.SysProcAttr = ownSession()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the target: %w", err)
	}
	go func() { _ = cmd.Wait() }() // it is killed by a fault, or by remove
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		if ok, seen, err := s.clean(ctx); ok {
			return nil
		} else if ctx.Err() != nil {
			return errors.Join(fmt.Errorf("start the target: %s", seen), err, context.Cause(ctx))
		}
		pause(ctx, 5*time.Millisecond)
	}
}

func (s *sleeper) command() []string {
	return []string{s.program, SleeperCommand, "-pid-file", s.pidFile, "-max-life", targetLife.String()}
}

func (s *sleeper) every() time.Duration { return 10 * time.Millisecond }

// clean reads the pid file and /proc: a process of our program that runs, and is not
// stopped.
func (s *sleeper) clean(context.Context) (bool, string, error) {
	raw, err := os.ReadFile(s.pidFile)
	if errors.Is(err, os.ErrNotExist) {
		return false, "it has not written its pid file", nil
	}
	if err != nil {
		return false, "", err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		return false, "its pid file holds no number", nil
	}
	p, ok := look(pid)
	exe, linkErr := os.Readlink("/proc/" + strconv.Itoa(pid) + "/exe")
	switch {
	case !ok || p.state == 'Z' || p.state == 'X' || linkErr != nil || exe != s.program:
		return false, fmt.Sprintf("process %d is dead", pid), nil
	case p.state == 'T' || p.state == 't':
		return false, fmt.Sprintf("process %d is stopped", pid), nil
	}
	return true, fmt.Sprintf("process %d runs", pid), nil
}

// remove ends the target, and whatever was started in its place: all that runs from
// its program.
func (s *sleeper) remove(ctx context.Context) error { return endAll(ctx, s.dir, sleeperName) }

// endAll kills the processes whose program lies in a folder and has the name (empty:
// any), until there are none.
func endAll(ctx context.Context, dir, name string) error {
	for {
		all, err := under(dir)
		if err != nil {
			return err
		}
		left := 0
		for _, p := range all {
			if name != "" && p.name() != name {
				continue
			}
			left++
			if err := p.signal(killSignal); err != nil && !errors.Is(err, os.ErrProcessDone) {
				return err
			}
		}
		if left == 0 {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("end what runs in %s: %d processes do not end: %w", dir, left, ctx.Err())
		}
		pause(ctx, 10*time.Millisecond)
	}
}

// command is a target of the user's: a command that ends well when it is clean.
type command struct{ argv []string }

// commandTime bounds one run of the command.
const commandTime = 30 * time.Second

func (c command) every() time.Duration         { return 100 * time.Millisecond }
func (c command) remove(context.Context) error { return nil } // it is not ours
func (c command) clean(ctx context.Context) (bool, string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	out, err := exec.CommandContext(ctx, c.argv[0], c.argv[1:]...).CombinedOutput()
	seen := strings.TrimSpace(string(out))
	var exit *exec.ExitError
	switch {
	case err == nil:
		return true, seen, nil
	case errors.As(err, &exit) && exit.Exited():
		return false, fmt.Sprintf("%s ended with %d %s", c.argv[0], exit.ExitCode(), seen), nil
	}
	return false, "", fmt.Errorf("look at the target: %w", err)
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
