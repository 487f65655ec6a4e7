package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/docker/docker/api/types/container"

	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
)

// limitConfig is the body of a docker_limit fault: at least one of its arguments.
type limitConfig struct {
	CPUs      float64   `hcl:"cpus,optional" at_least_one:"limit" unit:"processors" min:"0" max:"4096" example:"0.5" doc:"How many processors the container may use, as in 0.5."`
	Memory    *sdk.Size `hcl:"memory,optional" at_least_one:"limit" min:"6MiB" example:"64MiB" doc:"How much memory it may use, as in \"64MiB\"; what it uses at the moment must fit."`
	Processes int       `hcl:"processes,optional" at_least_one:"limit" min:"0" max:"4194304" doc:"How many processes and threads it may have."`
}

// limits are those that the fault changes, as the engine notes them. A container is
// given its processors either as a number (in units of 10⁻⁹) or as a quota of a period,
// and has to stay with that.
type limits struct {
	NanoCPUs int64 `json:"nano_cpus,omitempty"`
	Quota    int64 `json:"quota,omitempty"`
	Memory   int64 `json:"memory,omitempty"`
	PIDs     int64 `json:"pids,omitempty"`
}

const (
	// noMemoryLimit is what the kernel understands as no limit: the largest number of
	// whole pages. The engine takes no other number for that, once there is a limit.
	noMemoryLimit = math.MaxInt64 &^ (1<<12 - 1)
	// leastMemory is the least that engines accept.
	leastMemory = 6 << 20
	// quotaPeriod is the period of a quota, in microseconds, unless the container has
	// another.
	quotaPeriod = 100_000
)

// limited is the undo record.
type limited struct {
	kept
	Old limits `json:"old"`
	New limits `json:"new"`
}

func limit(e *engines) sdk.Fault[limitConfig, limited] {
	return sdk.Fault[limitConfig, limited]{
		Type: "docker_limit",
		Doc: "Gives a container tighter limits of processors, memory and processes while it runs, and gives it back the old ones. " +
			"A limit that is not tighter than the one it has is refused. Where there was none, the kernel has none afterwards; " +
			"`docker inspect` then shows -1, or for memory a number beyond all machines, in the place of 0.",
		Accepts:       acceptsContainer(),
		Hold:          sdk.HoldJournal,
		Reversibility: sdk.Reversible,
		Requires:      []string{"docker socket"},
		Capabilities:  []schema.Capability{schema.CapDocker},
		Settle:        settle,
		RevertTime:    revertTime,
		Concurrency:   atOnce,
		Check:         limitConfig.check,
		Prepare:       e.prepareLimit,
		Inject:        func(ctx context.Context, _ limitConfig, u limited) error { return e.tighten(ctx, u) },
		Observe:       func(ctx context.Context, _ limitConfig, u limited) (sdk.Effect, error) { return e.observeLimit(ctx, u) },
		Revert:        e.loosen,
		Scan:          scanKept[limited](e),
	}
}

func (c limitConfig) check() error {
	if c.CPUs == 0 && c.Memory == nil && c.Processes == 0 {
		return errors.New("nothing to limit: give at least one of cpus, memory and processes, above 0")
	}
	return nil
}

// limitsOf reads the limits of a container, 0 where there is none.
func limitsOf(r container.Resources) limits {
	l := limits{NanoCPUs: max(r.NanoCPUs, 0), Quota: max(r.CPUQuota, 0), Memory: max(r.Memory, 0)}
	if l.Memory >= noMemoryLimit {
		l.Memory = 0
	}
	if r.PidsLimit != nil {
		l.PIDs = max(*r.PidsLimit, 0)
	}
	return l
}

// tighter makes the new limits out of what a scenario wants; 0 where it wants none.
func (c limitConfig) tighter(old limits, period int64) (limits, error) {
	set := limits{PIDs: int64(c.Processes)}
	if c.Memory != nil {
		set.Memory = int64(*c.Memory)
	}
	if old.NanoCPUs > 0 {
		set.NanoCPUs = int64(c.CPUs * 1e9)
	} else {
		set.Quota = int64(c.CPUs * float64(period))
	}
	for _, l := range []struct {
		what     string
		old, set int64
	}{{"cpus", old.NanoCPUs, set.NanoCPUs}, {"cpus", old.Quota, set.Quota}, {"memory", old.Memory, set.Memory}, {"processes", old.PIDs, set.PIDs}} {
		if l.set > 0 && l.old > 0 && l.set >= l.old {
			return limits{}, fmt.Errorf("%s is no tighter than the limit that it has", l.what)
		}
	}
	return set, nil
}

func (e *engines) prepareLimit(ctx context.Context, t sdk.PrepareTarget, c limitConfig) (sdk.Prepared[limited], error) {
	return prepareKept(ctx, e, t, func(k kept, s snapshot) (u limited, part string, err error) {
		u = limited{kept: k, Old: limitsOf(s.Resources)}
		if u.New, err = c.tighter(u.Old, cmp.Or(s.Resources.CPUPeriod, quotaPeriod)); err != nil {
			return u, "", fmt.Errorf("container %s: %w", s.Name, err)
		}
		return u, "limits", nil
	})
}

// update asks the engine for limits. Where there shall be none it writes -1: the engine
// takes 0 for "as it is".
func (e *engine) update(ctx context.Context, u limited, to limits) error {
	ctx, cancel := finish(ctx, engineTime)
	defer cancel()
	var r container.Resources
	if u.New.NanoCPUs > 0 {
		r.NanoCPUs = to.NanoCPUs
	}
	if u.New.Quota > 0 {
		r.CPUQuota = orNone(to.Quota)
	}
	if u.New.Memory > 0 {
		r.Memory = to.Memory
		if u.Old.Memory == 0 {
			r.Memory = cmp.Or(to.Memory, noMemoryLimit)
			r.MemorySwap = -1 // as it is without a limit; the engine wants to be told
		}
	}
	if u.New.PIDs > 0 {
		pids := orNone(to.PIDs)
		r.PidsLimit = &pids
	}
	_, err := e.ContainerUpdate(ctx, u.Container, container.UpdateConfig{Resources: r})
	return e.at.explain("change the limits of container "+u.Name, err)
}

func orNone(n int64) int64 {
	if n == 0 {
		return -1
	}
	return n
}

// only keeps the limits that the fault changes.
func (l limits) only(of limits) limits {
	keep := func(n, of int64) int64 {
		if of == 0 {
			return 0
		}
		return n
	}
	return limits{keep(l.NanoCPUs, of.NanoCPUs), keep(l.Quota, of.Quota), keep(l.Memory, of.Memory), keep(l.PIDs, of.PIDs)}
}

func (l limits) String() string {
	var parts []string
	add := func(what string, n int64, text string) {
		if n > 0 {
			parts = append(parts, text+" "+what)
		}
	}
	add("processors", l.NanoCPUs, fmt.Sprint(float64(l.NanoCPUs)/1e9))
	add("µs of processor time a period", l.Quota, fmt.Sprint(l.Quota))
	add("bytes of memory", l.Memory, fmt.Sprint(l.Memory))
	add("processes", l.PIDs, fmt.Sprint(l.PIDs))
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

func (e *engines) tighten(ctx context.Context, u limited) error {
	engine, s, err := u.toChange(ctx, e)
	if err != nil {
		return err
	}
	if now := limitsOf(s.Resources); now != u.Old {
		return fmt.Errorf("somebody else changed the limits of container %s to %s: left alone", u.Name, now)
	}
	return engine.update(ctx, u, u.New)
}

func (e *engines) observeLimit(ctx context.Context, u limited) (sdk.Effect, error) {
	_, s, found, err := u.look(ctx, e)
	switch {
	case err != nil:
		return sdk.Effect{}, err
	case !found:
		return sdk.Effect{Detail: "the container was removed"}, nil
	}
	now := limitsOf(s.Resources).only(u.New)
	if now != u.New {
		return sdk.Effect{Detail: "its limits are: " + now.String()}, nil
	}
	effect := sdk.Effect{Bites: true, Detail: "limited to " + now.String()}
	// On the engine's host the kernel says how it is.
	if _, groups, err := s.mainProcess(); err == nil {
		effect.Measures = map[string]float64{}
		if cpus, ok, err := groups.CPUs(); err == nil && ok {
			effect.Measures["limit_cores"] = cpus
		}
		if m, ok, err := groups.Memory(); err == nil && ok {
			effect.Measures["limit_memory_bytes"], effect.Measures["available_bytes"] = float64(m.Limit), float64(m.Room)
		}
		if p, ok, err := groups.PIDs(); err == nil && ok {
			effect.Measures["limit_processes"], effect.Measures["processes_left"] = float64(p.Limit), float64(p.Room)
		}
	}
	return effect, nil
}

func (e *engines) loosen(ctx context.Context, u limited) (sdk.Reverted, error) {
	ctx, cancel := context.WithTimeout(ctx, revertTime)
	defer cancel()
	engine, s, found, err := u.look(ctx, e)
	if err != nil {
		return sdk.Reverted{}, err
	}
	if r, done := u.alone(s, found); done {
		return r, nil
	}
	updated := engine.update(ctx, u, u.Old)
	s, found, err = engine.look(ctx, u.Container)
	if err != nil {
		return sdk.Reverted{}, errors.Join(updated, err)
	}
	switch r, done := u.alone(s, found); {
	case done && found && updated == nil:
		return sdk.Reverted{Outcome: sdk.PutBack, Proof: "the engine reports the old limits: " + u.Old.only(u.New).String()}, nil
	case done:
		return r, nil // gone meanwhile, or somebody did the same
	case updated != nil:
		return sdk.Reverted{}, updated
	}
	return sdk.Reverted{}, fmt.Errorf("container %s still has the limits %s", u.Name, u.New)
}

func (u limited) alone(s snapshot, found bool) (sdk.Reverted, bool) {
	if !found {
		return u.removed(), true
	}
	switch now := limitsOf(s.Resources).only(u.New); now {
	case u.New:
		return sdk.Reverted{}, false
	case u.Old.only(u.New):
		return sdk.Reverted{Outcome: sdk.AlreadyGone, Proof: "the engine reports the old limits: " + now.String()}, true
	default:
		return sdk.Reverted{Outcome: sdk.ForeignChange, Proof: "somebody else changed its limits to " + now.String()}, true
	}
}

func (u limited) left() string {
	return fmt.Sprintf("container %s is limited to %s", u.Name, u.New)
}
