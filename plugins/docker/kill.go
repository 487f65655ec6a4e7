package main

import (
	"context"

	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
)

// killConfig is the body of a docker_kill fault. The signals are those that end a
// process by default; one that stops it would be a pause that nothing undoes.
type killConfig struct {
	Signal string `hcl:"signal,optional" default:"SIGKILL" enum:"SIGKILL|SIGTERM|SIGINT|SIGQUIT|SIGHUP|SIGABRT|SIGSEGV|SIGUSR1|SIGUSR2" doc:"Signal for the container's main process."`
	Via    string `hcl:"via,optional" default:"engine" enum:"engine|crash" doc:"engine: the Engine API kills, and the restart policy does not act. crash: the main process is killed on the host, and the restart policy acts; needs the engine's host and the right to signal the process."`
}

func kill(e *engines) sdk.Fault[killConfig, life] {
	return sdk.Fault[killConfig, life]{
		Type: "docker_kill",
		Doc: "Kills a container. It is started again when the fault ends, unless its restart policy or Compose was faster. " +
			"After a signal that the container survives, the engine ignores its restart policy until the next start.",
		Accepts:       acceptsContainer(),
		Hold:          sdk.HoldJournal,
		Reversibility: sdk.Reversible,
		Requires:      []string{"docker socket", "root on the engine's host for via = \"crash\""},
		Capabilities:  []schema.Capability{schema.CapDocker, schema.CapProcesses},
		Settle:        settle,
		RevertTime:    revertTime,
		Concurrency:   atOnce,
		Prepare: func(ctx context.Context, t sdk.PrepareTarget, c killConfig) (sdk.Prepared[life], error) {
			_, s, p, err := e.prepareLife(ctx, t)
			if err != nil {
				return p, err
			}
			if err := s.keepable(t); err != nil {
				return p, err
			}
			if c.Via == viaCrash {
				main, err := s.crashable()
				p.Undo.Process = &main
				return p, err
			}
			p.Undo.LateExit = exitCodes[c.Signal]
			return p, nil
		},
		Inject: func(ctx context.Context, c killConfig, u life) error {
			if c.Via == viaCrash {
				return u.crash(c.Signal)
			}
			engine, _, err := e.toEnd(ctx, u)
			if err != nil {
				return err
			}
			ctx, cancel := finish(ctx, engineTime)
			defer cancel()
			if err := engine.ContainerKill(ctx, u.Container, c.Signal); err != nil {
				return u.endedBefore(engine.at.explain("kill container "+u.Name, err))
			}
			return nil
		},
		Observe: func(ctx context.Context, _ killConfig, u life) (sdk.Effect, error) { return e.observeLife(ctx, u) },
		Revert:  e.revertLife,
		Scan:    e.scanLife,
	}
}

// exitCodes are what the engine reports of a process that a signal ended.
var exitCodes = map[string]int{
	"SIGHUP": 128 + 1, "SIGINT": 128 + 2, "SIGQUIT": 128 + 3, "SIGABRT": 128 + 6, "SIGKILL": 128 + 9,
	"SIGUSR1": 128 + 10, "SIGSEGV": 128 + 11, "SIGUSR2": 128 + 12, "SIGTERM": 128 + 15,
}
