package run

import (
	"context"
	"errors"
	"time"
)

// turnTimeout is how long a shared ledger may take, or another runner that holds it.
const turnTimeout = 30 * time.Second

// NotDue is the error of Options.Turn when another run has had the turn meanwhile.
type NotDue struct{ Reason string }

func (e *NotDue) Error() string { return e.Reason }

// takeTurn writes the turn of an experiment that happens by chance into its ledger,
// before anything is broken. It returns whether the experiment goes on.
func (r *run) takeTurn(x *experiment) bool {
	if x.plan.Chance == nil {
		return true
	}
	answered := false
	r.start(func() {
		ctx, cancel := context.WithTimeout(x.calls, turnTimeout)
		defer cancel()
		err := r.Turn(ctx, x.plan)
		r.send(func() {
			answered = true
			var notDue *NotDue
			switch {
			case errors.As(err, &notDue):
				x.notDue = notDue.Reason
			case err != nil && r.stopped == nil:
				x.fails("the turn could not be taken, so nothing was injected: %v", err)
			}
		})
	})
	r.until(func() (bool, time.Time) {
		r.watchGuards(x)
		return answered || r.stopped != nil, time.Time{}
	})
	return r.stopped == nil && x.problem == "" && x.notDue == ""
}
