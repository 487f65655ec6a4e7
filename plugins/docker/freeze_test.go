package main

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"

	"github.com/faultline-go/faultline/sdk"
)

var crashPause = pauseConfig{Via: viaCrash}

func TestFreeze(t *testing.T) {
	l := newLab(t)
	needRoot(t)
	f := pause(l.engines)
	u := prepared(l, f, l.run(), crashPause)
	observes(l, f, crashPause, u, false, false)
	reverts(l, pause, u, sdk.AlreadyGone)

	l.must(f.Inject(context.Background(), crashPause, u))
	observes(l, f, crashPause, u, true, false)
	scans(l, pause, u, 1)
	if l.look(u.Container).Paused {
		t.Error("the engine knows of a pause that went past it")
	}
	if frozen, err := u.Freezer.Frozen(); err != nil || !frozen {
		t.Errorf("frozen: %v, %v", frozen, err)
	}
	reverts(l, pause, u, sdk.PutBack)
	if frozen, err := u.Freezer.Frozen(); err != nil || frozen {
		t.Errorf("after the revert frozen: %v, %v", frozen, err)
	}
	scans(l, pause, u, 0)
	reverts(l, pause, u, sdk.AlreadyGone)
}

func TestFreezeAndSomebodyElse(t *testing.T) {
	l := newLab(t)
	needRoot(t)
	f := pause(l.engines)
	ctx := context.Background()
	t.Run("freezes it between Prepare and Inject", func(t *testing.T) {
		l := l.in(t)
		u := prepared(l, f, l.run(), crashPause)
		l.must(u.Freezer.Freeze(ctx))
		defer u.Freezer.Thaw(ctx)
		if err := f.Inject(ctx, crashPause, u); err == nil || !strings.Contains(err.Error(), "somebody else") {
			t.Errorf("inject: %v", err)
		}
		r, err := f.Revert(ctx, u) // by the process that saw it
		if err != nil || r.Outcome != sdk.ForeignChange {
			t.Errorf("revert: %+v, %v", r, err)
		}
		if frozen, err := u.Freezer.Frozen(); err != nil || !frozen {
			t.Errorf("what somebody else froze is frozen: %v, %v", frozen, err)
		}
	})
	t.Run("restarts it between Prepare and Inject", func(t *testing.T) {
		l := l.in(t)
		u := prepared(l, f, l.run(), crashPause)
		l.must(l.engine.ContainerRestart(ctx, u.Container, container.StopOptions{}))
		if err := f.Inject(ctx, crashPause, u); !errors.Is(err, sdk.ErrGone) {
			t.Errorf("inject: %v", err)
		}
		reverts(l, pause, u, sdk.AlreadyGone)
	})
	t.Run("thaws and removes it", func(t *testing.T) {
		l := l.in(t)
		u := injected(l, f, l.run(), crashPause)
		l.must(u.Freezer.Thaw(ctx))
		l.remove(u.Container)
		observes(l, f, crashPause, u, false, false)
		scans(l, pause, u, 0)
		reverts(l, pause, u, sdk.AlreadyGone)
	})
}

// An engine whose processes are not on this machine is past our reach.
func TestCrashNeedsTheEnginesHost(t *testing.T) {
	for what, s := range map[string]snapshot{
		"no such process":      {Name: "c", ID: strings.Repeat("a", 64), Pid: 1 << 22},
		"a process of another": {Name: "c", ID: strings.Repeat("a", 64), Pid: 1},
	} {
		if _, _, err := s.freezable(); err == nil || !strings.Contains(err.Error(), "own host") {
			t.Errorf("freeze with %s: %v", what, err)
		}
		if _, err := s.crashable(); err == nil || !strings.Contains(err.Error(), "own host") {
			t.Errorf("crash with %s: %v", what, err)
		}
	}
}
