package judge

import (
	"time"

	"github.com/faultline-go/faultline/engine/journal"
)

// Instant is a moment that is known as an interval: not yet at From, so at To. The
// distance is the resolution. Where it was not seen, Until is how long was looked.
type Instant struct {
	Seen       bool       `json:"seen"`
	From       *time.Time `json:"from,omitempty"`
	To         *time.Time `json:"to,omitempty"`
	Resolution float64    `json:"resolution_s,omitempty"`
	Until      *time.Time `json:"until,omitempty"`
	Where      string     `json:"where,omitempty"` // objective, fault or mark
}

// Span is a length between two instants, in seconds, as an interval. A censored
// one is at least Min: its end was not seen.
type Span struct {
	Known    bool    `json:"known"`
	Min      float64 `json:"min_s"`
	Max      float64 `json:"max_s,omitempty"`
	Censored bool    `json:"censored,omitempty"`
}

// Times are the moments of an experiment and the lengths between them.
type Times struct {
	Bites     Instant `json:"t0_bites"`     // the fault was seen to bite
	Broke     Instant `json:"t1_broke"`     // a steady state was first broken
	Detected  Instant `json:"t2_detected"`  // somebody or something said so
	Mitigated Instant `json:"t3_mitigated"` // somebody said so: users are no longer hurt
	Gone      Instant `json:"t4_gone"`      // the last fault was verified gone
	Steady    Instant `json:"t5_steady"`    // every steady state is back, to stay

	ToImpact   Span   `json:"to_impact"`   // t1 − t0
	ToDetect   Span   `json:"to_detect"`   // t2 − t1
	ToMitigate Span   `json:"to_mitigate"` // t3 − t1
	ToRecover  Span   `json:"to_recover"`  // t5 − t1 while the fault was on, else t5 − t4
	Recovered  string `json:"recovered,omitempty"`
}

// The values of Times.Recovered.
const (
	WhileFaultOn  = "while_fault_on"
	AfterFaultOff = "after_fault_off"
)

func seen(from, to time.Time, where string) Instant {
	if from.After(to) {
		from = to
	}
	from, to = from.UTC(), to.UTC()
	return Instant{Seen: true, From: &from, To: &to, Resolution: to.Sub(from).Seconds(), Where: where}
}

func notSeen(until time.Time) Instant {
	if until.IsZero() {
		return Instant{}
	}
	until = until.UTC()
	return Instant{Until: &until}
}

// between is the length from one instant to another. It is not known without its
// beginning, and censored without its end.
func between(a, b Instant) Span {
	switch {
	case !a.Seen:
		return Span{}
	case b.Seen:
		return Span{Known: true, Min: max(b.From.Sub(*a.To).Seconds(), 0), Max: max(b.To.Sub(*a.From).Seconds(), 0)}
	case b.Until != nil:
		return Span{Known: true, Min: max(b.Until.Sub(*a.To).Seconds(), 0), Censored: true}
	}
	return Span{}
}

// trackers follow one objective through during and after, each with the target
// that counts there.
type trackers struct {
	objective     string
	during, after *Steady // nil: no such phase
}

// broke is when the objective first broke.
func (t trackers) broke() (from, to time.Time, ok bool) {
	for _, s := range []*Steady{t.during, t.after} {
		if s == nil {
			continue
		}
		if from, to, ok = s.Broke(); ok {
			return from, to, true
		}
	}
	return from, to, false
}

// steady is since when the objective is steady again: since a moment of during
// only if after has never broken it again.
func (t trackers) steady() (from, to time.Time, ok bool) {
	if t.during != nil {
		if from, to, ok = t.during.SinceInterval(); ok {
			if t.after == nil {
				return from, to, true
			}
			if _, _, again := t.after.Broke(); !again {
				return from, to, true
			}
		}
	}
	if t.after == nil {
		return from, to, false
	}
	return t.after.SinceInterval()
}

// timesOf derives the moments of an experiment. until is how long was looked.
func timesOf(faults []*faultLog, marks []Mark, all []trackers, spans []PhaseSpan, until time.Time) Times {
	var t Times
	t.Bites, t.Gone = notSeen(until), notSeen(until)
	for _, f := range faults {
		if from, to, ok := f.bit(); ok && (!t.Bites.Seen || to.Before(*t.Bites.To)) {
			t.Bites = seen(from, to, f.name)
		}
	}
	if at, name, ok := lastGone(faults); ok {
		t.Gone = seen(at, at, name)
	}
	if len(faults) == 0 {
		t.Bites, t.Gone = Instant{}, Instant{}
	}
	during, ok := spanOf(spans, journal.During)
	if !ok {
		return t
	}
	t.Broke = notSeen(until)
	for _, tr := range all {
		if from, to, ok := tr.broke(); ok && (!t.Broke.Seen || to.Before(*t.Broke.To)) {
			t.Broke = seen(from, to, tr.objective)
		}
	}
	t.Detected = marked(marks, MarkDetected, during.From, until)
	t.Mitigated = marked(marks, MarkMitigated, during.From, until)
	t.ToImpact = between(t.Bites, t.Broke)
	if !t.Broke.Seen {
		t.Steady, t.Detected, t.Mitigated = Instant{}, onlySeen(t.Detected), onlySeen(t.Mitigated)
		return t
	}
	t.Steady = steadyAgain(all, until)
	t.ToDetect = between(t.Broke, t.Detected)
	t.ToMitigate = between(t.Broke, t.Mitigated)
	t.Recovered, t.ToRecover = AfterFaultOff, between(t.Gone, t.Steady)
	if !t.Gone.Seen || t.Steady.Seen && t.Steady.To.Before(*t.Gone.To) || t.Broke.To.After(*t.Gone.To) {
		t.ToRecover = between(t.Broke, t.Steady)
		if t.Steady.Seen && (!t.Gone.Seen || t.Steady.To.Before(*t.Gone.To)) {
			t.Recovered = WhileFaultOn
		}
	}
	if !t.Steady.Seen || len(faults) == 0 {
		t.Recovered = ""
	}
	return t
}

// The marks that are moments of an experiment.
const (
	MarkDetected  = "detected"
	MarkMitigated = "mitigated"
	MarkNote      = "note" // anything worth remembering
)

// marked is when somebody first said so, from a moment up to another.
func marked(marks []Mark, what string, from, until time.Time) Instant {
	for _, m := range marks {
		if m.What == what && !m.At.Before(from) && !m.At.After(until) {
			return seen(m.At, m.At, m.By)
		}
	}
	return notSeen(until)
}

// onlySeen keeps what was marked and drops a search for it: where nothing broke there
// was nothing to detect.
func onlySeen(i Instant) Instant {
	if i.Seen {
		return i
	}
	return Instant{}
}

// steadyAgain is when the last of the objectives that broke was steady again.
func steadyAgain(all []trackers, until time.Time) Instant {
	var last Instant
	for _, tr := range all {
		if _, _, broke := tr.broke(); !broke {
			continue
		}
		from, to, ok := tr.steady()
		if !ok {
			i := notSeen(until)
			i.Where = tr.objective
			return i
		}
		if !last.Seen || to.After(*last.To) {
			last = seen(from, to, tr.objective)
		}
	}
	return last
}
