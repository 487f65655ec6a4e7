package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/sdk/wire"
)

// served is a plugin that runs already.
type served struct {
	cmd   *exec.Cmd
	value string // of FAULTLINE_REATTACH
	pid   int    // of the plugin
	ended chan error
}

var exportLine = regexp.MustCompile(`export FAULTLINE_REATTACH='(.+)'`)

// serve runs what serves a plugin, and reads where.
func serve(t *testing.T, cmd *exec.Cmd) *served {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := &served{cmd: cmd, ended: make(chan error, 1)}
	lines := bufio.NewScanner(out)
	for s.value == "" && lines.Scan() {
		if m := exportLine.FindStringSubmatch(lines.Text()); m != nil {
			s.value = m[1]
		}
	}
	var read sync.WaitGroup
	read.Go(func() { _, _ = io.Copy(io.Discard, out) })
	go func() {
		read.Wait()
		s.ended <- cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		if s.pid != 0 {
			_ = unix.Kill(s.pid, unix.SIGKILL)
		}
	})
	all, err := wire.ParseReattach(s.value)
	if err != nil || all["dummy"].PID == 0 {
		t.Fatalf("served %q, %v: %s", s.value, err, &complaints)
	}
	s.pid = all["dummy"].PID
	t.Cleanup(func() { os.RemoveAll(filepath.Dir(all["dummy"].Address)) }) // a killed process leaves it
	if info, err := os.Stat(filepath.Dir(all["dummy"].Address)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the socket's folder: %v, %v", info, err)
	}
	return s
}

// interrupt ends it as Ctrl-C does.
func (s *served) interrupt(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(unix.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := <-s.ended; err != nil {
		t.Errorf("it ends with %v", err)
	}
	if !eventually(func() bool { return !exists(filepath.Join("/proc", itoa(s.pid))) }) {
		t.Error("the plugin is still there")
	}
}

func itoa(n int) string {
	raw, _ := json.Marshal(n)
	return string(raw)
}

// dayWithLease is the game day with a lease much shorter than a person's look at a
// breakpoint.
func dayWithLease(t *testing.T, work string) {
	t.Helper()
	path := filepath.Join(work, "day", "day.hcl")
	day, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	short := strings.Replace(string(day), "    duration = var.duration\n", "    duration = var.duration\n    lease    = \"3s\"\n", 1)
	if err := os.WriteFile(path, []byte(short), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAttachedPlugin(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(work string) *exec.Cmd{
		"by faultline plugin serve": func(work string) *exec.Cmd {
			return faultlineIn(t, work, "plugin", "serve", dummyPath(t))
		},
		"by itself": func(work string) *exec.Cmd {
			return commandIn(t, work, dummyPath(t), "-serve")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			work := workFolder(t)
			dayWithLease(t, work)
			s := serve(t, start(work))
			run := func(duration string) (*exec.Cmd, *bytes.Buffer) {
				var out bytes.Buffer
				cmd := faultlineIn(t, work, "run", "day", "-var", "duration="+duration)
				cmd.Env = append(cmd.Env, wire.ReattachVariable+"="+s.value)
				cmd.Stdout, cmd.Stderr = &out, &out
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				return cmd, &out
			}
			mark := filepath.Join(work, "things", "pear.marked")
			injected := func(cmd *exec.Cmd, out *bytes.Buffer) {
				t.Helper()
				if !eventually(func() bool { return exists(mark) }) {
					_ = cmd.Process.Kill()
					_ = cmd.Wait()
					t.Fatalf("no fault is injected: %s", out)
				}
			}

			// The plugin is stopped for much longer than its lease, as a breakpoint does it.
			cmd, out := run("8s")
			injected(cmd, out)
			if err := unix.Kill(s.pid, unix.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			<-time.After(5 * time.Second)
			if err := unix.Kill(s.pid, unix.SIGCONT); err != nil {
				t.Fatal(err)
			}
			err := cmd.Wait()
			if c := code(t, err); c != 0 && c != 3 { // the probe was stopped, too: samples are missing
				t.Errorf("the run ends with %d:\n%s", c, out)
			}
			for _, want := range []string{"Warning: plugin dummy is a process that runs already", "Plugin dummy was not checked: it was attached"} {
				if !strings.Contains(out.String(), want) {
					t.Errorf("the run does not say %q:\n%s", want, out)
				}
			}
			if strings.Contains(out.String(), "leases were lost") || exists(mark) {
				t.Errorf("the fault was not held, or not put back:\n%s", out)
			}

			// The next run is of the same process, and goes its way. Its engine is killed: the
			// plugin puts back because the connection ends, long before its lease.
			cmd, out = run("1m")
			injected(cmd, out)
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			if !eventually(func() bool { return !exists(mark) }) {
				t.Errorf("the fault outlives its engine:\n%s", out)
			}
			if !eventually(func() bool { return pendingRuns(t, work) == 0 }) {
				t.Error("the guardian does not end the run")
			}

			// The process dies under a run: what it held is put back by a copy of its program.
			cmd, out = run("1m")
			injected(cmd, out)
			if err := unix.Kill(s.pid, unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
			if c := code(t, cmd.Wait()); c != 6 || exists(mark) || !strings.Contains(out.String(), "(attached, process "+itoa(s.pid)+") has ended") {
				t.Errorf("the run ends with %d, marked %v:\n%s", c, exists(mark), out)
			}
			<-s.ended

			// Without it nothing begins.
			text, err := faultlineWith(t, work, s.value, "run", "day").CombinedOutput()
			if c := code(t, err); c != 2 || !strings.Contains(string(text), "attach plugin dummy (process "+itoa(s.pid)+"): it is not served any more") {
				t.Errorf("with a process that is gone, run ends with %d: %s", c, text)
			}
		})
	}
}

func TestServedPluginEndsOnInterrupt(t *testing.T) {
	t.Parallel()
	work := workFolder(t)
	s := serve(t, faultlineIn(t, work, "plugin", "serve", dummyPath(t)))
	text, err := faultlineWith(t, work, s.value, "plugin", "list").CombinedOutput()
	if err != nil || !strings.Contains(string(text), "dummy_mark") {
		t.Errorf("plugin list: %v: %s", err, text)
	}
	s.interrupt(t)
}

func faultlineWith(t *testing.T, work, reattach string, args ...string) *exec.Cmd {
	cmd := faultlineIn(t, work, args...)
	cmd.Env = append(cmd.Env, wire.ReattachVariable+"="+reattach)
	return cmd
}

// pendingRuns counts the runs that have no end.
func pendingRuns(t *testing.T, work string) int {
	t.Helper()
	text, err := faultlineIn(t, work, "recover", "-dry-run", "-format", "json").Output()
	if err != nil {
		return -1
	}
	var open []any
	if err := json.Unmarshal(text, &open); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return len(open)
}

// dummyPath is the dummy plugin's program.
func dummyPath(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath(dummyBinary)
	if err != nil {
		t.Fatal(err)
	}
	return path
}
