package run

import (
	"context"
	"slices"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/sdk/wire"
)

// observe measures what the fault does.
func (r *run) observe(s *step) {
	plugin, err := r.crew.alive(s.plan.Plugin)
	if err != nil {
		return // its death ends the run
	}
	f := s.fault
	f.observing = true
	began := time.Now()
	q := wire.Observe{Type: s.plan.Type, Config: s.plan.Full, Targets: f.undo}
	r.start(func() {
		ctx, cancel := context.WithTimeout(r.life, observeTimeout+r.slack(s.plan.Plugin))
		defer cancel()
		results, err := plugin.Observe(ctx, q)
		r.send(func() {
			f.observing, f.looked = false, true
			f.nextLook = time.Now().Add(max(lookEvery, lookShare*time.Since(began)))
			r.observed(s, results, err)
		})
	})
}

// observed records what is new: a target that bites, that has come back, or that
// cannot be measured. What was seen once a revert had begun, ours or the plugin's own,
// says nothing: a target that is back then did not come back by itself.
func (r *run) observed(s *step, results []wire.Observed, err error) {
	f := s.fault
	if err != nil {
		results = nil
		for _, u := range f.undo {
			results = append(results, wire.Observed{Target: u.Target, Err: err.Error(), At: time.Now().UTC()})
		}
	}
	over := s.state != active || r.doubtful(s)
	var news []journal.Effect
	for _, u := range f.undo {
		i := slices.IndexFunc(results, func(o wire.Observed) bool { return o.Target == u.Target })
		if i < 0 {
			continue
		}
		o := results[i]
		if f.ended[o.Target] || over && (o.Ended || !o.At.Before(f.reverting)) {
			continue
		}
		if o.Err != "" {
			if f.trouble[o.Target] != o.Err {
				f.trouble[o.Target] = o.Err
				news = append(news, effectOf(o))
			}
			continue
		}
		if seen, ok := f.bites[o.Target]; ok && o.Bites == seen && !o.Ended {
			continue
		}
		f.bites[o.Target] = o.Bites
		if o.Ended {
			f.ended[o.Target] = true
		}
		news = append(news, effectOf(o))
	}
	if len(news) > 0 {
		r.record(&journal.FaultObserved{ID: f.id, Effects: news})
	}
}

func effectOf(o wire.Observed) journal.Effect {
	return journal.Effect{Target: o.Target, Bites: o.Bites, Ended: o.Ended, Detail: o.Detail, Measures: o.Measures, At: o.At, Error: o.Err}
}
