package plugintest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
)

// The targets of plugin sleeper are real processes, which it stops and continues.

func newSleeper(t testing.TB) sdk.Candidate {
	t.Helper()
	cmd := exec.Command("sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	pid := strconv.Itoa(cmd.Process.Pid)
	return sdk.Candidate{Kind: "sleeper", ID: pid, Name: "sleep " + pid, Interfaces: []string{"process"}}
}

func endSleeper(t testing.TB, c sdk.Candidate) {
	t.Helper()
	pid, err := strconv.Atoi(c.ID)
	if err == nil {
		err = syscall.Kill(pid, syscall.SIGKILL)
	}
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; {
		if _, err := lookAt(pid); err != nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the sleeper does not die")
		}
		<-time.After(time.Millisecond)
	}
}

func isStopped(c sdk.Candidate) (bool, error) {
	pid, err := strconv.Atoi(c.ID)
	if err != nil {
		return false, err
	}
	s, err := lookAt(pid)
	return s.state == "T", err
}

type sleeperUndo struct {
	PID     int
	Started string
}

type sleeperStat struct{ state, started string }

// lookAt reads what the kernel says of a process; a dead one is gone.
func lookAt(pid int) (sleeperStat, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return sleeperStat{}, fmt.Errorf("process %d: %w", pid, sdk.ErrGone)
	}
	if err != nil {
		return sleeperStat{}, err
	}
	// What follows the command, which is in brackets and may have blanks, begins with
	// field 3; the start time is field 22.
	rest := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
	s := sleeperStat{state: rest[0], started: rest[19]}
	if s.state == "Z" || s.state == "X" {
		return s, fmt.Errorf("process %d: %w", pid, sdk.ErrGone)
	}
	return s, nil
}

func (u sleeperUndo) look() (sleeperStat, error) {
	s, err := lookAt(u.PID)
	if err == nil && s.started != u.Started {
		err = fmt.Errorf("process %d of that time: %w", u.PID, sdk.ErrGone)
	}
	return s, err
}

func sleeper() sdk.Plugin {
	stop := sdk.Fault[noConfig, sleeperUndo]{
		Type: "sleeper_stop", Doc: "Stops a process.", Accepts: []schema.Accept{{Interface: "process"}},
		Hold: sdk.HoldProcess, Reversibility: sdk.Reversible, RevertTime: 5 * time.Second,
		Prepare: func(_ context.Context, t sdk.PrepareTarget, _ noConfig) (out sdk.Prepared[sleeperUndo], err error) {
			pid, err := strconv.Atoi(t.ID)
			if err != nil {
				return out, err
			}
			s, err := lookAt(pid)
			out.Undo, out.Incarnation = sleeperUndo{pid, s.started}, s.started
			return out, err
		},
		Inject: func(_ context.Context, _ noConfig, u sleeperUndo) error {
			if _, err := u.look(); err != nil {
				return err
			}
			return syscall.Kill(u.PID, syscall.SIGSTOP)
		},
		Observe: func(_ context.Context, _ noConfig, u sleeperUndo) (sdk.Effect, error) {
			s, err := u.look()
			return sdk.Effect{Bites: s.state == "T", Detail: "state " + s.state}, err
		},
		Revert: func(ctx context.Context, u sleeperUndo) (sdk.Reverted, error) {
			was, err := u.look()
			if errors.Is(err, sdk.ErrGone) {
				return sdk.Reverted{Outcome: sdk.AlreadyGone, Proof: err.Error()}, nil
			}
			if err != nil {
				return sdk.Reverted{}, err
			}
			// Continued in any case: a stop that was just sent may not show yet, and
			// SIGCONT also takes that one away.
			if err := syscall.Kill(u.PID, syscall.SIGCONT); err != nil {
				return sdk.Reverted{}, err
			}
			for {
				now, err := u.look()
				if err != nil || now.state != "T" {
					r := sdk.Reverted{Outcome: sdk.PutBack, Proof: "state " + now.state}
					if was.state != "T" {
						r.Outcome = sdk.AlreadyGone
					}
					return r, err
				}
				if err := pause(ctx, time.Millisecond); err != nil {
					return sdk.Reverted{}, err
				}
			}
		},
		Scan: func(_ context.Context, known []sdk.Known[sleeperUndo]) (out []sdk.Residue, err error) {
			for _, k := range known {
				if s, err := k.Undo.look(); err == nil && s.state == "T" {
					out = append(out, sdk.Residue{Fault: k.Fault, Target: k.Target, Kind: sdk.ResidueMatches, Detail: "stopped"})
				}
			}
			return out, nil
		},
	}
	return sdk.Plugin{Name: "sleeper", Version: "0.1.0", Doc: "Stops processes.", Faults: []sdk.FaultType{stop}}
}
