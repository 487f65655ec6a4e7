package run

import (
	"context"
	"math"
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

// stream is a probe that runs.
type stream struct {
	probe    plan.Probe
	uses     []plan.Objective // of the experiment, on this probe
	complete time.Time        // every sample scheduled before has come
	failed   bool

	pending journal.Samples // not written yet
	since   time.Time       // of the first pending one
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
	plugin := r.plugins[s.probe.Plugin]
	q := wire.Probe{Type: s.probe.Type, Config: s.probe.Full, Interval: s.probe.Interval, Timeout: s.probe.Timeout, Start: x.began}
	r.start(func() {
		err := plugin.Probe(x.measuring, q, func(b wire.Batch) error {
			r.send(func() { r.samples(x, s, b) })
			return nil
		})
		r.send(func() {
			if x.measuring.Err() != nil {
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
	if b.Complete.After(s.complete) {
		s.complete = b.Complete
	}
	if len(b.Samples) == 0 || x.over {
		return
	}
	good := make(map[string]string, len(s.uses))
	letters := make([]byte, len(b.Samples))
	for _, o := range s.uses {
		for i := range b.Samples {
			letters[i] = answerLetter(o.Good.Eval(&b.Samples[i]))
			x.feed(o.Name, b.Samples[i].Scheduled, letters[i])
		}
		good[o.Name] = string(letters)
	}
	for i := range x.guards {
		if g := x.guards[i]; g.Probe == s.probe.Name {
			g.take(b.Samples)
		}
	}
	s.keep(b.Samples, good)
	if r.Progress != nil {
		r.Progress(Progress{Experiment: x.plan.Spec.Name, Probe: s.probe.Name, Samples: b.Samples, Good: good})
	}
	if time.Since(s.since) >= journalEvery {
		r.flush(s)
	}
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
func (s *stream) keep(samples []schema.Sample, good map[string]string) {
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
	for name, letters := range good {
		p.Good[name] += letters
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
	s.pending = journal.Samples{}
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

// measured says whether every sample scheduled before a time has come, or can no
// longer come. again is when to look again if nothing happens.
func (x *experiment) measured(until time.Time) (ok bool, again time.Time) {
	now := time.Now()
	for _, s := range x.streams {
		if s.failed || !s.complete.Before(until) {
			continue
		}
		last := until.Add(s.probe.Timeout + straggle)
		if now.Before(last) {
			return false, last
		}
	}
	return now.After(until), until
}
