package run

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/plan"
	"github.com/faultline-go/faultline/engine/scenario"
	"github.com/faultline-go/faultline/sdk/schema"
	"github.com/faultline-go/faultline/sdk/wire"
)

// Progress is a batch of samples as it comes in.
type Progress struct {
	Experiment string
	Probe      string
	Samples    []schema.Sample
	Good       map[string]string // as in journal.Samples
	Guards     []GuardState      // of the guards on this probe, after the batch
}

const (
	// journalEvery is how long samples wait to be written together: a line a batch
	// would be twenty a second and probe.
	journalEvery = 500 * time.Millisecond
	// straggle is how much longer than a sample's timeout its batch may take.
	straggle = time.Second
	// probeLead is how far ahead the first sample is scheduled.
	probeLead = 5 * time.Millisecond
)

// stream is a probe that runs. Its samples are written once all that were scheduled
// before them have come: whatever ends the measuring then leaves out the slow and the
// fast alike, and not only the slow.
type stream struct {
	probe    plan.Probe
	uses     []plan.Objective // of the experiment, on this probe
	complete time.Time        // every sample scheduled before has come
	given    time.Time        // samples scheduled before are no longer waited for, nor taken
	failed   bool
	ahead    []judged // scheduled at complete or later

	pending journal.Samples // not written yet
	since   time.Time       // of the first pending one
}

// judged is a sample as the objectives of the stream see it.
type judged struct {
	schema.Sample
	letters string // one for each of stream.uses
}

// startProbes starts what the experiment's objectives and the guards look at, all
// with the same first scheduled time.
func (r *run) startProbes(x *experiment) {
	x.measuring, x.stopMeasuring = context.WithCancel(r.life)
	x.began = time.Now().Add(probeLead)
	x.streams = map[string]*stream{}
	for _, p := range r.Plan.Probes {
		s := &stream{probe: p}
		for _, o := range x.plan.Objectives {
			if o.Probe == p.Name {
				s.uses = append(s.uses, o)
			}
		}
		guarded := false
		for _, g := range r.Plan.Guards {
			guarded = guarded || g.Probe == p.Name
		}
		if len(s.uses) == 0 && !guarded {
			continue
		}
		x.streams[p.Name] = s
		r.startProbe(x, s)
	}
}

func (r *run) startProbe(x *experiment, s *stream) {
	plugin, err := r.crew.alive(s.probe.Plugin)
	if err != nil {
		r.fail(err.Error())
		return
	}
	q := wire.Probe{Type: s.probe.Type, Config: s.probe.Full, Interval: s.probe.Interval, Timeout: s.probe.Timeout, Start: x.began}
	r.start(func() {
		err := plugin.Probe(x.measuring, q, func(b wire.Batch) error {
			r.send(func() { r.samples(x, s, b) })
			return nil
		})
		if x.measuring.Err() != nil || !r.outlives(plugin) {
			return
		}
		r.send(func() {
			if x.over {
				return
			}
			s.failed = true
			why := "it ended by itself"
			if err != nil {
				why = err.Error()
			}
			r.fail("probe " + s.probe.Name + " failed: " + why)
		})
	})
}

// samples takes in a batch: each objective's condition is evaluated once a sample.
func (r *run) samples(x *experiment, s *stream, b wire.Batch) {
	if x.over {
		return
	}
	fresh := b.Samples
	if !s.given.IsZero() {
		fresh = slices.DeleteFunc(slices.Clone(fresh), func(a schema.Sample) bool { return a.Scheduled.Before(s.given) })
	}
	r.take(x, s, fresh)
	s.complete = later(s.complete, b.Complete)
	s.release()
	if !s.since.IsZero() && time.Since(s.since) >= journalEvery {
		r.flush(s)
	}
}

// take judges samples and hands them to whatever decides with them.
func (r *run) take(x *experiment, s *stream, samples []schema.Sample) {
	if len(samples) == 0 {
		return
	}
	columns := make([][]byte, len(s.uses))
	good := make(map[string]string, len(s.uses))
	for u, o := range s.uses {
		columns[u] = make([]byte, len(samples))
		for i := range samples {
			columns[u][i] = answerLetter(o.Good.Eval(&samples[i]))
			x.feed(o.Name, samples[i].Scheduled, columns[u][i])
		}
		good[o.Name] = string(columns[u])
	}
	for _, g := range x.guards {
		if g.Probe == s.probe.Name {
			g.take(samples)
		}
	}
	for i, a := range samples {
		letters := make([]byte, len(columns))
		for u := range columns {
			letters[u] = columns[u][i]
		}
		s.ahead = append(s.ahead, judged{a, string(letters)})
	}
	if r.Progress != nil {
		r.Progress(Progress{Experiment: x.plan.Spec.Name, Probe: s.probe.Name, Samples: samples, Good: good, Guards: x.guardStates(s.probe.Name)})
	}
}

// giveUp makes samples that should have come by now, and no longer can, missing.
func (r *run) giveUp(x *experiment, s *stream, until time.Time) {
	came := map[int64]bool{}
	slot := func(t time.Time) int64 {
		return int64(t.Sub(x.began)+s.probe.Interval/2) / int64(s.probe.Interval)
	}
	for _, a := range s.ahead {
		came[slot(a.Scheduled)] = true
	}
	var lost []schema.Sample
	for n := slot(later(s.complete, x.began)); ; n++ {
		at := x.began.Add(time.Duration(n) * s.probe.Interval)
		if !at.Before(until) {
			break
		}
		if !at.Before(s.complete) && !came[n] {
			lost = append(lost, schema.Sample{Scheduled: at, Status: schema.Missing, Latency: math.NaN(), Value: math.NaN(), Error: "the probe gave no answer"})
		}
	}
	r.take(x, s, lost)
	s.complete, s.given = until, until
	s.release()
}

// release lets the samples be written that nothing earlier can precede any more.
func (s *stream) release() {
	var ready []judged
	s.ahead = slices.DeleteFunc(s.ahead, func(a judged) bool {
		if !a.Scheduled.Before(s.complete) {
			return false
		}
		ready = append(ready, a)
		return true
	})
	slices.SortStableFunc(ready, func(a, b judged) int { return a.Scheduled.Compare(b.Scheduled) })
	s.keep(ready)
}

func answerLetter(a scenario.Answer) byte {
	switch a {
	case scenario.Yes:
		return journal.GoodYes
	case scenario.No:
		return journal.GoodNo
	default:
		return journal.GoodMissing
	}
}

// keep adds samples to those that wait to be written.
func (s *stream) keep(samples []judged) {
	if len(samples) == 0 {
		return
	}
	p := &s.pending
	if len(p.Offset) == 0 {
		s.since = time.Now()
		*p = journal.Samples{Probe: s.probe.Name, Start: samples[0].Scheduled, Good: map[string]string{}}
	}
	status := make([]byte, len(samples))
	values := make([]*float64, len(samples))
	valued := false
	for i, x := range samples {
		p.Offset = append(p.Offset, x.Scheduled.Sub(p.Start).Microseconds())
		p.Latency = append(p.Latency, micros(x.Latency))
		status[i] = statusLetter(x.Status)
		if !math.IsNaN(x.Value) && !math.IsInf(x.Value, 0) {
			values[i], valued = &samples[i].Value, true
		}
		if x.Error != "" {
			if p.Errors == nil {
				p.Errors = map[string]int{}
			}
			p.Errors[x.Error]++
		}
	}
	if valued && p.Value == nil {
		p.Value = make([]*float64, len(p.Status))
	}
	if p.Value != nil {
		p.Value = append(p.Value, values...)
	}
	p.Status += string(status)
	letters := make([]byte, len(samples))
	for u, o := range s.uses {
		for i := range samples {
			letters[i] = samples[i].letters[u]
		}
		p.Good[o.Name] += string(letters)
	}
}

func micros(seconds float64) int64 {
	if math.IsNaN(seconds) || seconds < 0 {
		return -1
	}
	return int64(seconds * 1e6)
}

func statusLetter(s schema.Status) byte {
	switch s {
	case schema.OK:
		return journal.StatusOK
	case schema.Failed:
		return journal.StatusFailed
	default:
		return journal.StatusMissing
	}
}

// flush writes what waits.
func (r *run) flush(s *stream) {
	if len(s.pending.Offset) == 0 {
		return
	}
	batch := s.pending
	s.pending, s.since = journal.Samples{}, time.Time{}
	r.record(&batch)
}

func (r *run) flushAll(x *experiment) {
	for _, s := range x.streams {
		r.flush(s)
	}
}

// stopProbes ends measuring; what was scheduled before the experiment's end has
// been waited for.
func (r *run) stopProbes(x *experiment) {
	if x.stopMeasuring == nil {
		return
	}
	r.flushAll(x)
	x.over = true
	x.stopMeasuring()
}

// measured says whether every sample scheduled before a time has come; those that can
// no longer come are missing from then on. again is when to look again if nothing
// happens.
func (r *run) measured(x *experiment, until time.Time) (ok bool, again time.Time) {
	now := time.Now()
	if now.Before(until) {
		return false, until
	}
	ok = true
	for _, s := range x.streams {
		if s.failed || !s.complete.Before(until) {
			continue
		}
		last := until.Add(s.probe.Timeout + straggle)
		if now.Before(last) {
			ok = false
			if again.IsZero() || last.Before(again) {
				again = last
			}
			continue
		}
		r.giveUp(x, s, until)
	}
	return ok, again
}
