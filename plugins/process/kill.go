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

// killConfig is the body of a process_kill block.
type killConfig struct {
	Signal    string         `hcl:"signal" default:"SIGKILL" enum:"SIGKILL|SIGTERM|SIGINT|SIGQUIT|SIGHUP|SIGABRT|SIGSEGV" doc:"The signal that ends it."`
	EndWithin time.Duration  `hcl:"end_within" default:"5s" min:"100ms" max:"5m" doc:"How long it may take to end after the signal; then SIGKILL follows."`
	Restart   *restartConfig `hcl:"restart,block" doc:"How it comes back."`
}

// killUndo is all that a revert in a fresh process needs.
type killUndo struct {
	Process    incarnation.Incarnation   `json:"process"`
	Name       string                    `json:"name"`
	Key        string                    `json:"command_key"`
	Parent     int                       `json:"parent"`
	Session    int                       `json:"session"`
	PIDFile    string                    `json:"pid_file,omitempty"`
	Identical  []incarnation.Incarnation `json:"identical,omitempty"` // processes with the same key, this one included
	Supervisor bool                      `json:"supervisor,omitempty"`
	Restart    *restart                  `json:"restart,omitempty"`
}

var processKill = sdk.Fault[killConfig, killUndo]{
	Type: "process_kill",
	Doc: "Ends a process with a signal, and starts it again afterwards. " +
		"A process that has not ended within end_within gets SIGKILL, so that it is certain that it is dead. " +
		"A killed process does not come back by itself, so the scenario says who brings it back: " +
		"`restart { command = [...] }` runs a command, `restart { supervisor = true }` waits for the supervisor that it has anyway. " +
		"With neither, nothing does, and the fault is refused unless the scenario says irreversible = \"accept\". " +
		"The command runs as the user of the killed process (or as restart.user), in a session of its own, " +
		"with faultline's limits, priority and control group; restart a service through its service manager.",
	Accepts:       accepts,
	Hold:          sdk.HoldJournal,
	Reversibility: sdk.Reversible,
	Requires:      []string{"Linux 5.3", "the target's user or root"},
	Capabilities:  []schema.Capability{schema.CapProcesses, schema.CapExec},
	Settle:        time.Second,
	RevertTime:    revertTime,

	Check:   func(c killConfig) error { return c.Restart.check() },
	Prepare: prepareKill,
	Inject:  injectKill,
	Observe: observeKill,
	Revert:  revertKill,
	Scan:    scanKills,
}

func prepareKill(_ context.Context, t sdk.PrepareTarget, c killConfig) (out sdk.Prepared[killUndo], err error) {
	if c.Restart == nil && !t.AcceptIrreversible {
		return out, errors.New("nothing would start the process again: add restart { command = [...] }, or restart { supervisor = true } when a supervisor does, or accept it with irreversible = \"accept\"")
	}
	p, err := resolve(t.Candidate)
	if err != nil {
		return out, err
	}
	u := killUndo{Process: p.Incarnation, Name: p.label(), Key: p.key(), Parent: p.parent, Session: p.session, PIDFile: p.pidFile}
	if u.Identical, err = identical(p.process); err != nil {
		return out, err
	}
	if c.Restart != nil {
		u.Supervisor = c.Restart.Supervisor
		if !u.Supervisor {
			if u.Restart, err = c.Restart.resolve(p.process); err != nil {
				return out, err
			}
		}
	}
	return sdk.Prepared[killUndo]{Undo: u, Incarnation: p.String(), Resources: []string{resource(p.Incarnation)}}, nil
}

// killTime is how long SIGKILL may take: a process that waits for a disk dies only
// when the disk has answered.
const killTime = 3 * time.Second

// injectKill returns when the process is dead. One that takes its time over a signal
// is killed for certain in the end, also when the injection is called off: it might
// die later otherwise, when everybody believes that it was spared.
func injectKill(ctx context.Context, c killConfig, u killUndo) error {
	h, err := u.Process.Open()
	if err != nil {
		return err
	}
	defer h.Close()
	if err := h.Signal(unix.SignalNum(c.Signal)); err != nil {
		return err
	}
	patient, cancel := context.WithTimeout(ctx, c.EndWithin)
	defer cancel()
	if err := h.Wait(patient); err == nil {
		return nil
	}
	if err := h.Signal(unix.SIGKILL); err != nil && !errors.Is(err, sdk.ErrGone) {
		return err
	}
	final, cancel := context.WithTimeout(context.WithoutCancel(ctx), killTime)
	defer cancel()
	if err := h.Wait(final); err != nil {
		return fmt.Errorf("after %s and SIGKILL: %w", c.Signal, err)
	}
	return nil
}

// observeKill goes by the event, not by what runs now: a supervisor may have been
// faster than any look at the machine.
func observeKill(_ context.Context, _ killConfig, u killUndo) (sdk.Effect, error) {
	_, alive, err := find(u.Process)
	if err != nil {
		return sdk.Effect{}, err
	}
	if alive {
		return sdk.Effect{Detail: fmt.Sprintf("process %d (%s) is alive", u.Process.PID, u.Name)}, nil
	}
	p, back, err := u.back()
	if err != nil {
		return sdk.Effect{}, err
	}
	if !back {
		return sdk.Effect{Bites: true, Detail: fmt.Sprintf("process %d (%s) is dead", u.Process.PID, u.Name)}, nil
	}
	return sdk.Effect{Bites: true, Ended: true, Detail: fmt.Sprintf("process %d (%s) died and is back as %d", u.Process.PID, u.Name, p.PID)}, nil
}

// scanKills reports what was killed and is not back. Processes that carry our mark
// are no residue: they are what was put back.
func scanKills(_ context.Context, known []sdk.Known[killUndo]) ([]sdk.Residue, error) {
	boot, err := incarnation.BootID()
	if err != nil {
		return nil, err
	}
	var out []sdk.Residue
	for _, k := range known {
		if k.Undo.Process.Boot != boot || !k.Undo.returns() {
			continue
		}
		_, alive, err := find(k.Undo.Process)
		if err == nil && !alive {
			_, alive, err = k.Undo.back()
		}
		if err != nil {
			return nil, err
		}
		if !alive {
			out = append(out, sdk.Residue{
				Fault: k.Fault, Target: k.Target, Kind: sdk.ResidueMatches,
				Detail: fmt.Sprintf("%s (process %d until it was killed) does not run", k.Undo.Name, k.Undo.Process.PID),
			})
		}
	}
	return out, nil
}

// returns says whether anybody is to bring the process back.
func (u killUndo) returns() bool { return u.Supervisor || u.Restart != nil }
