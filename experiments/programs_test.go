package experiments_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/internal/programs"
)

// plugins are those that the experiments of the catalogue and their probes need.
var plugins = []string{"docker", "exec", "host", "http", "net"}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// built are faultline and the plugins as users have them, there when a test first asks
// for them.
var built struct {
	once sync.Once
	dir  string
	err  error
}

func build() (dir string, err error) {
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "experiments-programs-"); built.err != nil {
			return
		}
		names := []string{"faultline"}
		for _, p := range plugins {
			names = append(names, "faultline-plugin-"+p)
		}
		built.err = programs.Put(built.dir, names...)
	})
	return built.dir, built.err
}

// runner is somebody who runs faultline with a state folder of their own.
type runner struct {
	programs string
	state    string
}

func newRunner(t *testing.T) *runner {
	t.Helper()
	dir, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return &runner{programs: dir, state: filepath.Join(t.TempDir(), "state")}
}

// command is a faultline command, not started.
func (r *runner) command(args ...string) *exec.Cmd {
	return r.commandIn(context.Background(), args...)
}

// commandIn is one that is asked to stop when ctx ends.
func (r *runner) commandIn(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, filepath.Join(r.programs, "faultline"), append(slices.Clone(args), "-state-dir", r.state)...)
	c.Env = slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "FAULTLINE_") })
	c.Env = append(c.Env, "XDG_CACHE_HOME="+filepath.Join(r.programs, "cache"), "XDG_DATA_HOME="+filepath.Join(r.programs, "data"))
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	return c
}

// does runs a command, and returns all that it says and its exit code. The output goes to
// the test's log where it fails.
func (r *runner) does(t *testing.T, args ...string) (said string, code int) {
	t.Helper()
	out, err := r.command(args...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("faultline %v: %v", args, err)
	}
	t.Logf("faultline %v:\n%s", args, out)
	if exit != nil {
		code = exit.ExitCode()
	}
	return string(out), code
}

// report is the latest run.
func (r *runner) report(t *testing.T) judge.Result {
	t.Helper()
	out, err := r.command("report", "-format", "json").Output()
	if err != nil {
		t.Fatalf("report: %v", err)
	}
	var result judge.Result
	if err := json.Unmarshal(out, &result); err != nil {
		t.Fatal(err)
	}
	return result
}
