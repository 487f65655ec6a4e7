package main

import (
	"context"
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

// Whether it was our own stop that came late, or somebody else's, cannot be told
// from the exit code: it is named as residue while it may be ours.
func TestStoppedSoonAfterTheRevert(t *testing.T) {
	l := newLab(t)
	u := injected(l, stop(l.engines), l.run(), oneSecond)
	reverts(l, stop, u, sdk.PutBack)
	l.ready(u.Container)
	l.must(l.engine.ContainerStop(context.Background(), u.Container, container.StopOptions{}))
	if r := reverts(l, stop, u, sdk.ForeignChange); !r.Residue {
		t.Errorf("reverted %+v", r)
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
	seen, failed := l.engine.Events(listen, events.ListOptions{Filters: filters.NewArgs(
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
