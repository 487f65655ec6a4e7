package recover

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/engine/journal"
)

func (s *scene) both() (open, live []journal.RunInfo) {
	s.t.Helper()
	open, live, err := Pending(s.t.Context(), s.store)
	if err != nil {
		s.t.Fatal(err)
	}
	return open, live
}

func TestPendingTellsTheLiveFromTheDead(t *testing.T) {
	synctest.Test(t, pendingTellsTheLiveFromTheDead)
}

func pendingTellsTheLiveFromTheDead(t *testing.T) {
	s := newScene(t, map[string]*street{"lamp": newStreet("a")}, intent("f1", "a"))
	w, err := s.store.TakeOver(s.run)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if open, live := s.both(); len(open) != 0 || len(live) != 1 || live[0].ID != s.run || live[0].Owner != os.Getpid() {
		t.Errorf("while we hold it: open %+v, live %+v", open, live)
	}
	if waited := time.Since(began); waited > 0 { // in a bubble only waiting takes time
		t.Errorf("it waited %s for a process that lives", waited)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if open, live := s.both(); len(open) != 1 || len(live) != 0 || open[0].Owner != 0 {
		t.Errorf("when nobody holds it: open %+v, live %+v", open, live)
	}
	s.recover()
	if open, live := s.both(); len(open)+len(live) != 0 {
		t.Errorf("after recovery: open %+v, live %+v", open, live)
	}
}

// The owner of a run is dead, a child of it still has the lock for a moment.
func TestPendingWaitsForTheDying(t *testing.T) {
	s := newScene(t, map[string]*street{"lamp": newStreet("a")}, intent("f1", "a"))
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	child := heldByAChild(t, s, dead.Process.Pid)
	ended := time.AfterFunc(200*time.Millisecond, func() { _ = child.Process.Kill() })
	defer ended.Stop()
	if open, live := s.both(); len(open) != 1 || len(live) != 0 {
		t.Errorf("open %+v, live %+v", open, live)
	}
}

// What does not die in time is live, whoever is said to own it.
func TestPendingDoesNotWaitForEver(t *testing.T) {
	s := newScene(t, map[string]*street{"lamp": newStreet("a")}, intent("f1", "a"))
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	heldByAChild(t, s, dead.Process.Pid)
	if open, live := s.both(); len(open) != 0 || len(live) != 1 {
		t.Errorf("open %+v, live %+v", open, live)
	}
}

// heldByAChild has a process hold the lock of the run, which names another as its owner.
func heldByAChild(t *testing.T, s *scene, owner int) *exec.Cmd {
	t.Helper()
	lock, err := os.OpenFile(filepath.Join(s.store.RunDir(s.run), "lock"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(lock.Name(), []byte(strconv.Itoa(owner)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	child := exec.Command("sleep", "60")
	child.ExtraFiles = []*os.File{lock}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = child.Process.Kill()
		_ = child.Wait()
	})
	return child
}

func TestDying(t *testing.T) {
	if dying(os.Getpid()) {
		t.Error("this process is dying")
	}
	child := exec.Command("sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	pid := child.Process.Pid
	if dying(pid) {
		t.Error("the child is dying before it is killed")
	}
	if err := child.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	var info unix.Siginfo // waits for its end, and leaves it a zombie
	if err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	if !dying(pid) {
		t.Error("a zombie is not dying")
	}
	_ = child.Wait()
	if !dying(pid) {
		t.Error("a process that is gone is not dying")
	}
}
