package main

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"

	"github.com/faultline-go/faultline/sdk"
)

func TestPause(t *testing.T) {
	l := newLab(t)
	f := pause(l.engines)
	u := prepared(l, f, l.run(), pauseConfig{})
	observes(l, f, pauseConfig{}, u, false, false)
	reverts(l, pause, u, sdk.AlreadyGone)

	l.must(f.Inject(context.Background(), pauseConfig{}, u))
	observes(l, f, pauseConfig{}, u, true, false)
	scans(l, pause, u, 1)
	if s := l.look(u.Container); !s.Paused {
		t.Errorf("after the pause: %+v", s)
	}
	reverts(l, pause, u, sdk.PutBack)
	if s := l.look(u.Container); s.Paused || !s.Running || s.StartedAt != u.StartedAt {
		t.Errorf("after the revert: %+v", s)
	}
	scans(l, pause, u, 0)
	reverts(l, pause, u, sdk.AlreadyGone)
}

func TestPauseRevertedTwiceAtOnce(t *testing.T) {
	l := newLab(t)
	u := injected(l, pause(l.engines), l.run(), pauseConfig{})
	twice(l, pause, u)
	if s := l.look(u.Container); s.Paused || !s.Running {
		t.Errorf("after two reverts: %+v", s)
	}
}

func TestPauseAndSomebodyElse(t *testing.T) {
	l := newLab(t)
	f := pause(l.engines)
	ctx := context.Background()
	t.Run("paused it before", func(t *testing.T) {
		l := l.in(t)
		target := l.run()
		l.must(l.engine.ContainerPause(ctx, target.ID))
		_, err := f.Prepare(ctx, sdk.PrepareTarget{Candidate: target}, pauseConfig{})
		if err == nil || !strings.Contains(err.Error(), "is paused") {
			t.Errorf("prepare: %v", err)
		}
	})
	t.Run("pauses it between Prepare and Inject", func(t *testing.T) {
		l := l.in(t)
		u := prepared(l, f, l.run(), pauseConfig{})
		l.must(l.engine.ContainerPause(ctx, u.Container))
		if err := f.Inject(ctx, pauseConfig{}, u); err == nil || errors.Is(err, sdk.ErrGone) {
			t.Errorf("inject: %v", err)
		}
		r, err := f.Revert(ctx, u) // by the process that saw it
		if err != nil || r.Outcome != sdk.ForeignChange || !l.look(u.Container).Paused {
			t.Errorf("revert: %+v, %v, left %+v", r, err, l.look(u.Container))
		}
	})
	t.Run("unpauses it", func(t *testing.T) {
		l := l.in(t)
		u := injected(l, f, l.run(), pauseConfig{})
		l.must(l.engine.ContainerUnpause(ctx, u.Container))
		observes(l, f, pauseConfig{}, u, false, false)
		reverts(l, pause, u, sdk.AlreadyGone)
	})
	t.Run("kills it", func(t *testing.T) {
		l := l.in(t)
		u := injected(l, f, l.run(), pauseConfig{})
		l.must(l.engine.ContainerKill(ctx, u.Container, "SIGKILL"))
		observes(l, f, pauseConfig{}, u, false, false)
		reverts(l, pause, u, sdk.AlreadyGone)
		if l.look(u.Container).Running {
			t.Error("the revert of a pause started the container")
		}
	})
	t.Run("restarts and pauses it", func(t *testing.T) {
		l := l.in(t)
		u := injected(l, f, l.run(), pauseConfig{})
		l.must(l.engine.ContainerUnpause(ctx, u.Container))
		l.must(l.engine.ContainerRestart(ctx, u.Container, container.StopOptions{}))
		l.must(l.engine.ContainerPause(ctx, u.Container))
		scans(l, pause, u, 0)
		reverts(l, pause, u, sdk.ForeignChange)
		if !l.look(u.Container).Paused {
			t.Error("the revert unpaused what somebody else had paused")
		}
		if err := f.Inject(ctx, pauseConfig{}, u); !errors.Is(err, sdk.ErrGone) {
			t.Errorf("inject into a newer incarnation: %v", err)
		}
	})
	t.Run("removes it", func(t *testing.T) {
		l := l.in(t)
		u := injected(l, f, l.run(), pauseConfig{})
		l.remove(u.Container)
		observes(l, f, pauseConfig{}, u, false, false)
		scans(l, pause, u, 0)
		reverts(l, pause, u, sdk.AlreadyGone)
	})
}
