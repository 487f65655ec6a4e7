package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/prometheus/procfs"

	"github.com/faultline-go/faultline/plugins/internal/cgroup"
	"github.com/faultline-go/faultline/plugins/internal/incarnation"
	"github.com/faultline-go/faultline/plugins/internal/pressure"
	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
)

// The targets that there are: the machine, and what lives in control groups of its own,
// of any plugin that says exactly which one.
var (
	acceptsMachine = schema.Accept{Interface: "host", Attributes: []string{"boot"}}
	acceptsGroups  = []schema.Accept{
		{Interface: "process", Attributes: []string{"pid", "start_ticks"}},
		{Interface: "container", Attributes: []string{"id"}},
	}
	acceptsAll = append([]schema.Accept{acceptsMachine}, acceptsGroups...)
)

// anyTarget finds the machine, process or container that is meant.
func anyTarget(ctx context.Context, t sdk.PrepareTarget) (pressure.Target, error) {
	boot, err := incarnation.BootID()
	if err != nil {
		return pressure.Target{}, err
	}
	if t.Kind == machineTarget.Type {
		if was, _ := t.Attributes["boot"].(string); was != boot {
			return pressure.Target{}, fmt.Errorf("%s is another machine than this one, or was started anew: %w", t.Name, sdk.ErrGone)
		}
		return pressure.Target{Name: t.Name, Incarnation: "boot " + boot, Resource: "host"}, nil
	}
	if id, ok := t.Attributes["id"].(string); ok && slices.Contains(t.Interfaces, "container") {
		p, err := mainProcess(ctx, id)
		if err != nil {
			return pressure.Target{}, fmt.Errorf("container %s: %w", t.Name, err)
		}
		return pressure.Target{Name: t.Name, Process: &p, Incarnation: p.String(), Resource: "container:" + id}, nil
	}
	p, err := processOf(t, boot)
	if err != nil {
		return pressure.Target{}, err
	}
	return pressure.Target{Name: t.Name, Process: &p, Incarnation: p.String(), Resource: fmt.Sprintf("process:%d:%d", p.PID, p.Start)}, nil
}

// processOf is the process that was discovered. What took its place since is another
// target's business: this plugin does not know who is whose successor.
func processOf(t sdk.PrepareTarget, boot string) (incarnation.Incarnation, error) {
	pid, okPID := number(t.Attributes["pid"])
	start, okStart := number(t.Attributes["start_ticks"])
	if !okPID || !okStart {
		return incarnation.Incarnation{}, fmt.Errorf("target %s: its attributes pid and start_ticks are needed to tell which process it is", t.ID)
	}
	p := incarnation.Incarnation{PID: int(pid), Start: uint64(start), Boot: boot}
	alive, err := p.Alive()
	if err == nil && !alive {
		err = fmt.Errorf("%s: %w", t.Name, sdk.ErrGone)
	}
	return p, err
}

// number reads a number that came as JSON, or as a plugin made it.
func number(v any) (float64, bool) {
	switch n := v.(type) {
	case float64:
		return n, true
	case int:
		return float64(n), true
	case uint64:
		return float64(n), true
	}
	return 0, false
}

// shortestID is what a container's id has at least, for its name in a control group's
// path to be no accident.
const shortestID = 12

// mainProcess finds the first process of a container among those of this machine: the
// names of its control groups carry the container's id.
func mainProcess(ctx context.Context, id string) (incarnation.Incarnation, error) {
	if len(id) < shortestID {
		return incarnation.Incarnation{}, fmt.Errorf("%q is no container's whole id", id)
	}
	all, err := procfs.AllProcs()
	if err != nil {
		return incarnation.Incarnation{}, fmt.Errorf("list processes: %w", err)
	}
	var first incarnation.Incarnation
	for _, proc := range all {
		if ctx.Err() != nil {
			return incarnation.Incarnation{}, ctx.Err()
		}
		g, err := cgroup.Here.Of(proc.PID)
		if err != nil || !g.Within(id) {
			continue // somebody else's, or gone by now
		}
		p, err := incarnation.Of(proc.PID)
		if errors.Is(err, sdk.ErrGone) {
			continue
		}
		if err != nil {
			return incarnation.Incarnation{}, err
		}
		if first.PID == 0 || p.Start < first.Start || p.Start == first.Start && p.PID < first.PID {
			first = p
		}
	}
	if first.PID == 0 {
		return first, fmt.Errorf("no process of it runs on this machine: %w", sdk.ErrGone)
	}
	return first, nil
}
