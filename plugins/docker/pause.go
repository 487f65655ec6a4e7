package main

import (
	"context"
	"fmt"
	"time"

	"github.com/faultline-go/faultline/plugins/internal/cgroup"
	"github.com/faultline-go/faultline/plugins/internal/incarnation"
	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
)

type pauseConfig struct {
	Via string `hcl:"via,optional" default:"engine" enum:"engine|crash" doc:"engine: the Engine API pauses, and says so. crash: the container's control group is frozen on the host, all containers together; the engine does not know of it. Needs the engine's host and root."`
}

// paused is the undo record of a pause. It lives in one incarnation: the next one
// starts unpaused.
type paused struct {
	Engine    address `json:"engine"`
	Container string  `json:"container"`
	Name      string  `json:"name"`
	StartedAt string  `json:"started_at"`

	// For a pause that goes past the engine.
	Process incarnation.Incarnation `json:"process,omitzero"`
	Freezer cgroup.Freezer          `json:"freezer,omitzero"`
}

func pause(e *engines) sdk.Fault[pauseConfig, paused] {
	return sdk.Fault[pauseConfig, paused]{
		Type: "docker_pause",
		Doc: "Freezes all processes of a container: connections stay open and nothing answers. " +
			"A container that is paused already is refused.",
		Accepts:       acceptsContainer(),
		Hold:          sdk.HoldJournal,
		Reversibility: sdk.Reversible,
		Requires:      []string{"docker socket", "root on the engine's host for via = \"crash\""},
		Capabilities:  []schema.Capability{schema.CapDocker, schema.CapProcesses},
		Settle:        settle,
		RevertTime:    revertTime,
		Concurrency:   atOnce,
		Prepare: func(ctx context.Context, t sdk.PrepareTarget, c pauseConfig) (sdk.Prepared[paused], error) {
			_, s, p, err := e.prepareLife(ctx, t)
			if err != nil {
				return sdk.Prepared[paused]{}, err
			}
			u := paused{Engine: p.Undo.Engine, Container: s.ID, Name: s.Name, StartedAt: s.StartedAt}
			if c.Via == viaCrash {
				if u.Process, u.Freezer, err = s.freezable(); err != nil {
					return sdk.Prepared[paused]{}, err
				}
			}
			e.notOurs.Delete(u)
			return sdk.Prepared[paused]{Undo: u, Incarnation: p.Incarnation, Resources: p.Resources}, nil
		},
		Inject:  func(ctx context.Context, _ pauseConfig, u paused) error { return e.freeze(ctx, u) },
		Observe: func(ctx context.Context, _ pauseConfig, u paused) (sdk.Effect, error) { return e.observePause(ctx, u) },
		Revert:  e.thaw,
		Scan:    e.scanPause,
	}
}

func (e *engines) freeze(ctx context.Context, u paused) error {
	if u.frozen() {
		return e.freezeGroup(ctx, u)
	}
	engine, s, found, err := e.lookAt(ctx, u.Engine, u.Container)
	if err != nil {
		return err
	}
	if err := s.still(found, u.Name, u.StartedAt); err != nil {
		if found && s.Paused {
			e.notOurs.Store(u, true)
		}
		return err
	}
	ctx, cancel := finish(ctx, engineTime)
	defer cancel()
	return engine.at.explain("pause container "+u.Name, engine.ContainerPause(ctx, u.Container))
}

func (e *engines) observePause(ctx context.Context, u paused) (sdk.Effect, error) {
	if u.frozen() {
		return u.observeGroup()
	}
	_, s, found, err := e.lookAt(ctx, u.Engine, u.Container)
	switch {
	case err != nil:
		return sdk.Effect{}, err
	case !found:
		return sdk.Effect{Detail: "the container was removed"}, nil
	case s.StartedAt != u.StartedAt:
		return sdk.Effect{Detail: "the container was started anew at " + s.StartedAt}, nil
	case s.Paused:
		return sdk.Effect{Bites: true, Detail: "the engine reports it paused"}, nil
	}
	return sdk.Effect{Detail: "not paused, " + s.Status}, nil
}

func (e *engines) thaw(ctx context.Context, u paused) (sdk.Reverted, error) {
	ctx, cancel := context.WithTimeout(ctx, revertTime)
	defer cancel()
	if u.frozen() {
		return e.thawGroup(ctx, u)
	}
	engine, s, found, err := e.lookAt(ctx, u.Engine, u.Container)
	if err != nil {
		return sdk.Reverted{}, err
	}
	if r, done := u.alone(s, found); done {
		return r, nil
	}
	if _, foreign := e.notOurs.Load(u); foreign {
		return sdk.Reverted{Outcome: sdk.ForeignChange, Proof: "somebody else paused it before this fault could"}, nil
	}
	for {
		unpause := engine.ContainerUnpause(ctx, u.Container)
		s, found, err = engine.pauseEnds(ctx, u)
		if err != nil {
			return sdk.Reverted{}, err
		}
		r, done := u.alone(s, found)
		switch {
		case done && unpause == nil && found && s.Running:
			return sdk.Reverted{Outcome: sdk.PutBack, Proof: "unpaused, the engine reports it " + s.Status}, nil
		case done:
			return r, nil // somebody did the same at this moment
		case ctx.Err() != nil && unpause != nil:
			return sdk.Reverted{}, engine.at.explain("unpause container "+u.Name, unpause)
		case ctx.Err() != nil:
			return sdk.Reverted{}, fmt.Errorf("container %s is still paused after it was unpaused", u.Name)
		}
	}
}

// pauseEnds looks until the container is no longer reported as paused, or for
// unpauseTime. An engine that has just unpaused may for a moment report the pause
// again: it comes upon the news of it late.
func (e *engine) pauseEnds(ctx context.Context, u paused) (snapshot, bool, error) {
	give := time.After(unpauseTime)
	for {
		s, found, err := e.look(ctx, u.Container)
		if err != nil {
			return s, found, err
		}
		if _, done := u.alone(s, found); done {
			return s, found, nil
		}
		select {
		case <-time.After(lookAgain):
		case <-give:
			return s, found, nil
		case <-ctx.Done():
			return s, found, nil
		}
	}
}

const unpauseTime = 2 * time.Second

// alone decides whether a container is to be left alone.
func (u paused) alone(s snapshot, found bool) (sdk.Reverted, bool) {
	switch {
	case !found:
		return sdk.Reverted{Outcome: sdk.AlreadyGone, Proof: "the container is gone: somebody removed it"}, true
	case s.StartedAt != u.StartedAt && s.Paused:
		return sdk.Reverted{Outcome: sdk.ForeignChange, Proof: "was started anew at " + s.StartedAt + ", then somebody else paused it"}, true
	case s.StartedAt != u.StartedAt:
		return sdk.Reverted{Outcome: sdk.AlreadyGone, Proof: "was started anew at " + s.StartedAt + ", unpaused"}, true
	case !s.Paused:
		return sdk.Reverted{Outcome: sdk.AlreadyGone, Proof: "not paused, the engine reports it " + s.Status}, true
	}
	return sdk.Reverted{}, false
}

func (e *engines) scanPause(ctx context.Context, known []sdk.Known[paused]) ([]sdk.Residue, error) {
	return scan(ctx, known, func(ctx context.Context, u paused) (string, error) {
		if u.frozen() {
			e, err := u.observeGroup()
			if err != nil || !e.Bites {
				return "", err
			}
			return fmt.Sprintf("container %s is frozen", u.Name), nil
		}
		_, s, found, err := e.lookAt(ctx, u.Engine, u.Container)
		if err != nil {
			return "", err
		}
		if _, alone := u.alone(s, found); alone {
			return "", nil
		}
		return fmt.Sprintf("container %s is paused", u.Name), nil
	})
}

// lookAt inspects a container that an undo record names.
func (e *engines) lookAt(ctx context.Context, at address, id string) (*engine, snapshot, bool, error) {
	engine, err := e.at(at)
	if err != nil {
		return nil, snapshot{}, false, err
	}
	s, found, err := engine.look(ctx, id)
	return engine, s, found, err
}
