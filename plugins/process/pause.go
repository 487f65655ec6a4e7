//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/plugins/internal/incarnation"
	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
)

// pauseConfig is the body of a process_pause block: there is nothing to choose.
type pauseConfig struct{}

// pauseUndo names the process. That a record exists says that it was not stopped
// before: Prepare refuses one that is.
type pauseUndo struct {
	Process incarnation.Incarnation `json:"process"`
	Name    string                  `json:"name"`
}

var processPause = sdk.Fault[pauseConfig, pauseUndo]{
	Type: "process_pause",
	Doc: "Stops a process with SIGSTOP, and lets it go on with SIGCONT. It keeps its connections, memory and locks, and answers nobody. " +
		"A process that is stopped or traced already is refused, because it would not be ours to let go on. " +
		"Its children are not stopped.",
	Accepts:       accepts,
	Hold:          sdk.HoldProcess,
	Reversibility: sdk.Reversible,
	Requires:      []string{"Linux 5.3", "the target's user or root"},
	Capabilities:  []schema.Capability{schema.CapProcesses},
	Settle:        time.Second,
	RevertTime:    signalTime,

	Prepare: preparePause,
	Inject:  injectPause,
	Observe: observePause,
	Revert:  revertPause,
	Scan:    scanPauses,
}

// signalTime is how long a process may take to be stopped, or to go on: one that
// waits for a disk does neither before the disk has answered.
const signalTime = 5 * time.Second

func stopped(state string) bool { return state == "T" }
func traced(state string) bool  { return state == "t" }

func preparePause(_ context.Context, t sdk.PrepareTarget, _ pauseConfig) (out sdk.Prepared[pauseUndo], err error) {
	p, err := resolve(t.Candidate)
	if err != nil {
		return out, err
	}
	if err := free(p.process); err != nil {
		return out, err
	}
	return sdk.Prepared[pauseUndo]{
		Undo:        pauseUndo{Process: p.Incarnation, Name: p.label()},
		Incarnation: p.String(),
		Resources:   []string{resource(p.Incarnation)},
	}, nil
}

// free is nil when nobody else holds the process stopped.
func free(p process) error {
	if stopped(p.state) || traced(p.state) {
		return fmt.Errorf("process %d (%s) is %s already: pausing it would change nothing, and letting it go on afterwards would", p.PID, p.name(), stateName(p.state))
	}
	return nil
}

func injectPause(ctx context.Context, _ pauseConfig, u pauseUndo) error {
	h, err := u.Process.Open()
	if err != nil {
		return err
	}
	defer h.Close()
	p, alive, err := find(u.Process)
	if err != nil {
		return err
	}
	if !alive {
		return fmt.Errorf("process %d: %w", u.Process.PID, sdk.ErrGone)
	}
	if err := free(p); err != nil {
		return err
	}
	if err := h.Signal(unix.SIGSTOP); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, signalTime)
	defer cancel()
	return waitState(ctx, h, stopped)
}

func observePause(_ context.Context, _ pauseConfig, u pauseUndo) (sdk.Effect, error) {
	p, alive, err := find(u.Process)
	if err != nil {
		return sdk.Effect{}, err
	}
	if !alive {
		return sdk.Effect{Detail: fmt.Sprintf("process %d (%s) is gone", u.Process.PID, u.Name)}, nil
	}
	return sdk.Effect{
		Bites:  stopped(p.state),
		Detail: fmt.Sprintf("process %d (%s) is %s", u.Process.PID, u.Name, stateName(p.state)),
	}, nil
}

func revertPause(ctx context.Context, u pauseUndo) (sdk.Reverted, error) {
	h, err := u.Process.Open()
	if errors.Is(err, sdk.ErrGone) {
		return sdk.Reverted{Outcome: sdk.AlreadyGone, Proof: u.Process.String() + " is gone"}, nil
	}
	if err != nil {
		return sdk.Reverted{}, err
	}
	defer h.Close()
	p, alive, err := find(u.Process)
	switch {
	case err != nil:
		return sdk.Reverted{}, err
	case alive && traced(p.state):
		return sdk.Reverted{Outcome: sdk.ForeignChange, Residue: true, Proof: fmt.Sprintf("a debugger holds process %d", p.PID)}, nil
	case !alive || !stopped(p.state):
		return sdk.Reverted{Outcome: sdk.AlreadyGone, Proof: fmt.Sprintf("process %d is not stopped", u.Process.PID)}, nil
	}
	if err := h.Signal(unix.SIGCONT); err != nil && !errors.Is(err, sdk.ErrGone) {
		return sdk.Reverted{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, signalTime)
	defer cancel()
	err = waitState(ctx, h, func(state string) bool { return !stopped(state) })
	if errors.Is(err, sdk.ErrGone) {
		return sdk.Reverted{Outcome: sdk.PutBack, Proof: fmt.Sprintf("process %d went on and has ended", u.Process.PID)}, nil
	}
	if err != nil {
		return sdk.Reverted{}, err
	}
	return sdk.Reverted{Outcome: sdk.PutBack, Proof: fmt.Sprintf("process %d runs again", u.Process.PID)}, nil
}

// scanPauses reports processes that are still stopped.
func scanPauses(_ context.Context, known []sdk.Known[pauseUndo]) ([]sdk.Residue, error) {
	var out []sdk.Residue
	for _, k := range known {
		p, alive, err := find(k.Undo.Process)
		if err != nil {
			return nil, err
		}
		if alive && stopped(p.state) {
			out = append(out, sdk.Residue{
				Fault: k.Fault, Target: k.Target, Kind: sdk.ResidueMatches,
				Detail: fmt.Sprintf("process %d (%s) is still stopped", p.PID, k.Undo.Name),
			})
		}
	}
	return out, nil
}
