package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/plugins/internal/cgroup"
	"github.com/faultline-go/faultline/plugins/internal/incarnation"
	"github.com/faultline-go/faultline/sdk"
)

// A pause past the engine: the freezer of the container's control group, without a word
// to the engine. The undo record has everything that a Revert needs, also one that
// finds no engine.

// frozen says whether this pause goes past the engine.
func (u paused) frozen() bool { return u.Freezer != (cgroup.Freezer{}) }

// freezable finds the container's freezer, and says whether it could be used.
func (s snapshot) freezable() (p incarnation.Incarnation, f cgroup.Freezer, err error) {
	p, groups, err := s.mainProcess()
	if err != nil {
		return p, f, err
	}
	if f, err = groups.Freezer(); err != nil {
		return p, f, fmt.Errorf("container %s: %w", s.Name, err)
	}
	frozen, err := f.Frozen()
	switch {
	case err != nil:
		return p, f, fmt.Errorf("look at the freezer of container %s: %w", s.Name, err)
	case frozen:
		return p, f, fmt.Errorf("the control group of container %s is frozen already: left alone", s.Name)
	}
	if err := unix.Access(f.Folder, unix.W_OK); err != nil {
		return p, f, fmt.Errorf("freeze container %s: %w: via = \"crash\" needs root", s.Name, err)
	}
	return p, f, nil
}

func (e *engines) freezeGroup(ctx context.Context, u paused) error {
	alive, err := u.Process.Alive()
	if err != nil {
		return err
	}
	if !alive {
		return fmt.Errorf("the main process of container %s has ended: %w", u.Name, sdk.ErrGone)
	}
	frozen, err := u.Freezer.Frozen()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the control group of container %s is gone: %w", u.Name, sdk.ErrGone)
	case err != nil:
		return fmt.Errorf("look at the freezer of container %s: %w", u.Name, err)
	case frozen:
		e.notOurs.Store(u, true)
		return fmt.Errorf("container %s was paused by somebody else: left alone", u.Name)
	}
	ctx, cancel := finish(ctx, engineTime)
	defer cancel()
	return u.Freezer.Freeze(ctx)
}

func (u paused) observeGroup() (sdk.Effect, error) {
	frozen, err := u.Freezer.Frozen()
	if errors.Is(err, fs.ErrNotExist) || err == nil && !frozen {
		return sdk.Effect{Detail: "not frozen"}, nil
	}
	var alive bool
	if err == nil {
		alive, err = u.Process.Alive()
	}
	if err != nil {
		return sdk.Effect{}, fmt.Errorf("look at the freezer of container %s: %w", u.Name, err)
	}
	if !alive {
		return sdk.Effect{Detail: "the main process has ended"}, nil
	}
	return sdk.Effect{Bites: true, Detail: "the kernel reports its control group frozen"}, nil
}

func (e *engines) thawGroup(ctx context.Context, u paused) (sdk.Reverted, error) {
	boot, err := incarnation.BootID()
	if err != nil {
		return sdk.Reverted{}, err
	}
	if boot != u.Process.Boot {
		return sdk.Reverted{Outcome: sdk.AlreadyGone, Proof: "the machine was started anew"}, nil
	}
	frozen, err := u.Freezer.Frozen()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return sdk.Reverted{Outcome: sdk.AlreadyGone, Proof: "the control group " + u.Freezer.Folder + " is gone"}, nil
	case err != nil:
		return sdk.Reverted{}, fmt.Errorf("look at the freezer of container %s: %w", u.Name, err)
	case !frozen:
		return sdk.Reverted{Outcome: sdk.AlreadyGone, Proof: "the control group is not frozen"}, nil
	}
	if _, foreign := e.notOurs.Load(u); foreign {
		return sdk.Reverted{Outcome: sdk.ForeignChange, Proof: "somebody else froze it before this fault could"}, nil
	}
	alive, err := u.Process.Alive()
	if err != nil {
		return sdk.Reverted{}, err
	}
	if !alive {
		return sdk.Reverted{Outcome: sdk.ForeignChange, Proof: "was started anew, then somebody else froze its control group"}, nil
	}
	if err := u.Freezer.Thaw(ctx); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return sdk.Reverted{}, err
	}
	return sdk.Reverted{Outcome: sdk.PutBack, Proof: "thawed: the control group " + u.Freezer.Folder + " is not frozen"}, nil
}
