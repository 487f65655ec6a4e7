//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/faultline-go/faultline/plugins/internal/incarnation"
	"github.com/faultline-go/faultline/sdk"
)

const (
	revertTime = 15 * time.Second
	// A process that runs the killed one's command counts as back when it has stayed up
	// for steady; one that runs another command (a script, a service manager's client)
	// for steadyOther, because it may end badly only then.
	steady      = 300 * time.Millisecond
	steadyOther = 2 * time.Second
	// How long the target may take to appear after its start command ended well.
	appear = 5 * time.Second
)

// revertKill brings the process back, once, whoever else tries to. It looks first:
// what was never killed, or is back already, is left alone.
func revertKill(ctx context.Context, u killUndo) (sdk.Reverted, error) {
	ctx, cancel := context.WithTimeout(ctx, revertTime)
	defer cancel()
	boot, err := incarnation.BootID()
	if err != nil {
		return sdk.Reverted{}, err
	}
	if boot != u.Process.Boot {
		return sdk.Reverted{Outcome: sdk.AlreadyGone, Proof: "the machine was started anew since"}, nil
	}
	if _, alive, err := find(u.Process); err != nil {
		return sdk.Reverted{}, err
	} else if alive {
		return sdk.Reverted{Outcome: sdk.AlreadyGone, Proof: u.Process.String() + " is alive: it was not killed"}, nil
	}
	if !u.returns() {
		return sdk.Reverted{Outcome: sdk.AlreadyGone, Proof: "the scenario accepted that nothing starts it again"}, nil
	}
	if u.Supervisor {
		return u.awaitSupervisor(ctx)
	}
	for {
		c, err := u.startOnce(ctx)
		if err != nil {
			return sdk.Reverted{}, err
		}
		proof, err := u.staysUp(ctx, c)
		switch {
		case errors.Is(err, errVanished):
			continue // what somebody else had started did not last: now it is our turn
		case err != nil:
			return sdk.Reverted{}, err
		case c == nil:
			return sdk.Reverted{Outcome: sdk.AlreadyGone, Proof: proof}, nil
		}
		return sdk.Reverted{Outcome: sdk.PutBack, Proof: proof}, nil
	}
}

func (u killUndo) awaitSupervisor(ctx context.Context) (sdk.Reverted, error) {
	outcome := sdk.AlreadyGone
	if _, back, err := u.back(); err != nil {
		return sdk.Reverted{}, err
	} else if !back {
		outcome = sdk.PutBack
	}
	proof, err := u.staysUp(ctx, nil)
	if err != nil {
		return sdk.Reverted{}, err
	}
	return sdk.Reverted{Outcome: outcome, Proof: proof}, nil
}

// errVanished is what staysUp says of a process that was back, and that we had not
// started, when it goes again.
var errVanished = errors.New("the process was back and is gone again")

// startOnce starts the process unless it is back, or its start is under way; it
// then returns no child.
func (u killUndo) startOnce(ctx context.Context) (*child, error) {
	unlock, err := lockStart(ctx, restartMark(u.Process))
	if err != nil {
		return nil, err
	}
	defer unlock()
	if _, back, err := u.back(); err != nil || back {
		return nil, err
	}
	// Whoever started it, it may be on its way to its pid file.
	byCommand := u
	byCommand.PIDFile = ""
	if _, starting, err := byCommand.back(); err != nil || starting {
		return nil, err
	}
	return u.Restart.start(restartMark(u.Process))
}

// staysUp waits until the target has been back for a while, and says what it saw.
func (u killUndo) staysUp(ctx context.Context, c *child) (proof string, err error) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	var seen process
	var since time.Time
	begun := time.Now()
	for {
		if err := c.failed(); err != nil {
			return "", fmt.Errorf("start %s again: its command ended: %w%s", u.Name, err, u.whereToLook())
		}
		p, back, err := u.stillBack(seen, !since.IsZero())
		switch {
		case err != nil:
			return "", err
		case !back && !since.IsZero() && c == nil && !u.Supervisor:
			return "", errVanished
		case !back && c.gone() && !u.Supervisor && time.Since(begun) > appear:
			return "", fmt.Errorf("start %s again: %s%s", u.Name, u.missing(), u.whereToLook())
		case !back:
			since = time.Time{}
		case since.IsZero() || p.Incarnation != seen.Incarnation:
			seen, since = p, time.Now()
		case time.Since(since) >= u.enough(p):
			return u.proof(p, time.Since(since)), nil
		}
		select {
		case <-ctx.Done():
			return "", errors.Join(fmt.Errorf("bring %s back: %s%s", u.Name, u.missing(), u.whereToLook()), ctx.Err())
		case <-tick.C:
		}
	}
}

// stillBack is back for a process that was seen to be back a moment ago: without a
// pid file, it then is enough that it lives, and the rest of the machine need not be
// searched again.
func (u killUndo) stillBack(seen process, wasBack bool) (process, bool, error) {
	if wasBack && u.PIDFile == "" {
		if _, alive, err := find(seen.Incarnation); err != nil || alive {
			return seen, alive, err
		}
	}
	return u.back()
}

func (u killUndo) enough(p process) time.Duration {
	if u.PIDFile != "" || u.Supervisor || p.key() == u.Key {
		return steady
	}
	return steadyOther
}

func (u killUndo) proof(p process, up time.Duration) string {
	by := ""
	if markOf(p.PID) == restartMark(u.Process) {
		by = ", started by faultline"
	}
	file := ""
	if u.PIDFile != "" {
		file = ", named by " + u.PIDFile
	}
	return fmt.Sprintf("%s runs as pid %d (started %d)%s%s, and stayed up for %d ms", p.name(), p.PID, p.Start, file, by, up.Milliseconds())
}

// missing says what was waited for in vain.
func (u killUndo) missing() string {
	var b strings.Builder
	if u.Supervisor {
		b.WriteString("no supervisor has started it again")
	} else {
		b.WriteString("the command was run, but the process does not stay up")
	}
	if u.PIDFile != "" {
		b.WriteString(", or " + u.PIDFile + " does not name it")
	}
	return b.String()
}

func (u killUndo) whereToLook() string {
	if u.Restart != nil && u.Restart.Output != "" {
		return " (see " + u.Restart.Output + ")"
	}
	return ""
}
