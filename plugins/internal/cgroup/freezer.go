package cgroup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Freezer stops and continues all processes of a group. It is named by its folder, so
// that it can be found again when the process that led to it is gone.
type Freezer struct {
	Folder  string `json:"folder"`
	Unified bool   `json:"unified,omitempty"` // version 2
}

// ErrNoFreezer is for a machine that mounts no hierarchy that can freeze.
var ErrNoFreezer = errors.New("this machine has no freezer for the target's control group")

// Freezer is the one of the groups.
func (g Groups) Freezer() (Freezer, error) {
	if folder := g.legacy["freezer"]; folder != "" {
		return Freezer{Folder: folder}, nil
	}
	if g.unified != "" && !g.tops[g.unified] { // the root group cannot be frozen
		return Freezer{Folder: g.unified, Unified: true}, nil
	}
	return Freezer{}, ErrNoFreezer
}

// Freeze stops every process and waits until they stand still.
func (f Freezer) Freeze(ctx context.Context) error {
	if err := f.set(true); err != nil {
		return err
	}
	return f.becomes(ctx, true)
}

// Thaw lets them go on.
func (f Freezer) Thaw(ctx context.Context) error {
	if err := f.set(false); err != nil {
		return err
	}
	return f.becomes(ctx, false)
}

// Frozen says whether the group itself is frozen, or about to be. The error wraps
// fs.ErrNotExist when the group is gone.
func (f Freezer) Frozen() (bool, error) {
	if f.Unified {
		text, err := os.ReadFile(filepath.Join(f.Folder, "cgroup.freeze"))
		return strings.TrimSpace(string(text)) == "1", err
	}
	text, err := os.ReadFile(filepath.Join(f.Folder, "freezer.self_freezing"))
	return strings.TrimSpace(string(text)) == "1", err
}

func (f Freezer) set(frozen bool) error {
	file, text := "freezer.state", "THAWED"
	if frozen {
		text = "FROZEN"
	}
	if f.Unified {
		file, text = "cgroup.freeze", "0"
		if frozen {
			text = "1"
		}
	}
	if err := os.WriteFile(filepath.Join(f.Folder, file), []byte(text), 0); err != nil {
		return fmt.Errorf("freeze or thaw a control group: %w", err)
	}
	return nil
}

// settled says whether every process has come to stand still, or goes on.
func (f Freezer) settled(frozen bool) (bool, error) {
	if f.Unified {
		n, _, err := field(f.Folder, "cgroup.events", "frozen")
		return (n == 1) == frozen, err
	}
	text, _, err := read(f.Folder, "freezer.state")
	return (text == "FROZEN") == frozen && text != "FREEZING", err
}

// becomes waits for that. A version 1 freezer can miss a process that is being born,
// and finds it when it is told again.
func (f Freezer) becomes(ctx context.Context, frozen bool) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for n := 1; ; n++ {
		done, err := f.settled(frozen)
		if err != nil || done {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for a control group to freeze or thaw: %w", ctx.Err())
		case <-tick.C:
		}
		if n%50 == 0 {
			if err := f.set(frozen); err != nil {
				return err
			}
		}
	}
}
