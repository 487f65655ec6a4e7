package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/plugins/internal/incarnation"
	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
)

// fdsConfig is the body of a host_fds fault.
type fdsConfig struct {
	Free int `hcl:"free,optional" default:"0" min:"0" max:"1000000" doc:"How many more files the target can open all the same."`
}

// fdsUndo says what the limit was and what this fault makes of it. Descriptors are
// numbered from the lowest that is free, and the limit is on the number: what is open
// stays open, whatever it is.
type fdsUndo struct {
	Process incarnation.Incarnation `json:"process"`
	Name    string                  `json:"name"`
	Soft    uint64                  `json:"soft"`
	Hard    uint64                  `json:"hard"`
	Set     uint64                  `json:"set"`
}

var hostFDs = sdk.Fault[fdsConfig, fdsUndo]{
	Type: "host_fds",
	Doc: "Lets a process, or a container's main process, run out of file descriptors: its own soft limit is lowered to what it has open, and raised again when the fault ends. " +
		"What is open stays open. The machine's other processes do not notice.",
	Accepts:       acceptsGroups,
	Hold:          sdk.HoldProcess,
	Reversibility: sdk.Reversible,
	Requires:      []string{"Linux 5.3", "the target's user or root"},
	Capabilities:  []schema.Capability{schema.CapExhaust, schema.CapPtrace},
	Settle:        time.Second,
	RevertTime:    5 * time.Second,
	Prepare:       prepareFDs,
	Inject:        injectFDs,
	Observe:       observeFDs,
	Revert:        revertFDs,
	Scan:          scanFDs,
}

func prepareFDs(ctx context.Context, t sdk.PrepareTarget, c fdsConfig) (out sdk.Prepared[fdsUndo], err error) {
	target, err := anyTarget(ctx, t)
	if err != nil {
		return out, err
	}
	u := fdsUndo{Process: *target.Process, Name: target.Name}
	limit, err := u.limit(nil)
	if err != nil {
		return out, err
	}
	open, err := descriptors(u.Process)
	if err != nil {
		return out, err
	}
	u.Soft, u.Hard, u.Set = limit.Cur, limit.Max, lowered(open, uint64(c.Free))
	if u.Set >= u.Soft {
		return out, fmt.Errorf("%s has %d files open and may open less than %d more: its limit of %d is scarce already", u.Name, len(open), c.Free, u.Soft)
	}
	return sdk.Prepared[fdsUndo]{Undo: u, Incarnation: target.Incarnation, Resources: []string{target.Resource + "/files"}}, nil
}

// lowered is the limit that leaves so many descriptors free, given those that are open.
func lowered(open []uint64, free uint64) uint64 {
	used := map[uint64]bool{}
	for _, fd := range open {
		used[fd] = true
	}
	limit := uint64(0)
	for ; used[limit] || free > 0; limit++ {
		if !used[limit] {
			free--
		}
	}
	return limit
}

// left is how many descriptors are free below a limit.
func left(open []uint64, limit uint64) uint64 {
	below := uint64(0)
	for _, fd := range open {
		if fd < limit {
			below++
		}
	}
	return limit - below
}

// descriptors lists what a process has open.
func descriptors(p incarnation.Incarnation) ([]uint64, error) {
	names, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(p.PID), "fd", "*"))
	if err != nil {
		return nil, fmt.Errorf("list the open files of process %d: %w", p.PID, err)
	}
	if len(names) == 0 { // none, not ours to see, or gone
		if _, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(p.PID), "fd")); err != nil {
			return nil, p.Explain("list the open files of", err)
		}
	}
	var open []uint64
	for _, name := range names {
		n, err := strconv.ParseUint(filepath.Base(name), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("list the open files of process %d: %w", p.PID, err)
		}
		open = append(open, n)
	}
	slices.Sort(open)
	return open, nil
}

// limit reads the limit, and sets it when there is a new one.
func (u fdsUndo) limit(set *unix.Rlimit) (unix.Rlimit, error) {
	h, err := u.Process.Open()
	if err != nil {
		return unix.Rlimit{}, err
	}
	defer h.Close() // the process is the same as long as nobody has waited for its end
	var old unix.Rlimit
	if err := unix.Prlimit(u.Process.PID, unix.RLIMIT_NOFILE, set, &old); err != nil {
		return old, u.Process.Explain("limit the open files of", err)
	}
	return old, h.Signal(0)
}

func injectFDs(_ context.Context, _ fdsConfig, u fdsUndo) error {
	now, err := u.limit(nil)
	if err != nil {
		return err
	}
	if now.Cur != u.Soft || now.Max != u.Hard {
		return fmt.Errorf("the limit of open files of %s was changed to %d by somebody else: left alone", u.Name, now.Cur)
	}
	_, err = u.limit(&unix.Rlimit{Cur: u.Set, Max: u.Hard})
	return err
}

func observeFDs(_ context.Context, _ fdsConfig, u fdsUndo) (sdk.Effect, error) {
	now, err := u.limit(nil)
	var open []uint64
	if err == nil {
		open, err = descriptors(u.Process)
	}
	if errors.Is(err, sdk.ErrGone) {
		return sdk.Effect{Detail: u.Name + " has ended"}, nil
	}
	if err != nil {
		return sdk.Effect{}, err
	}
	free := left(open, now.Cur)
	return sdk.Effect{
		Bites:    now.Cur == u.Set,
		Detail:   fmt.Sprintf("%s has %d files open and may open %d more", u.Name, len(open), free),
		Measures: map[string]float64{"open_files": float64(len(open)), "free_files": float64(free)},
	}, nil
}

func revertFDs(_ context.Context, u fdsUndo) (sdk.Reverted, error) {
	now, err := u.limit(nil)
	switch {
	case errors.Is(err, sdk.ErrGone):
		return sdk.Reverted{Outcome: sdk.AlreadyGone, Proof: u.Process.String() + " has ended"}, nil
	case err != nil:
		return sdk.Reverted{}, err
	case now.Cur == u.Soft && now.Max == u.Hard:
		return sdk.Reverted{Outcome: sdk.AlreadyGone, Proof: fmt.Sprintf("the limit of open files is %d, as it was", now.Cur)}, nil
	case now.Cur != u.Set || now.Max != u.Hard:
		return sdk.Reverted{
			Outcome: sdk.ForeignChange,
			Proof:   fmt.Sprintf("somebody else set the limit of open files to %d (at most %d)", now.Cur, now.Max),
		}, nil
	}
	if _, err := u.limit(&unix.Rlimit{Cur: u.Soft, Max: u.Hard}); err != nil && !errors.Is(err, sdk.ErrGone) {
		return sdk.Reverted{}, err
	}
	return sdk.Reverted{Outcome: sdk.PutBack, Proof: fmt.Sprintf("the limit of open files is %d again", u.Soft)}, nil
}

func scanFDs(_ context.Context, known []sdk.Known[fdsUndo]) ([]sdk.Residue, error) {
	var out []sdk.Residue
	for _, k := range known {
		now, err := k.Undo.limit(nil)
		if errors.Is(err, sdk.ErrGone) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if now.Cur == k.Undo.Set {
			out = append(out, sdk.Residue{
				Fault: k.Fault, Target: k.Target, Kind: sdk.ResidueMatches,
				Detail: fmt.Sprintf("%s may have %d files open at most", k.Undo.Name, now.Cur),
			})
		}
	}
	return out, nil
}
