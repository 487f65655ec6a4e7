package run_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/sdk/wire"
)

// diary is a journal in memory that knows what of it is on disk, and can fail.
type diary struct {
	world *world

	mu     sync.Mutex
	events []journal.Event
	disk   int // so many events are on disk
	kept   int64

	// What a test can change; nil: all is well.
	onAppend  func(journal.Data) error
	onSync    func() error
	onReserve func(int64) error
}

func (d *diary) Append(data journal.Data) (journal.Event, error) {
	if d.onAppend != nil {
		if err := d.onAppend(data); err != nil {
			d.world.say("journal refuses %s", data.EventType())
			return journal.Event{}, err
		}
	}
	d.mu.Lock()
	e := journal.Event{Seq: int64(len(d.events) + 1), Time: time.Now().UTC(), Epoch: 1, Data: data}
	d.events = append(d.events, e)
	d.mu.Unlock()
	if text := inWords(data); text != "" {
		d.world.say("%s", text)
	}
	return e, nil
}

// Sync takes a millisecond, and puts on disk what was there when it began.
func (d *diary) Sync() error {
	if d.onSync != nil {
		if err := d.onSync(); err != nil {
			return err
		}
	}
	d.mu.Lock()
	n := len(d.events)
	d.mu.Unlock()
	_ = pass(d.world.t.Context(), time.Millisecond)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.disk = max(d.disk, n)
	return nil
}

func (d *diary) Reserve(size int64) error {
	if d.onReserve != nil {
		if err := d.onReserve(size); err != nil {
			return err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.kept = size
	return nil
}

func (d *diary) all() []journal.Event {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.events)
}

// mustKnow checks the first invariant: what is injected is on disk, with its undo
// records, and there is room for its end.
func (d *diary) mustKnow(q wire.Inject) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.events[:d.disk] {
		i, ok := e.Data.(*journal.FaultIntent)
		if !ok || i.ID != q.Lease.Fault {
			continue
		}
		for _, u := range q.Targets {
			if !slices.ContainsFunc(i.Targets, func(t journal.TargetIntent) bool { return t.ID == u.Target && string(t.Undo) == string(u.Undo) }) {
				d.world.t.Errorf("%s is injected into %s without an undo record on disk", i.ID, u.Target)
			}
		}
		if d.kept < 4096*int64(len(q.Targets)) {
			d.world.t.Errorf("%s is injected with only %d bytes of journal reserved", i.ID, d.kept)
		}
		return
	}
	d.world.t.Errorf("%s is injected and its intent is not on disk", q.Lease.Fault)
}

// inWords is an event as a line of a trace; empty for samples.
func inWords(data journal.Data) string {
	switch e := data.(type) {
	case *journal.RunStarted:
		return "run starts"
	case *journal.ExperimentStarted:
		return "experiment " + e.Experiment
	case *journal.PhaseStarted:
		return "phase " + string(e.Phase)
	case *journal.ExperimentEnded:
		return strings.TrimSuffix(fmt.Sprintf("experiment %s ends %s: %s", e.Experiment, e.Ending, e.Reason), ": ")
	case *journal.FaultIntent:
		return fmt.Sprintf("intent %s %s", e.ID, e.Fault)
	case *journal.FaultActive:
		return "active " + e.ID + states(e.Targets)
	case *journal.FaultFailed:
		return "failed " + e.ID + states(e.Targets) + ": " + e.Error
	case *journal.FaultAmbiguous:
		return "ambiguous " + e.ID + ": " + e.Error
	case *journal.FaultObserved:
		text := "observed " + e.ID
		for _, x := range e.Effects {
			text += fmt.Sprintf(" %s:%s", x.Target, x.Detail)
			switch {
			case x.Error != "":
				text += x.Error
			case x.Ended:
				text += "(ended)"
			case x.Bites:
				text += "(bites)"
			}
		}
		return text
	case *journal.FaultReverted:
		text := "reverted " + e.ID + " cause " + e.Cause
		for _, x := range e.Targets {
			text += fmt.Sprintf(" %s:%s by %s", x.ID, x.Outcome, x.By)
			if x.Residue {
				text += " RESIDUE " + x.Error
			}
		}
		return text
	case *journal.Residue:
		text := "scan " + e.When
		for _, f := range e.Findings {
			text += fmt.Sprintf(" %s:%s", f.Target, f.Detail)
		}
		if e.Error != "" {
			text += " error: " + e.Error
		}
		return text
	case *journal.PromptAsked:
		return fmt.Sprintf("prompt %s: %s [%s]", e.Prompt, e.Question, e.Default)
	case *journal.PromptAnswered:
		return fmt.Sprintf("prompt %s: %q by %s after %s", e.Prompt, e.Answer, e.By, e.Took.Round(time.Millisecond))
	case *journal.ActionDone:
		return strings.TrimSuffix(fmt.Sprintf("action %s done after %s: %s", e.Action, e.Took.Round(time.Millisecond), e.Error), ": ")
	case *journal.GuardTripped:
		return "guard " + e.Guard + ": " + e.Reason
	case *journal.EarlyStop:
		return fmt.Sprintf("early stop on %s with %d of %d bad", e.Objective, e.Bad, e.Samples)
	case *journal.Aborted:
		return "abort by " + e.Cause + ": " + e.Reason
	case *journal.Warning:
		return "warning: " + e.Text
	case *journal.RunEnded:
		return strings.TrimSuffix(fmt.Sprintf("run ends %s, exit %d: %s", e.Verdict, e.ExitCode, e.Error), ": ")
	default:
		return ""
	}
}

func states(all []journal.TargetState) string {
	text := ""
	for _, s := range all {
		switch {
		case s.Gone:
			text += " " + s.ID + ":gone"
		case s.OK:
			text += " " + s.ID + ":in"
		default:
			text += " " + s.ID + ":failed"
		}
	}
	return text
}
