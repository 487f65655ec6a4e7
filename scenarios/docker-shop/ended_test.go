package dockershop_test

import (
	"fmt"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker/api/types/events"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/engine/recover"
)

// Game days that somebody ends in the middle of a pause. It would last for minutes, as
// would its lease, so that only what the test does can end it soon.
const (
	longPause = "5m"
	longLease = "2m"
)

// How the shop fares is not the question in these: no baseline may stand in the way,
// neither by what fails nor by what a busy machine is too late to measure. That is also
// why they can run beside each other, as the judged game days do not.
var anyShop = []string{"-var", "target=0.1", "-var", "rate=1"}

// soon is how quickly what must happen at once has to have happened, on a busy
// machine. It is less than a lease, so that the end of one is not taken for it.
const soon = time.Minute

func TestGameDayInterrupted(t *testing.T) {
	t.Parallel()
	s, o := newSystem(t), newOperator(t)
	began := time.Now()
	g := o.starts(t, s, only(t, "store-hangs", longPause), anyShop...)
	s.await(t, "store", events.ActionPause)
	eventually(t, "the run sees the pause that the engine has reported", func() error {
		if f := o.report(t).Experiments[0].Faults; len(f) != 1 || !f[0].Bites {
			return fmt.Errorf("faults %+v", f)
		}
		return nil
	})
	at := time.Now()
	send(t, g.cmd.Process.Pid, os.Interrupt)
	code := g.code(t)
	s.close(t)
	r := o.report(t)

	if code != judge.ExitAborted || r.Verdict != judge.Aborted || r.Abort == nil || r.Abort.Cause != "operator" {
		t.Errorf("exit code %d, verdict %s, abort %+v; want 4, aborted by the operator", code, r.Verdict, r.Abort)
	}
	if len(r.Experiments) != 1 || len(r.Experiments[0].Faults) != 1 {
		t.Fatalf("experiments %+v, want one with one fault", r.Experiments)
	}
	f := r.Experiments[0].Faults[0]
	if f.Cause != "abort" || f.Targets[0].Outcome != journal.Reverted || f.Targets[0].By != "engine" {
		t.Errorf("the fault: %+v, want it reverted by the engine because of the abort", f)
	}
	s.checkPause(t, began, at)
	s.checkStoreOnly(t)
	s.restored(t)
}

// Whoever dies, the next one puts back. "Engine" is faultline here, not Docker's.
func TestGameDayKilled(t *testing.T) {
	t.Parallel()
	s, o := newSystem(t), newOperator(t)
	day := only(t, "store-hangs", longPause)
	const guardian, plugin = "--when-parent-dies", "faultline-plugin-docker"
	for _, c := range []struct {
		name     string
		also     []string // who dies together with the engine: words of their command lines
		by       []string // who may then put back
		closedBy string
	}{
		{"engine", nil, []string{"plugin", "guardian"}, "guardian"},
		{"engine and guardian", []string{guardian}, []string{"plugin"}, "recover"},
		{"everybody", []string{guardian, plugin}, []string{"recover"}, "recover"},
	} {
		began := time.Now()
		g := o.starts(t, s, day, anyShop...)
		s.await(t, "store", events.ActionPause)
		at := o.kills(t, g, c.also...)
		if code := g.code(t); code != -1 {
			t.Fatalf("%s: faultline ended with exit code %d before it was killed", c.name, code)
		}
		switch {
		case slices.Contains(c.by, "recover"):
			o.nobodyLeft(t)
			if !s.look(t)["store"].Paused {
				t.Errorf("%s: the store is not paused, though nobody was left to see to it", c.name)
			}
			at = time.Now()
			o.recovers(t, s, day, c.by)
			s.await(t, "store", events.ActionUnPause)
		case c.closedBy == "recover":
			s.await(t, "store", events.ActionUnPause)
			o.nobodyLeft(t)
			o.recovers(t, s, day, c.by)
		default:
			s.await(t, "store", events.ActionUnPause)
			o.nobodyLeft(t)
		}
		s.checkPause(t, began, at)
		o.checkClosed(t, c.name, c.closedBy, c.by)
	}
	s.close(t)
	s.checkStoreOnly(t)
	s.restored(t)
}

// kills ends a game day's process and others of it at once: all are stopped first, so
// that none sees another one die. It returns when it did.
func (o *operator) kills(t *testing.T, g *gameDay, also ...string) time.Time {
	t.Helper()
	all := []int{g.cmd.Process.Pid}
	for _, words := range also {
		pid := o.process(t, words)
		all = append(all, pid)
	}
	for _, pid := range all {
		send(t, pid, syscall.SIGSTOP)
	}
	at := time.Now()
	for _, pid := range all {
		send(t, pid, syscall.SIGKILL)
	}
	return at
}

func send(t *testing.T, pid int, s os.Signal) {
	t.Helper()
	p, err := os.FindProcess(pid)
	if err == nil {
		err = p.Signal(s)
	}
	if err != nil {
		t.Fatalf("send %s to process %d: %v", s, pid, err)
	}
}

// recovers recovers the latest run, which nobody has closed: no other run may begin
// before that.
func (o *operator) recovers(t *testing.T, s *system, day string, by []string) {
	t.Helper()
	if h := o.history(t); len(h) == 0 || h[len(h)-1].Verdict != "unfinished" {
		t.Errorf("history %+v, want an unfinished run at its end", h)
	}
	if code := o.starts(t, s, day, anyShop...).code(t); code != 7 {
		t.Errorf("another run ends with exit code %d, want 7: refused", code)
	}
	var recovered []recover.Result
	o.reads(t, &recovered, "recover", "-format", "json")
	if len(recovered) != 1 || !recovered[0].Clean() || len(recovered[0].Faults) != 1 {
		t.Fatalf("recovered %+v, want one run, clean, with one fault", recovered)
	}
	if target := recovered[0].Faults[0].Targets[0]; target.Outcome != journal.Reverted || !slices.Contains(by, target.By) {
		t.Errorf("recover says %+v, want it reverted by %q", target, by)
	}
	if o.reads(t, &recovered, "recover", "-format", "json"); len(recovered) != 0 {
		t.Errorf("recovered once more: %+v", recovered)
	}
}

// checkClosed looks at what the record of the latest run says in the end.
func (o *operator) checkClosed(t *testing.T, name, closedBy string, by []string) {
	t.Helper()
	h := o.history(t)
	last := h[len(h)-1]
	if last.Verdict != judge.Errored || (last.ExitCode == nil || *last.ExitCode != judge.ExitErrored) {
		t.Errorf("%s: history %+v, want a run that errored", name, last)
	}
	r := o.report(t)
	if r.Run.ID != last.Run || r.Unfinished || len(r.Residue) > 0 || r.Run.EndedBy != closedBy || len(r.Takeovers) != 1 || r.Takeovers[0].By != closedBy {
		t.Errorf("%s: run %s, unfinished %t, residue %v, ended by %q, takeovers %v; want %s, which %s has taken over and closed",
			name, r.Run.ID, r.Unfinished, r.Residue, r.Run.EndedBy, r.Takeovers, last.Run, closedBy)
	}
	f := r.Experiments[0].Faults[0]
	if target := f.Targets[0]; f.State != judge.FaultReverted || target.Outcome != journal.Reverted || !slices.Contains(by, target.By) {
		t.Errorf("%s: the fault %+v, want it reverted by %q", name, f, by)
	}
}

// checkPause looks whether the store was paused, since a moment, until soon after
// another one.
func (s *system) checkPause(t *testing.T, began, end time.Time) {
	t.Helper()
	life := s.between("store", began, time.Now())
	if !slices.Equal(actions(life), []string{"pause", "unpause"}) {
		t.Fatalf("the engine says that the store did %q, want pause, unpause", actions(life))
	}
	if after := when(life[1]).Sub(end); when(life[0]).After(end) || after < 0 || after > soon {
		t.Errorf("the store was paused from %s to %s; want until soon after %s", when(life[0]), when(life[1]), end)
	}
}

func (s *system) checkStoreOnly(t *testing.T) {
	t.Helper()
	if got := s.touched(); !slices.Equal(got, []string{"store"}) {
		t.Errorf("touched %q, want the store only", got)
	}
}
