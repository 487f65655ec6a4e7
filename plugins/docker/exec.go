package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"

	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
)

// execConfig is the body of a docker_exec fault.
type execConfig struct {
	Command []string      `hcl:"command" example:"[\"touch\", \"/tmp/broken\"]" doc:"Program and arguments that break something in the container; no shell reads them."`
	Undo    []string      `hcl:"undo,optional" example:"[\"rm\", \"-f\", \"/tmp/broken\"]" doc:"Program and arguments that put it back. Also run when command was not, or failed half-way: it has to do no harm then. Required unless the fault says irreversible = \"accept\"."`
	Check   []string      `hcl:"check,optional" doc:"Program and arguments that look whether it is broken: exit code 0 says yes, any other no. Without it the fault is taken to bite when command succeeded."`
	User    string        `hcl:"user,optional" doc:"User in the container, as name or id; default: the container's."`
	Dir     string        `hcl:"dir,optional" doc:"Folder to run in; default: the container's."`
	Timeout time.Duration `hcl:"timeout,optional" default:"10s" min:"100ms" max:"60s" doc:"How long each of the commands may take."`
}

// executed is the undo record: what Revert runs, and how. It is the scenario's own
// text: secrets belong into the container, not into a command.
type executed struct {
	kept
	Undo      []string `json:"undo,omitempty"`
	Check     []string `json:"check,omitempty"`
	User      string   `json:"user,omitempty"`
	Dir       string   `json:"dir,omitempty"`
	TimeoutMS int64    `json:"timeout_ms"`
	Mark      string   `json:"mark"` // of this fault, to remember that it ran
}

func execute(e *engines) sdk.Fault[execConfig, executed] {
	return sdk.Fault[execConfig, executed]{
		Type: "docker_exec",
		Doc: "Runs a command of yours in a container, and another one that undoes it. Both have to work in any order and more than once. " +
			"With check, what is broken is measured, and what is not is not undone.",
		Accepts:       acceptsContainer(),
		Hold:          sdk.HoldJournal,
		Reversibility: sdk.Reversible,
		Requires:      []string{"docker socket", "the programs in the container"},
		Capabilities:  []schema.Capability{schema.CapDocker, schema.CapExec},
		Settle:        settle,
		RevertTime:    longestExec + revertTime,
		Concurrency:   atOnce,
		Check:         execConfig.check,
		Prepare:       e.prepareExec,
		Inject:        e.breakByExec,
		Observe:       func(ctx context.Context, _ execConfig, u executed) (sdk.Effect, error) { return e.observeExec(ctx, u) },
		Revert:        e.undoByExec,
		Scan:          e.scanExec,
	}
}

// longestExec is the longest that a revert's commands may take together: check, undo
// and check again.
const longestExec = 3 * time.Minute

func (c execConfig) check() error {
	for name, argv := range map[string][]string{"command": c.Command, "undo": c.Undo, "check": c.Check} {
		if argv != nil && (len(argv) == 0 || argv[0] == "") {
			return fmt.Errorf("%s names no program", name)
		}
	}
	return nil
}

func (e *engines) prepareExec(ctx context.Context, t sdk.PrepareTarget, c execConfig) (sdk.Prepared[executed], error) {
	return prepareKept(ctx, e, t, func(k kept, s snapshot) (u executed, part string, err error) {
		if len(c.Undo) == 0 && !t.AcceptIrreversible {
			return u, "", fmt.Errorf("docker_exec on container %s has no undo, so that nothing can put it back: give one, or accept that with irreversible = \"accept\"", s.Name)
		}
		return executed{
			kept: k, Undo: c.Undo, Check: c.Check, User: c.User, Dir: c.Dir,
			TimeoutMS: c.Timeout.Milliseconds(), Mark: rand.Text(),
		}, "exec:" + c.Command[0], nil
	})
}

// result is how a command in a container ended.
type result struct {
	code int
	said string // the end of what it printed
}

// mostSaid bounds what is kept of a command's output.
const mostSaid = 500

// run runs a command in the container and waits for its end. It goes on when nobody
// waits any more.
func (e *engine) run(ctx context.Context, u executed, argv []string) (result, error) {
	doing := fmt.Sprintf("run %s in container %s", argv[0], u.Name)
	ctx, cancel := context.WithTimeout(ctx, time.Duration(u.TimeoutMS)*time.Millisecond)
	defer cancel()
	made, err := e.ContainerExecCreate(ctx, u.Container, container.ExecOptions{
		Cmd: argv, User: u.User, WorkingDir: u.Dir, AttachStdout: true, AttachStderr: true,
	})
	if err != nil {
		return result{}, e.at.explain(doing, err)
	}
	at, err := e.ContainerExecAttach(ctx, made.ID, container.ExecAttachOptions{})
	if err != nil {
		return result{}, e.at.explain(doing, err)
	}
	defer at.Close()
	stop := context.AfterFunc(ctx, at.Close) // the stream knows nothing of the context
	defer stop()
	var out tail
	_, err = stdcopy.StdCopy(&out, &out, at.Reader)
	if ctx.Err() != nil {
		return result{}, fmt.Errorf("%s: it has not ended within %s: %s", doing, time.Duration(u.TimeoutMS)*time.Millisecond, out.text())
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return result{}, fmt.Errorf("%s: read what it says: %w", doing, err)
	}
	for {
		state, err := e.ContainerExecInspect(ctx, made.ID)
		if err != nil {
			return result{}, e.at.explain(doing, err)
		}
		if !state.Running {
			return result{code: state.ExitCode, said: out.text()}, nil
		}
		select { // it has closed its output, and is about to end
		case <-time.After(lookAgain):
		case <-ctx.Done():
			return result{}, fmt.Errorf("%s: it has not ended within %s", doing, time.Duration(u.TimeoutMS)*time.Millisecond)
		}
	}
}

// tail keeps the end of what is written to it.
type tail struct{ kept []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - mostSaid; over > 0 {
		t.kept = slices.Delete(t.kept, 0, over)
	}
	return len(p), nil
}

func (t *tail) text() string {
	return string(bytes.ToValidUTF8(bytes.TrimSpace(t.kept), []byte("�")))
}

// failed is the error for a command that ended badly.
func (r result) failed(argv []string, container string) error {
	if r.code == 0 {
		return nil
	}
	text := fmt.Sprintf("%s in container %s ended with exit code %d", strings.Join(argv, " "), container, r.code)
	if r.said != "" {
		text += ": " + r.said
	}
	return errors.New(text)
}

func (e *engines) breakByExec(ctx context.Context, c execConfig, u executed) error {
	engine, _, err := u.toChange(ctx, e)
	if err != nil {
		return err
	}
	// Waited for whatever happens: Revert would look while it is still at it.
	r, err := engine.run(context.WithoutCancel(ctx), u, c.Command)
	if err != nil {
		return err
	}
	if err := r.failed(c.Command, u.Name); err != nil {
		return err
	}
	e.ran.Store(u.Mark, true)
	return nil
}

// broken says what check says; known is false where there is no check, or nothing to
// run it in.
func (e *engine) broken(ctx context.Context, u executed, s snapshot) (is, known bool, err error) {
	if len(u.Check) == 0 || !s.Running || s.Paused || s.Restarting {
		return false, false, nil
	}
	r, err := e.run(ctx, u, u.Check)
	return r.code == 0, err == nil, err
}

func (e *engines) observeExec(ctx context.Context, u executed) (sdk.Effect, error) {
	engine, s, found, err := u.look(ctx, e)
	switch {
	case err != nil:
		return sdk.Effect{}, err
	case !found:
		return sdk.Effect{Detail: "the container was removed"}, nil
	}
	is, known, err := engine.broken(ctx, u, s)
	switch {
	case err != nil:
		return sdk.Effect{}, err
	case known && is:
		return sdk.Effect{Bites: true, Detail: u.Check[0] + " says that it is broken"}, nil
	case known:
		return sdk.Effect{Detail: u.Check[0] + " says that it is not broken"}, nil
	case len(u.Check) > 0:
		return sdk.Effect{Detail: "the container is " + s.Status + ": check cannot run"}, nil
	}
	// As long as this process lives, it knows at least that the command succeeded.
	if _, ran := e.ran.Load(u.Mark); ran {
		return sdk.Effect{Bites: true, Detail: "command ended with exit code 0; the fault has no check that measures more"}, nil
	}
	return sdk.Effect{Detail: "not measured: the fault has no check"}, nil
}

func (e *engines) undoByExec(ctx context.Context, u executed) (sdk.Reverted, error) {
	engine, s, found, err := u.look(ctx, e)
	if err != nil {
		return sdk.Reverted{}, err
	}
	switch {
	case !found:
		return u.removed(), nil
	case len(u.Undo) == 0:
		return sdk.Reverted{Outcome: sdk.AlreadyGone, Proof: "the fault has no undo, which was accepted"}, nil
	case s.Paused || s.Restarting:
		return sdk.Reverted{}, fmt.Errorf("container %s is %s: undo cannot run in it", u.Name, s.Status)
	case !s.Running:
		return sdk.Reverted{
			Outcome: sdk.ForeignChange, Residue: true,
			Proof: fmt.Sprintf("somebody ended the container (it is %s): undo cannot run in it, and what command did to its files is still there", s.Status),
		}, nil
	}
	is, known, err := engine.broken(ctx, u, s)
	if err != nil {
		return sdk.Reverted{}, err
	}
	if known && !is {
		e.ran.Delete(u.Mark)
		return sdk.Reverted{Outcome: sdk.AlreadyGone, Proof: u.Check[0] + " says that it is not broken"}, nil
	}
	r, err := engine.run(ctx, u, u.Undo)
	if err == nil {
		err = r.failed(u.Undo, u.Name)
	}
	if err != nil {
		return sdk.Reverted{}, err
	}
	e.ran.Delete(u.Mark)
	if !known {
		return sdk.Reverted{Outcome: sdk.PutBack, Proof: u.Undo[0] + " ended with exit code 0"}, nil
	}
	if is, _, err = engine.broken(ctx, u, s); err != nil {
		return sdk.Reverted{}, err
	}
	if is {
		return sdk.Reverted{}, fmt.Errorf("%s in container %s ended with exit code 0, but %s still says that it is broken", u.Undo[0], u.Name, u.Check[0])
	}
	return sdk.Reverted{Outcome: sdk.PutBack, Proof: u.Undo[0] + " ended with exit code 0, and " + u.Check[0] + " says that it is not broken"}, nil
}

func (e *engines) scanExec(ctx context.Context, known []sdk.Known[executed]) ([]sdk.Residue, error) {
	return scan(ctx, known, func(ctx context.Context, u executed) (string, error) {
		engine, s, found, err := u.look(ctx, e)
		if err != nil || !found {
			return "", err
		}
		is, _, err := engine.broken(ctx, u, s)
		if err != nil || !is {
			return "", err
		}
		return fmt.Sprintf("%s says that container %s is still broken", u.Check[0], u.Name), nil
	})
}
