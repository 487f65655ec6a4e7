package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"

	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/plugintest"
)

var byEngine = killConfig{Signal: "SIGKILL", Via: viaEngine}

func needRoot(t *testing.T) {
	plugintest.Need(t, "root", func() error {
		if os.Geteuid() != 0 {
			return errors.New("not root")
		}
		return nil
	})
}

func TestKill(t *testing.T) {
	l := newLab(t)
	target := l.run(l.homes()())
	id := target.Attributes["id"].(string)
	f := kill(l.engines)
	before := l.look(id)

	u := prepared(l, f, target, byEngine)
	observes(l, f, byEngine, u, false, false)
	scans(l, kill, u, 0)
	l.must(f.Inject(context.Background(), byEngine, u))
	if s := l.look(id); s.Running || s.ExitCode != 137 {
		t.Errorf("after the kill: %+v", s)
	}
	observes(l, f, byEngine, u, true, false)
	scans(l, kill, u, 1)

	reverts(l, kill, u, sdk.PutBack)
	s := l.look(id)
	if !s.Running || s.StartedAt == before.StartedAt {
		t.Errorf("after the revert: %+v", s)
	}
	for name, n := range before.Networks { // it is found where it was
		if now := s.Networks[name]; now == nil || now.IPAddress != n.IPAddress || !slices.Contains(now.Aliases, "store") {
			t.Errorf("connected to %s as %+v, before as %+v", name, now, n)
		}
	}
	scans(l, kill, u, 0)
	reverts(l, kill, u, sdk.AlreadyGone)
	observes(l, f, byEngine, u, true, true)
	if err := f.Inject(context.Background(), byEngine, u); !errors.Is(err, sdk.ErrGone) {
		t.Errorf("inject into a newer incarnation: %v", err)
	}
}

func TestKillNeverInjected(t *testing.T) {
	l := newLab(t)
	target := l.run()
	f := kill(l.engines)
	u := prepared(l, f, target, byEngine)
	reverts(l, kill, u, sdk.AlreadyGone)
	if s := l.look(u.Container); s.StartedAt != u.StartedAt {
		t.Errorf("a revert without an injection started the container anew")
	}
}

func TestKillByEngineSuppressesRestartPolicy(t *testing.T) {
	l := newLab(t)
	f := kill(l.engines)
	u := injected(l, f, l.run(policy(container.RestartPolicyAlways)), byEngine)
	observes(l, f, byEngine, u, true, false)
	if s := l.look(u.Container); s.Running || s.RestartCount != 0 {
		t.Errorf("the restart policy acted: %+v", s)
	}
	reverts(l, kill, u, sdk.PutBack)

	// The start has put the restart policy into force again.
	needRoot(t)
	crash := killConfig{Signal: "SIGKILL", Via: viaCrash}
	again := injected(l, f, l.candidate(u.Container), crash)
	l.eventually("the restart policy acts", func() bool {
		e, err := f.Observe(context.Background(), crash, again)
		return err == nil && e.Ended
	})
}

func TestCrashTriggersRestartPolicy(t *testing.T) {
	l := newLab(t)
	needRoot(t)
	f := kill(l.engines)
	crash := killConfig{Signal: "SIGKILL", Via: viaCrash}
	u := injected(l, f, l.run(policy(container.RestartPolicyAlways)), crash)
	var e sdk.Effect
	l.eventually("the restart policy acts", func() (ended bool) {
		var err error
		e, err = f.Observe(context.Background(), crash, u)
		l.must(err)
		return e.Ended
	})
	if !e.Bites || e.Measures["down_s"] <= 0 || !strings.Contains(e.Detail, "restart policy always") {
		t.Errorf("observed %+v", e)
	}
	scans(l, kill, u, 0)
	reverts(l, kill, u, sdk.AlreadyGone)
}

func TestCrashWithoutRestartPolicy(t *testing.T) {
	l := newLab(t)
	needRoot(t)
	f := kill(l.engines)
	crash := killConfig{Signal: "SIGKILL", Via: viaCrash}
	u := injected(l, f, l.run(), crash)
	l.eventually("the engine has noticed the death", func() bool { return !l.look(u.Container).Running })
	observes(l, f, crash, u, true, false)
	reverts(l, kill, u, sdk.PutBack)
}

func TestKillWithSignalThatIsSurvived(t *testing.T) {
	l := newLab(t)
	f := kill(l.engines)
	term := killConfig{Signal: "SIGTERM", Via: viaEngine}
	u := injected(l, f, l.run(command("stubborn")), term)
	observes(l, f, term, u, false, false)
	reverts(l, kill, u, sdk.AlreadyGone)
}

func TestKillRefusesAutoRemove(t *testing.T) {
	l := newLab(t)
	target := l.run(autoRemoved)
	for name, prepare := range map[string]func(sdk.PrepareTarget) error{
		"kill": func(p sdk.PrepareTarget) error {
			_, err := kill(l.engines).Prepare(context.Background(), p, byEngine)
			return err
		},
		"stop": func(p sdk.PrepareTarget) error {
			_, err := stop(l.engines).Prepare(context.Background(), p, graceConfig{})
			return err
		},
	} {
		err := prepare(sdk.PrepareTarget{Candidate: target})
		if err == nil || !strings.Contains(err.Error(), "--rm") || !strings.Contains(err.Error(), `irreversible = "accept"`) {
			t.Errorf("%s: %v", name, err)
		}
	}

	f := kill(l.engines)
	p, err := f.Prepare(context.Background(), sdk.PrepareTarget{Candidate: target, AcceptIrreversible: true}, byEngine)
	l.must(err)
	l.must(f.Inject(context.Background(), byEngine, p.Undo))
	l.eventually("the engine has removed it", func() bool {
		_, found, err := l.engine.look(context.Background(), p.Undo.Container)
		return err == nil && !found
	})
	observes(l, f, byEngine, p.Undo, true, false)
	if r := reverts(l, kill, p.Undo, sdk.AlreadyGone); !strings.Contains(r.Proof, "--rm") {
		t.Errorf("reverted %+v", r)
	}
}

func TestKillRefusesWhatDoesNotRun(t *testing.T) {
	l := newLab(t)
	f := kill(l.engines)
	prepare := func(c sdk.Candidate) error {
		_, err := f.Prepare(context.Background(), sdk.PrepareTarget{Candidate: c}, byEngine)
		return err
	}
	created := l.candidate(l.create())
	if err := prepare(created); err == nil || errors.Is(err, sdk.ErrGone) || !strings.Contains(err.Error(), "is created, not running") {
		t.Errorf("created container: %v", err)
	}
	paused := l.run()
	l.must(l.engine.ContainerPause(context.Background(), paused.ID))
	if err := prepare(paused); err == nil || !strings.Contains(err.Error(), "is paused") {
		t.Errorf("paused container: %v", err)
	}
	dead := l.run()
	l.must(l.engine.ContainerKill(context.Background(), dead.ID, "SIGKILL"))
	if err := prepare(dead); !errors.Is(err, sdk.ErrGone) {
		t.Errorf("container that died after it was discovered: %v", err)
	}
	removed := l.run()
	l.remove(removed.ID)
	if err := prepare(removed); !errors.Is(err, sdk.ErrGone) {
		t.Errorf("container that was removed after it was discovered: %v", err)
	}
}

func TestInjectIntoWhatHasGone(t *testing.T) {
	l := newLab(t)
	f := kill(l.engines)
	for name, lose := range map[string]func(id string){
		"removed":       l.remove,
		"dead":          func(id string) { l.must(l.engine.ContainerKill(context.Background(), id, "SIGKILL")) },
		"started anew":  func(id string) { l.must(l.engine.ContainerRestart(context.Background(), id, container.StopOptions{})) },
		"stopped, left": func(id string) { l.must(l.engine.ContainerStop(context.Background(), id, container.StopOptions{})) },
	} {
		u := prepared(l, f, l.run(), byEngine)
		lose(u.Container)
		if err := f.Inject(context.Background(), byEngine, u); !errors.Is(err, sdk.ErrGone) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKillTargetRemovedMeanwhile(t *testing.T) {
	l := newLab(t)
	f := kill(l.engines)
	u := injected(l, f, l.run(), byEngine)
	l.remove(u.Container)
	observes(l, f, byEngine, u, true, false)
	scans(l, kill, u, 0)
	reverts(l, kill, u, sdk.AlreadyGone)
}

func TestKillTargetReplacedInItsComposePlace(t *testing.T) {
	l := newLab(t)
	f := kill(l.engines)
	place := composed(l.mark, "web", "1")
	target := l.run(place)
	if want := l.mark + "/web/1"; target.ID != want {
		t.Errorf("logical id %s, want %s", target.ID, want)
	}
	u := injected(l, f, target, byEngine)
	next := l.create(place)

	// Both exist now; the target's place is empty as long as the new one is down.
	observes(l, f, byEngine, u, true, false)
	scans(l, kill, u, 1)
	l.start(next)
	e := observes(l, f, byEngine, u, true, true)
	if !strings.Contains(e.Detail, "replaced") {
		t.Errorf("observed %+v", e)
	}
	scans(l, kill, u, 0)
	reverts(l, kill, u, sdk.AlreadyGone)
	if l.look(u.Container).Running {
		t.Error("the replaced container was started beside its successor")
	}
	l.remove(u.Container)
	observes(l, f, byEngine, u, true, true)
	reverts(l, kill, u, sdk.AlreadyGone)

	// The plan knows the old container; Prepare finds the one in its place.
	again := prepared(l, f, target, byEngine)
	if again.Container != next {
		t.Errorf("prepared %s, want the successor %s", again.Container, next)
	}
}

func TestKillRevertedTwiceAtOnce(t *testing.T) {
	l := newLab(t)
	u := injected(l, kill(l.engines), l.run(), byEngine)
	twice(l, kill, u)
	if s := l.look(u.Container); !s.Running {
		t.Errorf("after two reverts: %+v", s)
	}
}

func TestKillAndSomebodyElse(t *testing.T) {
	l := newLab(t)
	f := kill(l.engines)
	t.Run("stopped it after we put it back", func(t *testing.T) {
		l := l.in(t)
		u := injected(l, f, l.run(), byEngine)
		reverts(l, kill, u, sdk.PutBack)
		l.ready(u.Container)
		l.must(l.engine.ContainerStop(context.Background(), u.Container, container.StopOptions{}))
		if r := reverts(l, kill, u, sdk.ForeignChange); r.Residue {
			t.Errorf("reverted %+v", r)
		}
		if l.look(u.Container).Running {
			t.Error("the revert started what somebody else had stopped")
		}
		scans(l, kill, u, 0)
	})
	t.Run("started and paused it", func(t *testing.T) {
		l := l.in(t)
		u := injected(l, f, l.run(), byEngine)
		l.start(u.Container)
		l.must(l.engine.ContainerPause(context.Background(), u.Container))
		reverts(l, kill, u, sdk.ForeignChange)
		if !l.look(u.Container).Paused {
			t.Error("the revert unpaused what somebody else had paused")
		}
	})
	t.Run("started it", func(t *testing.T) {
		l := l.in(t)
		u := injected(l, f, l.run(), byEngine)
		l.start(u.Container)
		reverts(l, kill, u, sdk.AlreadyGone)
	})
}

// A kill that nobody waits for may come after the revert, and hit the incarnation
// that the revert started.
func TestLateKillIsRevertedAgain(t *testing.T) {
	l := newLab(t)
	f := kill(l.engines)
	u := injected(l, f, l.run(), byEngine)
	reverts(l, kill, u, sdk.PutBack)
	l.soon(u.Container, func() { l.must(l.engine.ContainerKill(context.Background(), u.Container, "SIGKILL")) })
	observes(l, f, byEngine, u, true, false)
	reverts(l, kill, u, sdk.PutBack)
}
