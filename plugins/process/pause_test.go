//go:build linux

package main

import (
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/faultline-go/faultline/sdk"
)

func stateOf(t *testing.T, pid int) string {
	t.Helper()
	p, ok, err := readProcess(pid)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	return p.state
}

func TestPause(t *testing.T) {
	b := newBench(t)
	p := begin(t, "serve", token(t))
	h := b.prepare("process_pause", nil, b.serving(p.token))
	if o := h.observe(); o.Bites {
		t.Errorf("bites before it is injected: %+v", o)
	}
	h.scan(0)
	h.revert(sdk.AlreadyGone) // a crash before Inject
	if again := b.prepare("process_pause", nil, h.target); string(again.prepared.Undo) != string(h.prepared.Undo) {
		t.Errorf("a second Prepare says %s, the first said %s", again.prepared.Undo, h.prepared.Undo)
	}
	h.mustInject()
	if state := stateOf(t, p.pid()); state != "T" {
		t.Errorf("the state is %s", state)
	}
	if o := h.observe(); !o.Bites || !strings.Contains(o.Detail, "stopped") {
		t.Errorf("observed %+v", o)
	}
	h.scan(1)
	h.revert(sdk.PutBack)
	if state := stateOf(t, p.pid()); state == "T" {
		t.Errorf("the state is still %s", state)
	}
	h.revert(sdk.AlreadyGone)
	h.scan(0)
}

func TestPauseRefusesWhatIsStopped(t *testing.T) {
	b := newBench(t)
	p := begin(t, "serve", token(t))
	target := b.serving(p.token)
	ready := b.prepare("process_pause", nil, target)
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is stopped", func() bool { return stateOf(t, p.pid()) == "T" })
	h, err := b.tryPrepare("process_pause", nil, target, false)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(h.prepared.Err, "stopped already") {
		t.Errorf("prepared %+v", h.prepared)
	}
	if i := ready.inject(); !strings.Contains(i.Err, "stopped already") {
		t.Errorf("injected %+v", i)
	}
}

func TestPauseOfTheDead(t *testing.T) {
	b := newBench(t)
	p := begin(t, "serve", token(t))
	h := b.prepare("process_pause", nil, b.serving(p.token))
	p.kill()
	if i := h.inject(); !i.Gone {
		t.Errorf("injected %+v", i)
	}
	if o := h.observe(); o.Bites {
		t.Errorf("observed %+v", o)
	}
	h.revert(sdk.AlreadyGone)
	h.scan(0)
}

func TestPauseKilledWhileStopped(t *testing.T) {
	b := newBench(t)
	p := begin(t, "serve", token(t))
	h := b.prepare("process_pause", nil, b.serving(p.token)).mustInject()
	p.kill()
	h.revert(sdk.AlreadyGone)
	h.scan(0)
}

func TestPauseHasTwoReverts(t *testing.T) {
	b := newBench(t)
	p := begin(t, "serve", token(t))
	h := b.prepare("process_pause", nil, b.serving(p.token)).mustInject()
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			if r := h.tryRevert(); r.Outcome != string(sdk.PutBack) && r.Outcome != string(sdk.AlreadyGone) {
				t.Errorf("reverted %+v", r)
			}
		})
	}
	both.Wait()
	if state := stateOf(t, p.pid()); state == "T" {
		t.Errorf("the state is still %s", state)
	}
}

func TestKillAndPauseOccupyTheSame(t *testing.T) {
	b := newBench(t)
	p := begin(t, "serve", token(t))
	target := b.serving(p.token)
	pause := b.prepare("process_pause", nil, target)
	kill := b.prepare("process_kill", map[string]any{"restart": again(p.token)}, target)
	if len(pause.prepared.Resources) != 1 || len(kill.prepared.Resources) != 1 || pause.prepared.Resources[0] != kill.prepared.Resources[0] {
		t.Errorf("they occupy %v and %v", pause.prepared.Resources, kill.prepared.Resources)
	}
}
