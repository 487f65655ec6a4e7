package sdk

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/faultline-go/faultline/sdk/schema"
)

// Switch is a fault that is either on or off at a target, and of which one look tells
// which: most are. Its author says how to switch and how to look; the rest of a Fault
// follows from that. What it says of the functions holds here, too.
type Switch[C, U any] struct {
	Type         string
	Doc          string
	Accepts      []schema.Accept
	Hold         schema.Hold
	Requires     []string
	Capabilities []schema.Capability
	RevertTime   time.Duration // the longest that switching off and looking may take

	// Check looks at a configuration beyond what its tags can say. Optional, pure.
	Check func(C) error
	// Prepare is that of a Fault. A target at which the fault is on already must be
	// refused: switching off would take away what somebody else has done.
	Prepare func(ctx context.Context, t PrepareTarget, c C) (Prepared[U], error)
	// On breaks the target, for Inject.
	On func(ctx context.Context, c C, u U) error
	// Off puts it back. It is asked only where the fault was seen to be on, and may be
	// asked again after an error.
	Off func(ctx context.Context, u U) error
	// IsOn says whether the fault is on, and what was looked at to know. It changes
	// nothing.
	IsOn func(ctx context.Context, u U) (on bool, looked string, err error)
}

// Fault is the fault that a switch makes.
func (s Switch[C, U]) Fault() Fault[C, U] {
	return Fault[C, U]{
		Type: s.Type, Doc: s.Doc, Accepts: s.Accepts, Hold: s.Hold, Reversibility: Reversible, Requires: s.Requires, Capabilities: s.Capabilities,
		RevertTime: s.RevertTime, Check: s.Check, Prepare: s.Prepare, Inject: s.On,
		Observe: func(ctx context.Context, _ C, u U) (Effect, error) {
			on, looked, err := s.IsOn(ctx, u)
			return Effect{Bites: on, Detail: looked}, err
		},
		Revert: s.revert,
		Scan:   s.scan,
	}
}

// revert looks first and last: what is off already is nobody's to switch, and what is
// still on after all was not put back.
func (s Switch[C, U]) revert(ctx context.Context, u U) (Reverted, error) {
	on, looked, err := s.IsOn(ctx, u)
	if err != nil {
		return Reverted{}, err
	}
	if !on {
		return Reverted{Outcome: AlreadyGone, Proof: looked}, nil
	}
	if err := s.Off(ctx, u); err != nil {
		return Reverted{}, err
	}
	if on, looked, err = s.IsOn(ctx, u); err != nil {
		return Reverted{}, err
	}
	if on {
		return Reverted{}, fmt.Errorf("it is still on after it was switched off: %s", looked)
	}
	return Reverted{Outcome: PutBack, Proof: looked}, nil
}

func (s Switch[C, U]) scan(ctx context.Context, known []Known[U]) ([]Residue, error) {
	var found []Residue
	var failed []error
	for _, k := range known {
		on, looked, err := s.IsOn(ctx, k.Undo)
		switch {
		case err != nil:
			failed = append(failed, fmt.Errorf("%s: %w", k.Target, err))
		case on:
			found = append(found, Residue{Fault: k.Fault, Target: k.Target, Kind: ResidueMatches, Detail: looked})
		}
	}
	return found, errors.Join(failed...)
}
