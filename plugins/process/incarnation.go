//go:build linux

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/faultline-go/faultline/plugins/internal/incarnation"
	"github.com/faultline-go/faultline/sdk"
)

// resource is what a fault on a process occupies.
func resource(i incarnation.Incarnation) string {
	return fmt.Sprintf("process:%d:%d/run", i.PID, i.Start)
}

// restartMark is the value of markVariable in the process that takes this one's place. A
// process dies once, so that one mark stands for one restart, whoever does it.
func restartMark(i incarnation.Incarnation) string {
	return fmt.Sprintf("%s:%d:%d", i.Boot, i.PID, i.Start)
}

// find looks for the process of an incarnation. A zombie does not count: it is dead,
// and only waits for its parent to notice.
func find(i incarnation.Incarnation) (process, bool, error) {
	boot, err := incarnation.BootID()
	if err != nil || boot != i.Boot {
		return process{}, false, err
	}
	p, ok, err := readProcess(i.PID)
	if err != nil || !ok || p.Start != i.Start || p.dead() {
		return process{}, false, err
	}
	return p, true, nil
}

// mayKill is nil when we are allowed to signal the process.
func mayKill(i incarnation.Incarnation) error {
	h, err := i.Open()
	if err != nil {
		return err
	}
	defer h.Close()
	return h.Signal(0)
}

// look is how often a wait looks.
const look = 20 * time.Millisecond

// waitState waits until the state is one that want accepts. Nothing tells of a
// change of state, so it looks again and again.
func waitState(ctx context.Context, h *incarnation.Handle, want func(state string) bool) error {
	tick := time.NewTicker(look / 4)
	defer tick.Stop()
	for {
		p, alive, err := find(h.Incarnation)
		if err != nil {
			return err
		}
		if !alive {
			return fmt.Errorf("process %d: %w", h.PID, sdk.ErrGone)
		}
		if want(p.state) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("process %d is still %s: %w", h.PID, stateName(p.state), ctx.Err())
		case <-tick.C:
		}
	}
}

// stateName spells out a state letter of /proc/<pid>/stat.
func stateName(letter string) string {
	switch letter {
	case "R":
		return "running"
	case "S", "I":
		return "sleeping"
	case "D":
		return "waiting"
	case "T":
		return "stopped"
	case "t":
		return "traced"
	case "Z", "X", "x":
		return "dead"
	}
	return letter
}
