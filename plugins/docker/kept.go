package main

import (
	"context"

	"github.com/faultline-go/faultline/sdk"
)

// kept begins the undo record of a fault on what a container keeps when it is started
// anew: its limits, its connections, its files. Such a fault belongs to the container;
// only its injection is meant for one incarnation.
type kept struct {
	Engine    address `json:"engine"`
	Container string  `json:"container"`
	Name      string  `json:"name"`
	StartedAt string  `json:"started_at"`
}

// prepareKept looks at a target's container. record makes the undo record of it, and
// names what of the container the fault occupies.
func prepareKept[U any](ctx context.Context, e *engines, t sdk.PrepareTarget, record func(kept, snapshot) (u U, part string, err error)) (out sdk.Prepared[U], err error) {
	engine, s, p, err := e.prepareLife(ctx, t)
	if err != nil {
		return out, err
	}
	u, part, err := record(kept{engine.at, s.ID, s.Name, s.StartedAt}, s)
	if err != nil {
		return out, err
	}
	return sdk.Prepared[U]{Undo: u, Incarnation: p.Incarnation, Resources: []string{"container:" + s.ID + "/" + part}}, nil
}

// look looks at the container.
func (k kept) look(ctx context.Context, e *engines) (*engine, snapshot, bool, error) {
	return e.lookAt(ctx, k.Engine, k.Container)
}

// toChange looks, right before the injection, at the incarnation that Prepare saw. That
// it is paused meanwhile is no reason to leave it alone: a docker_pause of the same
// experiment may have been quicker, and what a container keeps can be changed all the
// same.
func (k kept) toChange(ctx context.Context, e *engines) (*engine, snapshot, error) {
	engine, s, found, err := k.look(ctx, e)
	if err == nil {
		err = s.same(found, k.Name, k.StartedAt)
	}
	return engine, s, err
}

// removed is the end of a revert that does not find the container.
func (k kept) removed() sdk.Reverted {
	return sdk.Reverted{Outcome: sdk.AlreadyGone, Proof: "the container is gone: somebody removed it"}
}

// changes is an undo record that tells from a look whether its fault is in the
// container.
type changes interface {
	look(context.Context, *engines) (*engine, snapshot, bool, error)
	// alone decides whether a container is to be left alone.
	alone(s snapshot, found bool) (sdk.Reverted, bool)
	// left says what is to be put back.
	left() string
}

// scanKept finds containers that are as the fault made them.
func scanKept[U changes](e *engines) func(context.Context, []sdk.Known[U]) ([]sdk.Residue, error) {
	return func(ctx context.Context, known []sdk.Known[U]) ([]sdk.Residue, error) {
		return scan(ctx, known, func(ctx context.Context, u U) (string, error) {
			_, s, found, err := u.look(ctx, e)
			if err != nil {
				return "", err
			}
			if _, alone := u.alone(s, found); alone {
				return "", nil
			}
			return u.left(), nil
		})
	}
}
