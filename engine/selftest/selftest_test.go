package selftest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/faultline-go/faultline/engine/selftest"
	"github.com/faultline-go/faultline/internal/programs"
	"github.com/faultline-go/faultline/sdk/plugintest"
)

// built is the folder of the real programs.
var built string

// The test binary is also the command that looks at a target of a user's:
//
//	<binary> runs PIDFILE
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "runs" {
		if err := runs(os.Args[2]); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	os.Exit(withPrograms(m))
}

// runs returns nil when the process is not stopped.
func runs(pidFile string) error {
	pid, err := os.ReadFile(pidFile)
	if err == nil {
		pid, err = os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/stat")
	}
	if _, rest, _ := strings.Cut(string(pid), ") "); err == nil && strings.HasPrefix(rest, "T") {
		err = errors.New("it is stopped")
	}
	return err
}

func withPrograms(m *testing.M) int {
	dir, err := os.MkdirTemp("", "faultline-programs-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	built = dir
	if err := programs.Put(dir, "faultline", "faultline-plugin-process", "faultline-plugin-docker", "faultline-plugin-tcp"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func options(getenv func(string) string) selftest.Options {
	return selftest.Options{
		Program: filepath.Join(built, "faultline"), PluginDirs: []string{built},
		Seed: uint64(time.Now().UnixNano()) % 1e6, Getenv: getenv,
	}
}

// withoutDocker is an environment in which no engine answers.
func withoutDocker(name string) string {
	if name == "DOCKER_HOST" {
		return "unix:///nowhere/docker.sock"
	}
	return os.Getenv(name)
}

// TestNothingStaysBroken is the proof: every accident that there is. On a machine
// without a Docker engine the faults on containers are left out, and that is said.
func TestNothingStaysBroken(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a minute or two")
	}
	result, err := selftest.Run(t.Context(), options(os.Getenv))
	if err != nil {
		t.Fatal(err)
	}
	var table bytes.Buffer
	if err := result.Text(&table); err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", table.String())
	if !result.OK() {
		t.Error("something is wrong with the cases that are listed above")
	}
	if n := result.Tried(); n < 40 {
		t.Errorf("only %d cases were tried", n)
	}
	want := fmt.Sprintf("leaked 0 of %d\n", result.Tried())
	if !strings.HasSuffix(table.String(), "\n"+want) {
		t.Errorf("the last line is not %q", want)
	}
	for _, why := range result.LeftOut {
		t.Run("docker", func(t *testing.T) { plugintest.Need(t, "docker", func() error { return errors.New(why) }) })
	}
}

// TestOnly tries one accident by name.
func TestOnly(t *testing.T) {
	o := options(withoutDocker)
	o.Only = "process_pause/engine/killed/fault.observed"
	// A plugin that a busy machine keeps from it for a second is forestalled by the guardian.
	for try := 1; ; try++ {
		result, err := selftest.Run(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if !result.OK() || len(result.Cases) != 2 {
			t.Fatalf("%+v", result)
		}
		if len(result.LeftOut) != 1 || !strings.Contains(result.LeftOut[0], "no Docker engine answers") {
			t.Errorf("left out: %q", result.LeftOut)
		}
		c := result.Cases[1]
		if c.Name == o.Only && slices.Equal(c.By, []string{"plugin"}) {
			break
		}
		if c.Name != o.Only || !slices.Equal(c.By, []string{"guardian"}) || try == 5 {
			t.Fatalf("%s was put back by %v, not by its plugin", c.Name, c.By)
		}
	}
	o.Only = "no such case"
	if _, err := selftest.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), o.Only) {
		t.Errorf("a name that no case has: %v", err)
	}
}

// TestInterrupted stops a self-test in the middle: nothing that it started is left.
func TestInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancelCause(t.Context())
	stopped := errors.New("stopped by the operator")
	o := options(withoutDocker)
	o.Only = "process_"
	o.Done = func(_ selftest.CaseResult, done, _ int) {
		if done == 2 { // the undisturbed runs are over, accidents happen
			time.AfterFunc(4*time.Second, func() { interrupt(stopped) })
		}
	}
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	if _, err := selftest.Run(ctx, o); !errors.Is(err, stopped) {
		t.Errorf("an interrupted self-test: %v", err)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left in %s: %v, %v", temp, left, err)
	}
	links, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if exe, err := os.Readlink(link); err == nil && strings.HasPrefix(exe, temp) {
			t.Errorf("%s still runs %s", link, exe)
		}
	}
}

// TestOwnPlugin tests a plugin as its author does: with a game day, a target and a
// command of his own.
func TestOwnPlugin(t *testing.T) {
	dir := t.TempDir()
	pidFile := filepath.Join(dir, "mine.pid")
	target := exec.Command(filepath.Join(built, "faultline"), selftest.SleeperCommand, "-pid-file", pidFile, "-max-life", "5m")
	// Under another name: what is called faultline the process plugin never touches.
	target.Path = filepath.Join(dir, "mine")
	if err := os.Link(filepath.Join(built, "faultline"), target.Path); err != nil {
		t.Fatal(err)
	}
	if err := target.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		target.Process.Kill()
		target.Wait()
	})
	check := []string{os.Args[0], "runs", pidFile}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(2 * time.Minute); runs(pidFile) != nil; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("the target does not start: %v", runs(pidFile))
		}
	}
	open, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	scenario := filepath.Join(dir, "mine.hcl")
	if err := os.WriteFile(scenario, []byte(mine), 0o600); err != nil {
		t.Fatal(err)
	}
	o := options(withoutDocker)
	o.Own = &selftest.Own{
		Plugin: filepath.Join(built, "faultline-plugin-process"), Scenario: scenario, Clean: check,
		Variables: []string{"pid_file=" + pidFile, "address=" + open.Addr().String()},
	}
	o.Only = "process/engine+plugin/killed/fault.active"
	result, err := selftest.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if !result.OK() || len(result.Cases) != 2 {
		t.Fatalf("%+v", result)
	}
	if by := result.Cases[1].By; len(by) != 1 || by[0] != "guardian" {
		t.Errorf("put back by %v, not by the guardian", by)
	}

	if err := target.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	if _, err := selftest.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "not clean to begin with") {
		t.Errorf("with a target that is broken already: %v", err)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left in %s: %v, %v", temp, left, err)
	}
}

const mine = `
variable "pid_file" {
  type = string
}
variable "address" {
  type = string
}
scenario "mine" {
  lease = "3s"
}
probe "tcp" "port" {
  address = var.address
  rate    = 10
}
steady_state "open" {
  objective "answers" {
    probe       = probe.tcp.port
    good        = sample.ok
    target      = 0.5
    min_samples = 5
    judge       = "point"
  }
}
target "process" "mine" {
  match { pid_file = var.pid_file }
}
experiment "pause" {
  steady_state   = [steady_state.open]
  baseline       = "1s"
  observe        = "1s"
  recover_within = "1s"
  fault "process_pause" "mine" {
    target   = target.process.mine
    duration = "3s"
  }
}
`
