package run

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/plan"
	"github.com/faultline-go/faultline/engine/scenario"
	"github.com/faultline-go/faultline/sdk/wire"
)

const scanTimeout = 30 * time.Second

// scan asks every plugin that has faults in the plan what of ours is still there.
// Before a run there must be nothing. After it, the undo records of every fault that
// was announced say what to look at.
func (r *run) scan(when string) error {
	known := map[string][]wire.Known{}
	for _, s := range r.announced {
		known[s.plan.Plugin] = append(known[s.plan.Plugin], wire.Known{Type: s.plan.Type, Fault: s.fault.id, Targets: s.fault.undo})
	}
	found := map[string][]wire.Finding{}
	failed := map[string]error{}
	pending := 0
	for _, name := range r.crew.names() {
		if !r.hasFaults(name) {
			continue
		}
		pending++
		r.start(func() {
			ctx, cancel := context.WithTimeout(r.life, scanTimeout+r.slack(name))
			defer cancel()
			plugin, err := r.crew.living(ctx, name)
			var got []wire.Finding
			if err == nil {
				got, err = plugin.Scan(ctx, known[name])
			}
			r.send(func() {
				pending--
				found[name] = got
				if err != nil {
					failed[name] = fmt.Errorf("plugin %s: %w", name, err)
				}
			})
		})
	}
	r.until(func() (bool, time.Time) { return pending == 0, time.Time{} })

	residue := &journal.Residue{When: when, Findings: []journal.Finding{}}
	var errs []error
	for _, name := range r.crew.names() {
		for _, f := range found[name] {
			residue.Findings = append(residue.Findings, journal.Finding{Plugin: name, Fault: f.Fault, Target: f.Target, Kind: f.Kind, Detail: f.Detail})
		}
		errs = append(errs, failed[name])
	}
	err := errors.Join(errs...)
	if err != nil {
		residue.Error = err.Error()
	}
	r.record(residue)
	if len(residue.Findings) > 0 {
		f := residue.Findings[0]
		return fmt.Errorf("%w: %s: %s", ErrResidue, f.Target, f.Detail)
	}
	return err
}

// hasFaults says whether the plan has a fault of that plugin.
func (r *run) hasFaults(plugin string) bool {
	for _, e := range r.Plan.Experiments {
		if slices.ContainsFunc(e.Steps, func(s plan.Step) bool { return s.Kind == scenario.FaultStep && s.Plugin == plugin }) {
			return true
		}
	}
	return false
}
