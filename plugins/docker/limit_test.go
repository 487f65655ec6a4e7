package main

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"

	"github.com/faultline-go/faultline/sdk"
)

// given makes a container with limits of its own.
func given(r container.Resources) option {
	return func(_ *container.Config, h *container.HostConfig, _ *network.NetworkingConfig) { h.Resources = r }
}

// real are the limits that the kernel has, in the units of a limitConfig; 0 for none.
func (l *lab) real(id string) (cpus float64, memory, pids int64) {
	l.t.Helper()
	_, g, err := l.look(id).mainProcess()
	l.must(err)
	if n, ok, err := g.CPUs(); ok {
		l.must(err)
		cpus = n
	}
	if m, ok, err := g.Memory(); ok {
		l.must(err)
		memory = m.Limit
	}
	if p, ok, err := g.PIDs(); ok {
		l.must(err)
		pids = p.Limit
	}
	return cpus, memory, pids
}

var (
	some  = sdk.Size(64 << 20)
	tight = limitConfig{CPUs: 0.25, Memory: &some, Processes: 50}
)

func TestLimit(t *testing.T) {
	hundred := int64(100)
	for name, old := range map[string]container.Resources{
		"without limits":         {},
		"with processors":        {NanoCPUs: 5e8, Memory: 256 << 20, PidsLimit: &hundred},
		"with a quota":           {CPUQuota: 25_000, CPUPeriod: 50_000, Memory: 256 << 20},
		"with processors, alone": {NanoCPUs: 15e8},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			needRoot(t) // to ask the kernel
			f := limit(l.engines)
			u := prepared(l, f, l.run(given(old)), tight)
			observes(l, f, tight, u, false, false)
			reverts(l, limit, u, sdk.AlreadyGone)
			cpus, memory, pids := l.real(u.Container)

			l.must(f.Inject(context.Background(), tight, u))
			if cpus, memory, pids := l.real(u.Container); cpus != 0.25 || memory != 64<<20 || pids != 50 {
				t.Errorf("the kernel's limits are %v, %v, %v", cpus, memory, pids)
			}
			e := observes(l, f, tight, u, true, false)
			if e.Measures["limit_cores"] != 0.25 || e.Measures["available_bytes"] <= 0 || e.Measures["limit_processes"] != 50 {
				t.Errorf("measured %v", e.Measures)
			}
			scans(l, limit, u, 1)

			reverts(l, limit, u, sdk.PutBack)
			if c, m, p := l.real(u.Container); c != cpus || m != memory || p != pids {
				t.Errorf("the kernel's limits were %v, %v, %v and are %v, %v, %v", cpus, memory, pids, c, m, p)
			}
			if now := limitsOf(l.look(u.Container).Resources); now != limitsOf(old) {
				t.Errorf("the engine's limits were %+v and are %+v", limitsOf(old), now)
			}
			scans(l, limit, u, 0)
			reverts(l, limit, u, sdk.AlreadyGone)
			// What was put back also holds for the next incarnation.
			l.must(l.engine.ContainerRestart(context.Background(), u.Container, container.StopOptions{}))
			if c, m, p := l.real(u.Container); c != cpus || m != memory || p != pids {
				t.Errorf("after a restart the kernel's limits are %v, %v, %v", c, m, p)
			}
		})
	}
}

func TestLimitAndSomebodyElse(t *testing.T) {
	l := newLab(t)
	f := limit(l.engines)
	ctx := context.Background()
	c := limitConfig{Processes: 50}
	pids := func(n int64) container.UpdateConfig {
		return container.UpdateConfig{Resources: container.Resources{PidsLimit: &n}}
	}
	t.Run("limits it between Prepare and Inject", func(t *testing.T) {
		l := l.in(t)
		u := prepared(l, f, l.run(), c)
		_, err := l.engine.ContainerUpdate(ctx, u.Container, pids(70))
		l.must(err)
		if err := f.Inject(ctx, c, u); err == nil || errors.Is(err, sdk.ErrGone) || !strings.Contains(err.Error(), "somebody else") {
			t.Errorf("inject: %v", err)
		}
		reverts(l, limit, u, sdk.ForeignChange)
	})
	t.Run("limits it anew", func(t *testing.T) {
		l := l.in(t)
		u := injected(l, f, l.run(), c)
		_, err := l.engine.ContainerUpdate(ctx, u.Container, pids(70))
		l.must(err)
		observes(l, f, c, u, false, false)
		reverts(l, limit, u, sdk.ForeignChange)
		if now := limitsOf(l.look(u.Container).Resources); now.PIDs != 70 {
			t.Errorf("the limit that somebody else set is %+v", now)
		}
	})
	t.Run("stops it", func(t *testing.T) {
		l := l.in(t)
		u := injected(l, f, l.run(), c)
		l.must(l.engine.ContainerKill(ctx, u.Container, "SIGKILL"))
		reverts(l, limit, u, sdk.PutBack)
		if now := limitsOf(l.look(u.Container).Resources); now.PIDs != 0 {
			t.Errorf("the limit stays for the next start: %+v", now)
		}
	})
	t.Run("removes it", func(t *testing.T) {
		l := l.in(t)
		u := injected(l, f, l.run(), c)
		l.remove(u.Container)
		observes(l, f, c, u, false, false)
		scans(l, limit, u, 0)
		reverts(l, limit, u, sdk.AlreadyGone)
	})
}

func TestLimitsThatCannotBe(t *testing.T) {
	if err := limit(nil).Check(limitConfig{}); err == nil || !strings.Contains(err.Error(), "nothing to limit") {
		t.Errorf("no limit at all: %v", err)
	}
	old := limits{NanoCPUs: 25e7, Memory: 64 << 20, PIDs: 50}
	for _, c := range []limitConfig{{CPUs: 0.25}, {CPUs: 2}, {Memory: &some}, {Processes: 50}} {
		if set, err := c.tighter(old, quotaPeriod); err == nil || !strings.Contains(err.Error(), "no tighter") {
			t.Errorf("%+v makes %+v, %v", c, set, err)
		}
	}
}
