package main

import (
	"context"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"

	"github.com/faultline-go/faultline/plugins/internal/pressure"
	"github.com/faultline-go/faultline/sdk"
)

// guests counts the processes in a container's control group that are not its own.
func (l *lab) guests(id string) int {
	l.t.Helper()
	s := l.look(id)
	if !s.Running {
		return 0
	}
	_, g, err := s.mainProcess()
	l.must(err)
	pids, err := g.Processes()
	l.must(err)
	return len(pids) - 1
}

// biting observes until the measures are as they should be.
func biting[C, U any](l *lab, f sdk.Fault[C, U], c C, u U, is func(map[string]float64) bool) {
	l.t.Helper()
	l.eventually("the fault bites as it should", func() bool {
		e, err := f.Observe(context.Background(), c, u)
		l.must(err)
		l.t.Log(e.Detail)
		return e.Bites && is(e.Measures)
	})
}

func TestStress(t *testing.T) {
	l := newLab(t)
	needRoot(t)
	pids := int64(100)
	f := stress(l.engines)
	c := stressConfig{
		CPU:       &pressure.CPUConfig{Load: 50},
		Memory:    &pressure.MemoryConfig{Size: amount("25%"), Floor: *amount("5%")},
		Processes: &pressure.ProcessesConfig{Processes: 7},
	}
	target := l.run(given(container.Resources{NanoCPUs: 3e8, Memory: 256 << 20, PidsLimit: &pids}))
	u := prepared(l, f, target, c)
	observes(l, f, c, u, false, false)
	l.must(f.Inject(context.Background(), c, u))
	defer f.Revert(context.Background(), u)
	biting(l, f, c, u, func(m map[string]float64) bool {
		return m["pressure_cores"] > 0.02 && m["pressure_cores"] < 0.8 && m["pressure_resident_bytes"] >= 64<<20 && m["pressure_processes"] == 7
	})
	if n := l.guests(target.ID); n != 8 {
		t.Errorf("%d processes of ours are in the container's control group, want 8", n)
	}
	r, err := stress(freshEngines(t)).Revert(context.Background(), u)
	if err != nil || r.Outcome != sdk.PutBack {
		t.Errorf("revert: %+v, %v", r, err)
	}
	if n := l.guests(target.ID); n != 0 {
		t.Errorf("%d processes of ours are left", n)
	}
}

// A container can be stopped, removed and started anew under pressure: what is in its
// control group ends with it.
func TestStressEndsWithItsContainer(t *testing.T) {
	l := newLab(t)
	needRoot(t)
	f, c := stress(l.engines), stressConfig{CPU: &pressure.CPUConfig{Cores: 1, Load: 10}}
	target := l.run()
	u := injected(l, f, target, c)
	if n := l.guests(target.ID); n != 1 {
		t.Errorf("%d processes of ours are in the container's control group", n)
	}
	l.must(l.engine.ContainerRestart(context.Background(), target.ID, container.StopOptions{}))
	l.ready(target.ID)
	l.eventually("the pressure has ended", func() bool {
		e, err := f.Observe(context.Background(), c, u)
		return err == nil && !e.Bites && strings.Contains(e.Detail, "has ended")
	})
	if n := l.guests(target.ID); n != 0 {
		t.Errorf("%d processes of ours are in the next incarnation's control group", n)
	}
	r, err := f.Revert(context.Background(), u)
	if err != nil || r.Outcome != sdk.AlreadyGone {
		t.Errorf("revert: %+v, %v", r, err)
	}
}

func TestStressNeedsABlock(t *testing.T) {
	if err := stress(nil).Check(stressConfig{}); err == nil || !strings.Contains(err.Error(), "at least one of the blocks") {
		t.Error(err)
	}
}

func TestDiskFill(t *testing.T) {
	l := newLab(t)
	needRoot(t)
	f := diskFill(l.engines)
	t.Run("of a volume", func(t *testing.T) {
		l := l.in(t)
		target := l.run(func(_ *container.Config, h *container.HostConfig, _ *network.NetworkingConfig) {
			h.Mounts = []mount.Mount{{Type: mount.TypeTmpfs, Target: "/data", TmpfsOptions: &mount.TmpfsOptions{SizeBytes: 32 << 20}}}
		})
		c := pressure.DiskConfig{Path: "/data", Until: amount("90%"), Reserve: *amount("1MiB")}
		u := injected(l, f, target, c)
		defer f.Revert(context.Background(), u)
		biting(l, f, c, u, func(m map[string]float64) bool {
			return m["pressure_file_bytes"] > 28<<20 && m["free_bytes"] < 4<<20
		})
		_, err := f.Prepare(context.Background(), sdk.PrepareTarget{Candidate: target}, pressure.DiskConfig{Path: "/data", Size: amount("30MiB"), Reserve: *amount("1MiB")})
		if err == nil || !strings.Contains(err.Error(), "would cross the reserve") {
			t.Errorf("prepared: %v", err)
		}
	})
	t.Run("of its layer", func(t *testing.T) {
		l := l.in(t)
		target := l.run()
		c := pressure.DiskConfig{Path: "/", Size: amount("8MiB"), Reserve: *amount("1%")}
		u := injected(l, f, target, c)
		defer f.Revert(context.Background(), u)
		biting(l, f, c, u, func(m map[string]float64) bool { return m["pressure_file_bytes"] >= 8<<20 })
		changes, err := l.engine.ContainerDiff(context.Background(), target.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, change := range changes {
			if strings.Contains(change.Path, u.Mark) {
				t.Errorf("the layer has a file %s", change.Path)
			}
		}
		r, err := f.Revert(context.Background(), u)
		if err != nil || r.Outcome != sdk.PutBack {
			t.Errorf("revert: %+v, %v", r, err)
		}
	})
	t.Run("of a folder that it does not have", func(t *testing.T) {
		_, err := f.Prepare(context.Background(), sdk.PrepareTarget{Candidate: l.in(t).run()}, pressure.DiskConfig{Path: "/none", Size: amount("1MiB"), Reserve: *amount("0")})
		if err == nil || !strings.Contains(err.Error(), "open folder /none of the target") {
			t.Errorf("prepared: %v", err)
		}
	})
}

// amount is one as a scenario writes it.
func amount(text string) *sdk.Amount {
	a := new(sdk.Amount)
	if err := a.UnmarshalText([]byte(text)); err != nil {
		panic(err)
	}
	return a
}
