package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/faultline-go/faultline/engine/ledger"
	"github.com/faultline-go/faultline/engine/plan"
	"github.com/faultline-go/faultline/engine/run"
)

// ledgerDir is the folder of a ledger: one that the scenario names, which must be there,
// so that a share that is not mounted is not taken for an empty ledger, or ours.
func (g *global) ledgerDir(folder string) (ledger.Dir, error) {
	if folder != "" {
		return ledger.Dir(folder), nil
	}
	dir := filepath.Join(g.state(), "ledger")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make folder for the ledger: %w", err)
	}
	return ledger.Dir(dir), nil
}

// lastTurn is what planning asks of a ledger.
func (g *global) lastTurn(folder, group string) (*plan.Turn, error) {
	dir, err := g.ledgerDir(folder)
	if err != nil {
		return nil, err
	}
	last, err := dir.Last(group)
	return asTurn(last), err
}

func asTurn(e *ledger.Entry) *plan.Turn {
	if e == nil {
		return nil
	}
	return &plan.Turn{At: e.At, Run: e.Run}
}

// takeTurn writes a turn down, unless another run has had it since the plan was made.
func (g *global) takeTurn(ctx context.Context, id string, e *plan.Experiment) error {
	dir, err := g.ledgerDir(e.Chance.Ledger)
	if err != nil {
		return err
	}
	entry := ledger.Entry{Group: e.Chance.Group, At: time.Now().UTC(), Run: id, Experiment: e.Spec.Name}
	if entry.Host, err = os.Hostname(); err != nil {
		return fmt.Errorf("take the turn: %w", err)
	}
	for _, s := range e.Steps {
		entry.Targets = append(entry.Targets, s.TargetNames()...)
	}
	err = dir.Take(ctx, entry, func(last *ledger.Entry) error {
		if why := e.Chance.TooSoon(time.Now(), asTurn(last)); why != "" {
			return &run.NotDue{Reason: why}
		}
		return nil
	})
	var notDue *run.NotDue
	if err != nil && !errors.As(err, &notDue) {
		return fmt.Errorf("take the turn of group %s: %w", e.Chance.Group, err)
	}
	return err
}
