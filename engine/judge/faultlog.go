package judge

import (
	"fmt"
	"math"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
)

// faultLog is what the journal says of one injection.
type faultLog struct {
	id         string
	name       string
	experiment string
	intent     *journal.FaultIntent
	intentAt   time.Time
	failed     *journal.FaultFailed
	ambiguous  *journal.FaultAmbiguous
	active     bool
	targets    []*targetLog
	cause      string
	reverted   bool   // at least one fault.reverted
	stuck      string // why a first attempt to put it back failed
}

type targetLog struct {
	id, name, kind string
	intended       bool
	injected       time.Time
	gone           bool
	injectError    string
	bites          bool
	firstBite      time.Time
	lastQuiet      time.Time // last measurement before the first bite
	effect         string
	measures       map[string]float64
	ended          time.Time
	observeError   string
	outcome        *journal.TargetOutcome // the last one
	outcomeSeq     int                    // its place in the journal
}

func (f *faultLog) target(id string) *targetLog {
	for _, t := range f.targets {
		if t.id == id {
			return t
		}
	}
	t := &targetLog{id: id, name: id}
	f.targets = append(f.targets, t)
	return t
}

func (f *faultLog) intend(at time.Time, e *journal.FaultIntent) {
	if f.intent != nil {
		return // ids are unique: a second intent is a copy of the first
	}
	f.intent, f.intentAt, f.name, f.experiment = e, at, e.Fault, e.Experiment
	for _, ti := range e.Targets {
		t := f.target(ti.ID)
		t.kind, t.intended = ti.Kind, true
		if ti.Name != "" {
			t.name = ti.Name
		}
	}
}

func (f *faultLog) inject(states []journal.TargetState) {
	for _, s := range states {
		t := f.target(s.ID)
		t.gone, t.injectError = s.Gone, s.Error
		if s.OK {
			t.injected = s.At
		}
	}
}

func (f *faultLog) observe(effects []journal.Effect) {
	for _, e := range effects {
		t := f.target(e.Target)
		switch {
		case e.Error != "":
			t.observeError = e.Error
		case e.Bites && !t.bites:
			t.bites, t.firstBite = true, e.At
			t.effect, t.measures = e.Detail, finite(e.Measures)
		case !e.Bites && !t.bites:
			t.lastQuiet = e.At
			t.effect, t.measures = e.Detail, finite(e.Measures)
		}
		if e.Ended && t.ended.IsZero() {
			t.ended = e.At
		}
	}
}

func (f *faultLog) revert(seq int, e *journal.FaultReverted) {
	f.reverted = true
	if f.cause == "" {
		f.cause = e.Cause
	}
	for i := range e.Targets {
		t := f.target(e.Targets[i].ID)
		if o := &e.Targets[i]; o.Outcome == journal.RevertFailed && f.stuck == "" {
			f.stuck = fmt.Sprintf("%s: %s", t.name, orElse(o.Error, "no reason given"))
		}
		t.outcome, t.outcomeSeq = &e.Targets[i], seq
	}
}

// bites says whether the fault had a measured effect on at least one target.
func (f *faultLog) bites() bool {
	for _, t := range f.targets {
		if t.bites {
			return true
		}
	}
	return false
}

// bit is when the fault was first seen to bite: after it was announced and after
// the last look that found nothing.
func (f *faultLog) bit() (from, to time.Time, ok bool) {
	for _, t := range f.targets {
		if t.bites && (!ok || t.firstBite.Before(to)) {
			from, to, ok = f.intentAt, t.firstBite, true
			if t.lastQuiet.After(from) {
				from = t.lastQuiet
			}
		}
	}
	return from, to, ok
}

// residue says why a target is not known to be back, or "" when it is.
func (t *targetLog) residue() string {
	switch o := t.outcome; {
	case o == nil && !t.intended:
		return ""
	case o == nil:
		return "the journal has no revert of it"
	case o.Outcome == journal.RevertFailed:
		return orElse(o.Error, "the revert failed")
	case o.Residue:
		return orElse(o.Error, "something of the fault may still be active")
	case o.Outcome != journal.Reverted && o.Outcome != journal.AlreadyGone && o.Outcome != journal.ForeignChange:
		return "its revert ended as " + orElse(string(o.Outcome), "nothing known")
	}
	return ""
}

// gone is when every target was verified to be back.
func (f *faultLog) gone() (time.Time, bool) {
	var last time.Time
	for _, t := range f.targets {
		if t.residue() != "" {
			return time.Time{}, false
		}
		if t.outcome != nil && t.outcome.At.After(last) {
			last = t.outcome.At
		}
	}
	return last, f.reverted && !last.IsZero()
}

// lastGone is when the last of the faults was verified gone, if all were.
func lastGone(faults []*faultLog) (time.Time, string, bool) {
	var last time.Time
	var name string
	for _, f := range faults {
		at, ok := f.gone()
		if !ok {
			return time.Time{}, "", false
		}
		if at.After(last) {
			last, name = at, f.name
		}
	}
	return last, name, !last.IsZero()
}

// result is the fault as a report shows it.
func (f *faultLog) result() Fault {
	r := Fault{ID: f.id, Name: f.name, Bites: f.bites(), Cause: f.cause, State: FaultOpen, Targets: []FaultTarget{}}
	if f.intent != nil {
		r.Type, r.Plugin, r.Hold = f.intent.Type, f.intent.Plugin, f.intent.Hold
		r.Config, r.Lease = f.intent.Config, f.intent.Lease.Seconds()
	}
	switch {
	case f.failed != nil:
		r.Error = f.failed.Error
	case f.ambiguous != nil:
		r.Error = f.ambiguous.Error
	}
	if f.reverted {
		r.State = FaultReverted
	}
	for _, t := range f.targets {
		ft := t.result()
		if ft.Residue && f.reverted {
			r.State = FaultResidue
		}
		if ft.Injected != nil && (r.Injected == nil || ft.Injected.Before(*r.Injected)) {
			r.Injected = ft.Injected
		}
		if ft.Reverted != nil && (r.Reverted == nil || ft.Reverted.After(*r.Reverted)) {
			r.Reverted = ft.Reverted
		}
		r.Targets = append(r.Targets, ft)
	}
	if r.Injected != nil && r.Reverted != nil {
		r.Active = max(r.Reverted.Sub(*r.Injected).Seconds(), 0)
	}
	return r
}

func (t *targetLog) result() FaultTarget {
	r := FaultTarget{
		ID: t.id, Name: t.name, Kind: t.kind, Injected: moment(t.injected), Gone: t.gone, Bites: t.bites,
		Effect: t.effect, Measures: t.measures, Ended: moment(t.ended), Residue: t.residue() != "",
		Error: t.injectError,
	}
	if o := t.outcome; o != nil {
		r.Outcome, r.By, r.Proof, r.Reverted = o.Outcome, o.By, o.Proof, moment(o.At)
		r.Error = orElse(o.Error, r.Error)
	}
	return r
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// finite drops measures that JSON cannot say.
func finite(m map[string]float64) map[string]float64 {
	var out map[string]float64
	for k, v := range m {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		if out == nil {
			out = make(map[string]float64, len(m))
		}
		out[k] = v
	}
	return out
}
