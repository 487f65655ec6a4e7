package main

import (
	"context"
	"time"

	"github.com/docker/docker/api/types/container"

	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
)

// graceConfig is the body of a docker_stop and of a docker_restart fault.
type graceConfig struct {
	Timeout time.Duration `hcl:"timeout,optional" default:"10s" min:"0s" max:"60s" doc:"How long the container may take to end after its stop signal before it is killed, in whole seconds; an abort waits for it."`
}

// seconds rounds up: the engine counts in whole seconds, and 0 means at once.
func (c graceConfig) seconds() *int {
	s := int((c.Timeout + time.Second - 1) / time.Second)
	return &s
}

func stop(e *engines) sdk.Fault[graceConfig, life] {
	return sdk.Fault[graceConfig, life]{
		Type: "docker_stop",
		Doc: "Stops a container in an orderly way, as a deployment does. It is started again when the fault ends; " +
			"its restart policy does not act.",
		Accepts:       acceptsContainer(),
		Hold:          sdk.HoldJournal,
		Reversibility: sdk.Reversible,
		Requires:      []string{"docker socket"},
		Capabilities:  []schema.Capability{schema.CapDocker},
		Settle:        settle,
		RevertTime:    revertTime,
		Concurrency:   atOnce,
		Prepare: func(ctx context.Context, t sdk.PrepareTarget, _ graceConfig) (sdk.Prepared[life], error) {
			_, s, p, err := e.prepareLife(ctx, t)
			if err != nil {
				return p, err
			}
			return p, s.keepable(t)
		},
		Inject: func(ctx context.Context, c graceConfig, u life) error {
			engine, _, err := e.toEnd(ctx, u)
			if err != nil {
				return err
			}
			ctx, cancel := finish(ctx, c.Timeout+engineTime)
			defer cancel()
			if err := engine.ContainerStop(ctx, u.Container, container.StopOptions{Timeout: c.seconds()}); err != nil {
				return u.endedBefore(engine.at.explain("stop container "+u.Name, err))
			}
			return nil
		},
		Observe: func(ctx context.Context, _ graceConfig, u life) (sdk.Effect, error) { return e.observeLife(ctx, u) },
		Revert:  e.revertLife,
		Scan:    e.scanLife,
	}
}

// restart ends the container's life and begins the next at once. Revert has
// something to do only when the engine could not start it.
func restart(e *engines) sdk.Fault[graceConfig, life] {
	return sdk.Fault[graceConfig, life]{
		Type:          "docker_restart",
		Doc:           "Stops a container and starts it at once. It ends by itself: what is measured is how long the container was away.",
		Accepts:       acceptsContainer(),
		Hold:          sdk.HoldJournal,
		Reversibility: sdk.SelfHealing,
		Requires:      []string{"docker socket"},
		Capabilities:  []schema.Capability{schema.CapDocker},
		Settle:        settle,
		RevertTime:    revertTime,
		Concurrency:   atOnce,
		Prepare: func(ctx context.Context, t sdk.PrepareTarget, _ graceConfig) (sdk.Prepared[life], error) {
			_, _, p, err := e.prepareLife(ctx, t)
			return p, err
		},
		Inject: func(ctx context.Context, c graceConfig, u life) error {
			engine, _, err := e.toEnd(ctx, u)
			if err != nil {
				return err
			}
			ctx, cancel := finish(ctx, c.Timeout+2*engineTime)
			defer cancel()
			if err := engine.ContainerRestart(ctx, u.Container, container.StopOptions{Timeout: c.seconds()}); err != nil {
				return u.endedBefore(engine.at.explain("restart container "+u.Name, err))
			}
			return nil
		},
		Observe: func(ctx context.Context, _ graceConfig, u life) (sdk.Effect, error) { return e.observeLife(ctx, u) },
		Revert:  e.revertLife,
		Scan:    e.scanLife,
	}
}
