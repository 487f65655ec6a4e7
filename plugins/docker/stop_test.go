package main

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"

	"github.com/faultline-go/faultline/sdk"
)

var oneSecond = graceConfig{Timeout: time.Second}

func TestStop(t *testing.T) {
	l := newLab(t)
	f := stop(l.engines)
	u := prepared(l, f, l.run(policy(container.RestartPolicyAlways)), oneSecond)
	observes(l, f, oneSecond, u, false, false)
	reverts(l, stop, u, sdk.AlreadyGone)

	l.must(f.Inject(context.Background(), oneSecond, u))
	if s := l.look(u.Container); s.Running || s.ExitCode != 0 {
		t.Errorf("after an orderly stop: %+v", s)
	}
	observes(l, f, oneSecond, u, true, false)
	scans(l, stop, u, 1)
	twice(l, stop, u)
	if s := l.look(u.Container); !s.Running || s.StartedAt == u.StartedAt {
		t.Errorf("after the reverts: %+v", s)
	}
	scans(l, stop, u, 0)
}

func TestStopKillsAfterTheTimeout(t *testing.T) {
	l := newLab(t)
	f := stop(l.engines)
	at := time.Now()
	u := injected(l, f, l.run(command("stubborn")), oneSecond)
	if s := l.look(u.Container); s.Running || s.ExitCode != 137 {
		t.Errorf("after a stop that was ignored: %+v", s)
	}
	if took := time.Since(at); took < time.Second {
		t.Errorf("took %s, less than the timeout", took)
	}
	reverts(l, stop, u, sdk.PutBack)
	l.remove(u.Container)
	reverts(l, stop, u, sdk.AlreadyGone)
}

// A stop that the engine still carries out after its client died may hit the
// incarnation that the revert has started: the next revert starts it once more.
func TestStoppedSoonAfterTheRevert(t *testing.T) {
	l := newLab(t)
	u := injected(l, stop(l.engines), l.run(), oneSecond)
	reverts(l, stop, u, sdk.PutBack)
	l.soon(u.Container, func() {
		l.ready(u.Container)
		l.must(l.engine.ContainerStop(context.Background(), u.Container, container.StopOptions{}))
	})
	reverts(l, stop, u, sdk.PutBack)
	if s := l.look(u.Container); !s.Running {
		t.Errorf("after the second revert: %+v", s)
	}
}

// soon has somebody end a container so soon after its start that it may be a late effect of
// the fault's own request. An engine with much to do takes longer than that now and then:
// the container is started once more then.
func (l *lab) soon(id string, end func()) {
	l.t.Helper()
	for range 10 {
		end()
		var s snapshot
		l.eventually("the engine has noticed the end", func() bool { s = l.look(id); return !s.Running })
		if s.lived() < settle/2 {
			return
		}
		l.must(l.engine.ContainerStart(context.Background(), id, container.StartOptions{}))
	}
	l.t.Fatalf("the engine never ends a container within %s of its start", settle/2)
}

// Whose stop it was cannot be told from the exit code: it is undone only while it may
// well be ours, and named as residue where it hardly is.
func TestEndedAgain(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name           string
		lateExit, exit int
		lived, ago     time.Duration
		left, residue  bool
	}{
		{name: "a stop, soon and just now", exit: 0, lived: time.Second, ago: time.Second},
		{name: "a stop, soon but long ago", exit: 0, lived: time.Second, ago: time.Hour, left: true, residue: true},
		{name: "a stop, after a long life", exit: 0, lived: time.Hour, ago: time.Second, left: true},
		{name: "a kill, soon, with its exit code", lateExit: 137, exit: 137, lived: time.Second, ago: time.Hour},
		{name: "a kill, soon, with another exit code", lateExit: 137, exit: 1, lived: time.Second, ago: time.Second, left: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			ended := now.Add(-c.ago)
			s := snapshot{
				ExitCode:   c.exit,
				StartedAt:  ended.Add(-c.lived).Format(time.RFC3339Nano),
				FinishedAt: ended.Format(time.RFC3339Nano),
			}
			r, left := life{StartedAt: "before", LateExit: c.lateExit}.alone(s, now)
			if left != c.left || r.Residue != c.residue {
				t.Errorf("left alone %v (%+v), want %v, residue %v", left, r, c.left, c.residue)
			}
		})
	}
}

// The engine goes on with a stop when its client has hung up. Inject therefore
// returns only when it is over, so that nothing can come after the revert.
func TestInjectOutlastsALostLease(t *testing.T) {
	l := newLab(t)
	f := stop(l.engines)
	u := prepared(l, f, l.run(command("stubborn")), oneSecond)

	listen, hangUp := context.WithCancel(context.Background())
	defer hangUp()
	// The engine answers before it begins to listen to itself: what happens then is asked for, too.
	seen, failed := l.engine.Events(listen, events.ListOptions{Since: strconv.FormatInt(time.Now().Unix(), 10), Filters: filters.NewArgs(
		filters.Arg("container", u.Container), filters.Arg("event", "kill"))})
	lease, lose := context.WithCancel(context.Background())
	defer lose()
	done := make(chan error, 1)
	go func() { done <- f.Inject(lease, oneSecond, u) }()
	select {
	case <-seen:
	case err := <-failed:
		t.Fatal(err)
	case err := <-done:
		t.Fatalf("the stop was over before it began: %v", err)
	}
	lose()
	l.must(<-done)
	if l.look(u.Container).Running {
		t.Error("the injection returned while the stop was under way")
	}
	reverts(l, stop, u, sdk.PutBack)
}

func TestRestart(t *testing.T) {
	l := newLab(t)
	f := restart(l.engines)
	for name, o := range map[string][]option{"plain": nil, "--rm": {autoRemoved}} {
		t.Run(name, func(t *testing.T) {
			l := l.in(t)
			u := prepared(l, f, l.run(o...), oneSecond)
			observes(l, f, oneSecond, u, false, false)
			l.must(f.Inject(context.Background(), oneSecond, u))
			e := observes(l, f, oneSecond, u, true, true)
			if e.Measures["down_s"] <= 0 {
				t.Errorf("observed %+v", e)
			}
			if s := l.look(u.Container); !s.Running || s.StartedAt == u.StartedAt {
				t.Errorf("after the restart: %+v", s)
			}
			scans(l, restart, u, 0)
			reverts(l, restart, u, sdk.AlreadyGone)
		})
	}
}

// An engine that dies between stopping and starting leaves the container down.
func TestRestartThatWasOnlyHalfDone(t *testing.T) {
	l := newLab(t)
	u := prepared(l, restart(l.engines), l.run(), oneSecond)
	l.ready(u.Container)
	l.must(l.engine.ContainerStop(context.Background(), u.Container, container.StopOptions{}))
	scans(l, restart, u, 1)
	reverts(l, restart, u, sdk.PutBack)
}

func TestGraceInWholeSeconds(t *testing.T) {
	for d, want := range map[time.Duration]int{0: 0, time.Millisecond: 1, time.Second: 1, 1500 * time.Millisecond: 2, time.Minute: 60} {
		if got := *(graceConfig{Timeout: d}).seconds(); got != want {
			t.Errorf("%s: %d, want %d", d, got, want)
		}
	}
}
