package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/plugins/internal/cgroup/cgrouptest"
	"github.com/faultline-go/faultline/plugins/internal/incarnation"
	"github.com/faultline-go/faultline/plugins/internal/pressure"
	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/plugintest"
)

// The test binary also plays the pressure processes, as the plugin's binary does, and
// the process that the pressure is put on: it reads commands, and answers each.
func TestMain(m *testing.M) {
	pressure.Main()
	if len(os.Args) == 2 && os.Args[1] == "obey" {
		obey()
		return
	}
	plugintest.Main(m, plugin())
}

// lifetime bounds how long such a process can outlive a test that lost it.
const lifetime = time.Hour

// obey does what its standard input says, line by line, and says how it went.
func obey() {
	time.AfterFunc(lifetime, func() { os.Exit(1) })
	haveThreads(16)
	fmt.Println("ready")
	in := bufio.NewScanner(os.Stdin)
	var kept []*os.File
	for in.Scan() {
		var err error
		switch in.Text() {
		case "open": // one more file
			var f *os.File
			if f, err = os.Open("/dev/null"); err == nil {
				kept = append(kept, f)
			}
		case "fork": // one process more, for a moment
			err = exec.Command("/bin/true").Run()
		}
		fmt.Println(err)
	}
	_ = kept
}

// haveThreads has the runtime start so many threads, which it keeps for later. Threads
// count as processes: a program that needs one more on a busy machine, when the limit is
// met, is ended by its runtime, and that is not what is tested.
func haveThreads(n int) {
	var all, here sync.WaitGroup
	here.Add(n)
	for range n {
		all.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			here.Done()
			here.Wait()
		})
	}
	all.Wait()
}

// subject is a process in a control group of its own.
type subject struct {
	*cgrouptest.Group
	t    testing.TB
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	done chan struct{}
}

// begin starts one. limits are given to its group first.
func begin(t testing.TB, limits map[string]int64) *subject {
	t.Helper()
	s := &subject{Group: cgrouptest.New(t), t: t}
	for controller, n := range limits {
		s.Limit(controller, n)
	}
	s.start()
	return s
}

// start starts the process, or the next one in its place.
func (s *subject) start() {
	s.t.Helper()
	s.cmd, s.done = exec.Command(os.Args[0], "obey"), make(chan struct{})
	in, err := s.cmd.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	s.in, s.out = in, bufio.NewReader(out)
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	cmd, done := s.cmd, s.done
	s.t.Cleanup(func() { cmd.Process.Kill(); <-done })
	s.Add(cmd.Process.Pid)
	if line, err := s.out.ReadString('\n'); err != nil || line != "ready\n" {
		s.t.Fatalf("the process says %q, %v", line, err)
	}
	go func() { cmd.Process.Wait(); close(done) }()
}

// kill ends the process from outside.
func (s *subject) kill() {
	s.cmd.Process.Kill()
	<-s.done
}

// do has the process do something and returns how that went: "<nil>", or an error.
func (s *subject) do(what string) string {
	s.t.Helper()
	if _, err := fmt.Fprintln(s.in, what); err != nil {
		s.t.Fatal(err)
	}
	line, err := s.out.ReadString('\n')
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

var subjects atomic.Int64

// candidate is the process as the process plugin would discover it.
func (s *subject) candidate() sdk.Candidate {
	s.t.Helper()
	i, err := incarnation.Of(s.cmd.Process.Pid)
	if err != nil {
		s.t.Fatal(err)
	}
	return sdk.Candidate{
		Kind: "process", Interfaces: []string{"process"},
		ID: fmt.Sprintf("command:%d", subjects.Add(1)), Name: fmt.Sprintf("subject (pid %d)", i.PID), Incarnation: i.String(),
		Attributes: map[string]any{"pid": i.PID, "start_ticks": i.Start},
	}
}

// guests are the processes in the group that are not the subject itself.
func (s *subject) guests() int { return len(s.PIDs("memory")) - 1 }

// injected runs Prepare and Inject, and has Revert run at the end of the test.
func injected[C, U any](t *testing.T, f sdk.Fault[C, U], target sdk.Candidate, c C) U {
	t.Helper()
	p, err := f.Prepare(t.Context(), sdk.PrepareTarget{Candidate: target}, c)
	if err != nil {
		t.Fatal(err)
	}
	if p.Incarnation == "" || len(p.Resources) == 0 {
		t.Errorf("prepared without incarnation or resources: %+v", p)
	}
	t.Cleanup(func() { reverted(t, f, p.Undo) })
	if err := f.Inject(t.Context(), c, p.Undo); err != nil {
		t.Fatal(err)
	}
	return p.Undo
}

func reverted[C, U any](t *testing.T, f sdk.Fault[C, U], u U) sdk.Reverted {
	t.Helper()
	r, err := f.Revert(context.Background(), u)
	if err != nil || r.Proof == "" || r.Residue {
		t.Errorf("reverted %+v, %v", r, err)
	}
	return r
}

// biting observes until the effect is as it should be: a measurement on a busy machine
// may need more than one look.
func biting[C, U any](t *testing.T, f sdk.Fault[C, U], c C, u U, is func(sdk.Effect) bool) sdk.Effect {
	t.Helper()
	var e sdk.Effect
	eventually(t, func() string { return fmt.Sprintf("the fault bites as it should: %+v", e) }, func() bool {
		var err error
		if e, err = f.Observe(t.Context(), c, u); err != nil {
			t.Fatal(err)
		}
		return e.Bites && is(e)
	})
	t.Log(e.Detail)
	return e
}

func eventually(t *testing.T, what func() string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what())
		}
	}
}

// machine is this machine as a target.
func machine(t testing.TB) sdk.Candidate {
	t.Helper()
	found, err := machineTarget.Discover(t.Context(), machineMatch{})
	if err != nil || len(found) != 1 {
		t.Fatalf("found %+v, %v", found, err)
	}
	found[0].Kind, found[0].Interfaces = machineTarget.Type, machineTarget.Interfaces
	return found[0]
}

func because(text string) func() string { return func() string { return text } }

// smallDisk mounts a file system of its own that has that much space.
func smallDisk(t testing.TB, bytes int64) string {
	t.Helper()
	plugintest.Need(t, "root", func() error {
		if os.Getuid() != 0 {
			return errors.New("file systems are mounted by root")
		}
		return nil
	})
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", bytes)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("clean up: %v", err)
			_ = unix.Unmount(dir, unix.MNT_DETACH)
		}
	})
	return dir
}

func freeIn(t testing.TB, dir string) int64 {
	t.Helper()
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		t.Fatal(err)
	}
	return int64(s.Bavail) * s.Bsize
}
