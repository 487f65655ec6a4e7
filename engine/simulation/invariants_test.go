package simulation

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/engine/plan"
	"github.com/faultline-go/faultline/engine/recover"
	"github.com/faultline-go/faultline/sdk/wire"
)

// mustBeOnDisk is invariant 1: an undo record is on disk before its fault is injected.
// It looks at what would survive a power failure at this moment.
func (w *world) mustBeOnDisk(p *process, q wire.Inject) {
	if p.parent.isDead() {
		return
	}
	f := &faultFacts{run: q.Lease.Run, id: q.Lease.Fault, typ: q.Type, lease: q.TTL, duration: q.HardEnd - q.TTL}
	for _, t := range q.Targets {
		f.targets = append(f.targets, t.Target)
	}
	w.asked(f)
	if lost := w.putBackUnasked(f.run); lost != "" {
		w.violates("%s of %s is injected by an engine that has lost the lease of %s", f.id, f.run, lost)
	}
	if n := len(w.lampsOf(f.run, f.targets)); n > mostLamps && !w.fate.has(revertLies) {
		w.violates("invariant 4: with %s of %s there would be %d lamps broken at once", f.id, f.run, n)
	}
	w.say("the engine asks %s to inject %s of %s into %v", p.name, f.id, f.run, f.targets)
	s := w.storedOf(f.run)
	s.mu.Lock()
	synced := s.synced
	s.mu.Unlock()
	raw, err := os.ReadFile(filepath.Join(w.dir, "state", "runs", f.run, journal.FileName))
	if err != nil {
		w.violates("invariant 1: %s is injected without a journal: %v", f.id, err)
		return
	}
	for line := range bytes.Lines(raw[:min(synced, int64(len(raw)))]) {
		var e struct {
			Type string
			Data journal.FaultIntent
		}
		if kindOf(line) != "fault.intent" || json.Unmarshal(line, &e) != nil || e.Data.ID != f.id {
			continue
		}
		for _, u := range q.Targets {
			if !slices.ContainsFunc(e.Data.Targets, func(t journal.TargetIntent) bool { return t.ID == u.Target && bytes.Equal(t.Undo, u.Undo) }) {
				w.violates("invariant 1: %s is injected into %s without an undo record on disk", f.id, u.Target)
			}
		}
		return
	}
	w.violates("invariant 1: %s is injected and its intent is not on disk", f.id)
}

// lampsOf are the lamps on which a run acts, and these.
func (w *world) lampsOf(runID string, more []string) map[string]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[string]bool{}
	for name, l := range w.lamps {
		for _, e := range l.effects {
			if e.run == runID && !e.foreign {
				out[name] = true
			}
		}
	}
	for _, name := range more {
		out[name] = true
	}
	return out
}

// putBackUnasked names a fault of a run that a plugin has put back because nobody held
// its lease any more.
func (w *world) putBackUnasked(runID string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.faults {
		if f.run == runID && !f.reverting.IsZero() && f.revertAsked.IsZero() {
			return f.id
		}
	}
	return ""
}

// check looks at the lamps and the journals when everything is over.
func (w *world) check(store *journal.Store, plans map[string]*plan.Plan) {
	said := map[string]bool{}
	for runID, p := range plans {
		said[runID] = w.checkRun(store, runID, p)
	}
	// Invariant 2: what is still broken is said to be.
	excused := w.fate.has(revertStuck) || w.fate.has(revertLies)
	for _, b := range w.broken() {
		runID, _, _ := bytes.Cut([]byte(b), []byte("/"))
		switch {
		case !said[string(runID)]:
			w.violates("invariant 2: %s is still broken, and nothing says so", b)
		case !excused:
			w.violates("invariant 2: %s is still broken, and there is no reason for it", b)
		}
	}
	w.checkReverts()
}

// checkRun returns whether the run says that something is left of it.
func (w *world) checkRun(store *journal.Store, runID string, p *plan.Plan) bool {
	info, err := store.Run(runID)
	if err != nil {
		return false // it never began
	}
	log, err := journal.ReadAll(store.RunDir(runID))
	if err != nil {
		if !w.touched(runID) {
			return false // it died before its journal was there
		}
		w.violates("the journal of %s cannot be read: %v", runID, err)
		return false
	}
	if len(log.Events) == 0 {
		if w.touched(runID) {
			w.violates("%s broke something, and its journal is empty", runID)
		}
		return false
	}
	result, err := judge.FoldEvents(log.Events)
	if err != nil {
		w.violates("%s cannot be judged: %v", runID, err)
		return false
	}
	if !info.Finished {
		w.violates("invariant 2: %s has no end", runID)
	}
	said := len(result.Residue) > 0
	blind := lastScanFailed(log.Events)
	if said && result.Verdict != judge.Residue {
		w.violates("invariant 2: %s left something and is judged %s", runID, result.Verdict)
	}
	if open := recover.Open(log.Events); len(open) > 0 && !said {
		w.violates("invariant 2: %s has %d open faults and says nothing", runID, len(open))
	}
	w.checkTargets(runID, p)
	w.checkHeld(runID, result)
	w.happens("a run ends " + string(result.Verdict))
	return said || blind
}

// lastScanFailed says whether the run says itself that nobody could look.
func lastScanFailed(events []journal.Event) (failed bool) {
	for _, e := range events {
		if r, ok := e.Data.(*journal.Residue); ok && r.When != "before" {
			failed = r.Error != ""
		}
	}
	return failed
}

func (w *world) touched(runID string) bool {
	for _, f := range w.faults {
		if f.run == runID && !f.on.IsZero() {
			return true
		}
	}
	return false
}

// checkTargets is invariant 4: only what was planned is touched.
func (w *world) checkTargets(runID string, p *plan.Plan) {
	planned := map[string]bool{}
	for _, e := range p.Experiments {
		for _, s := range e.Steps {
			for _, t := range s.Targets {
				planned[s.Type+" "+t.ID] = true
			}
		}
	}
	for _, f := range w.faults {
		for _, t := range f.targets {
			if f.run == runID && !planned[f.typ+" "+t] {
				w.violates("invariant 4: %s did %s to %s, which was not planned", runID, f.typ, t)
			}
		}
	}
}

// checkHeld is invariant 5: held never comes from missing data, nor from a fault that
// never was.
func (w *world) checkHeld(runID string, r *judge.Result) {
	for _, e := range r.Experiments {
		if e.Verdict != judge.Held {
			continue
		}
		for _, o := range e.Objectives {
			if o.Judged && (o.N == 0 || float64(o.Missing) > 0.05*float64(o.N+o.Missing)) {
				w.violates("invariant 5: %s held with %d samples and %d missing %s", e.Name, o.N, o.Missing, o.Phase)
			}
		}
		bit := slices.ContainsFunc(e.Faults, func(f judge.Fault) bool {
			facts := w.faults[runID+"/"+f.ID]
			return facts != nil && !facts.on.IsZero()
		})
		if !bit && !w.fate.has(observeLies) {
			w.violates("invariant 5: %s held, and nothing was ever broken", e.Name)
		}
	}
}

// slack is how much later than duration + lease a revert may start when all goes well:
// a plugin whose injection does not stop is given 2 s, one that does not answer is
// killed after 3 s, one is started within 0.1 s, a guardian waits for 1 s.
const slack = 4 * time.Second

// checkReverts is invariants 3 and 6: each fault's revert starts in time, whatever
// becomes of the others; as far as there was anybody left to do it.
func (w *world) checkReverts() {
	if w.happened[nobodyLeft] > 0 || w.fate.has(powerFails) || w.fate.has(restartFails) {
		return
	}
	allowed := slack
	for _, t := range []trouble{pluginDies, pluginHangs, engineSleeps, acksAreLost, answersLate} {
		if w.fate.has(t) {
			allowed += slack
		}
	}
	for _, f := range w.faults {
		if f.on.IsZero() {
			continue
		}
		if died := w.engineDiedAt; w.promise > 0 && !died.IsZero() {
			due := died.Add(w.promise)
			if f.ended.IsZero() || f.ended.After(due) {
				if f.reverting.IsZero() || f.reverting.After(due) {
					w.violates("the table: the revert of %s starts %s after its engine died", f.id, f.reverting.Sub(died))
				}
			}
		}
		latest := f.asked.Add(f.duration + f.lease + allowed)
		if f.on.After(latest) {
			latest = f.on.Add(allowed)
		}
		if !f.ended.IsZero() && f.ended.Before(latest) {
			continue
		}
		if f.reverting.IsZero() || f.reverting.After(latest) {
			w.violates("invariant 3: the revert of %s of %s starts %s after it was asked for", f.id, f.run, f.reverting.Sub(f.asked))
		}
	}
}
