package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"

	"github.com/faultline-go/faultline/sdk"
)

// makesFile breaks a container by a file that it should not have.
var makesFile = execConfig{
	Command: []string{"/target", "make", "/broken"},
	Undo:    []string{"/target", "remove", "/broken"},
	Check:   []string{"/target", "has", "/broken"},
	Timeout: time.Minute,
}

func TestExec(t *testing.T) {
	l := newLab(t)
	f := execute(l.engines)
	u := prepared(l, f, l.run(), makesFile)
	observes(l, f, makesFile, u, false, false)
	scans(l, execute, u, 0)
	reverts(l, execute, u, sdk.AlreadyGone)

	l.must(f.Inject(context.Background(), makesFile, u))
	observes(l, f, makesFile, u, true, false)
	scans(l, execute, u, 1)
	// The file stays when the container is started anew, and is removed then.
	l.must(l.engine.ContainerRestart(context.Background(), u.Container, container.StopOptions{}))
	l.ready(u.Container)
	observes(l, f, makesFile, u, true, false)
	reverts(l, execute, u, sdk.PutBack)
	observes(l, f, makesFile, u, false, false)
	scans(l, execute, u, 0)
	reverts(l, execute, u, sdk.AlreadyGone)
}

func TestExecWithoutCheck(t *testing.T) {
	l := newLab(t)
	f, c := execute(l.engines), makesFile
	c.Check = nil
	u := prepared(l, f, l.run(), c)
	observes(l, f, c, u, false, false)
	l.must(f.Inject(context.Background(), c, u))
	observes(l, f, c, u, true, false)
	reverts(l, execute, u, sdk.PutBack)
	l.must(l.engine.ContainerKill(context.Background(), u.Container, "SIGKILL"))
	r, err := f.Revert(context.Background(), u)
	if err != nil || r.Outcome != sdk.ForeignChange || !r.Residue {
		t.Errorf("reverted in a container that has ended: %+v, %v", r, err)
	}
}

func TestExecThatFails(t *testing.T) {
	l := newLab(t)
	f := execute(l.engines)
	target := l.run()
	for want, change := range map[string]func(*execConfig){
		"ended with exit code 1: cannot fly": func(c *execConfig) { c.Command = []string{"/target", "fly", "x"} },
		"none":                               func(c *execConfig) { c.Command = []string{"/none"} },
		"has not ended within 3s":            func(c *execConfig) { c.Command, c.Timeout = []string{"/target"}, 3*time.Second },
	} {
		c := makesFile
		change(&c)
		u := prepared(l, f, target, c)
		if err := f.Inject(context.Background(), c, u); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("injected %v: %v, want %q", c.Command, err, want)
		}
		u.TimeoutMS = makesFile.Timeout.Milliseconds()
		observes(l, f, makesFile, u, false, false)
	}
	c := makesFile
	c.Undo = []string{"/target", "has", "/none"} // fails, and undoes nothing
	u := injected(l, f, target, c)
	if r, err := f.Revert(context.Background(), u); err == nil {
		t.Errorf("reverted by an undo that fails: %+v", r)
	}
	c.Undo = []string{"/target", "has", "/broken"} // succeeds, and undoes nothing
	u.Undo = c.Undo
	if r, err := f.Revert(context.Background(), u); err == nil || !strings.Contains(err.Error(), "still says") {
		t.Errorf("reverted by an undo that does nothing: %+v, %v", r, err)
	}
	c.Undo = nil
	_, err := f.Prepare(context.Background(), sdk.PrepareTarget{Candidate: target}, c)
	if err == nil || !strings.Contains(err.Error(), "has no undo") {
		t.Errorf("prepared without undo: %v", err)
	}
}
