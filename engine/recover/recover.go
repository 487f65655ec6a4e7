package recover

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/sdk/wire"
)

// Plugin is what recovery needs of a running plugin.
type Plugin interface {
	Revert(context.Context, wire.Revert) ([]wire.Reverted, error)
	Scan(context.Context, []wire.Known) ([]wire.Finding, error)
	Close(context.Context) error
}

// Options of Run.
type Options struct {
	Store *journal.Store
	// Start starts the very binary that the run used, configured for the run.
	Start func(ctx context.Context, used journal.PluginUsed, run, runDir string) (Plugin, error)
	By    string // who recovers, for the journal: "recover" or "guardian"
	PID   int
	// Patience bounds the revert of one fault; 0: DefaultPatience.
	Patience time.Duration
}

// DefaultPatience is the default of Options.Patience.
const DefaultPatience = time.Minute

// Result is what recovery of a run did.
type Result struct {
	Run      string            `json:"run"`
	Faults   []FaultResult     `json:"faults"`
	Findings []journal.Finding `json:"findings,omitempty"`
	Residue  int               `json:"residue,omitempty"` // what is left, as judged from the whole journal
	Error    string            `json:"error,omitempty"`   // the run could not be recovered at all
	Taken    bool              `json:"-"`                 // because somebody else has it
}

// FaultResult is what became of one fault.
type FaultResult struct {
	ID      string                  `json:"id"`
	Fault   string                  `json:"fault"`
	Targets []journal.TargetOutcome `json:"targets"`
}

// Clean says whether nothing is left of the run.
func (r Result) Clean() bool {
	if r.Error != "" || len(r.Findings) > 0 || r.Residue > 0 {
		return false
	}
	for _, f := range r.Faults {
		if slices.ContainsFunc(f.Targets, func(t journal.TargetOutcome) bool { return t.Residue }) {
			return false
		}
	}
	return true
}

// Run undoes what a run left, verifies, scans, and writes it all into the run's own
// journal. A fault that cannot be undone never stops or delays the others. The error
// says that the run could not be taken over; what could not be undone is in the
// result. A run that left nothing is not touched.
func Run(ctx context.Context, o Options, run string) (Result, error) {
	info, err := o.Store.Run(run)
	if err != nil || !info.Live && settled(info) {
		return Result{Run: run}, err
	}
	result, err := takeOver(ctx, o, run, endedClean)
	if errors.Is(err, errOver) {
		err = nil
	}
	return result, err
}

// errOver says that whoever held the run before has brought it to its end.
var errOver = errors.New("the run is over")

// takeOver takes a run's lock, and recovers the run unless over says that there is
// nothing to do. It is asked with the lock held: while somebody else holds it, what the
// journal says is not the last word.
func takeOver(ctx context.Context, o Options, run string, over func([]journal.Event) bool) (Result, error) {
	if o.Patience == 0 {
		o.Patience = DefaultPatience
	}
	result := Result{Run: run}
	w, err := o.Store.TakeOver(run)
	if err != nil {
		return result, err
	}
	defer w.Close()
	log, err := journal.ReadAll(w.Dir())
	if err != nil {
		return result, err
	}
	if len(log.Events) == 0 || over(log.Events) {
		return result, errOver
	}
	r := &recovery{Options: o, ctx: ctx, run: run, journal: w, begin: started(log.Events), folder: judge.NewFolder()}
	r.crew = newCrew(r.start)
	defer r.crew.close(ctx)
	for _, e := range log.Events {
		r.folder.Add(e)
		if x, ok := e.Data.(*journal.RunEnded); ok {
			r.ended = x
		}
	}
	r.record(&journal.Takeover{By: o.By, PID: o.PID, Why: r.why()})
	result.Faults, result.Findings = r.undoAll(begun(log.Events), strays(log.Events))
	result.Residue = r.end()
	if r.failed != nil {
		return result, r.failed
	}
	return result, w.Sync()
}

// strays names the plugins whose scans have found something, whatever it was.
func strays(events []journal.Event) []string {
	var names []string
	for _, e := range events {
		if d, ok := e.Data.(*journal.Residue); ok && d.When != "before" {
			for _, f := range d.Findings {
				names = append(names, f.Plugin)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// recovery is the state of one Run. One goroutine has it; undo and what it calls may
// be called by others.
type recovery struct {
	Options
	ctx     context.Context
	run     string
	journal *journal.Writer
	begin   *journal.RunStarted // nil: the journal does not have it
	crew    *crew

	folder *judge.Folder
	ended  *journal.RunEnded // the run's end before this recovery, if it had one
	failed error             // failures to write the journal
}

func (r *recovery) why() string {
	text := "the journal has no end"
	if r.ended != nil {
		text = "the run left residue"
	}
	// TakeOver has put a torn last line there.
	if _, err := os.Stat(filepath.Join(r.journal.Dir(), fmt.Sprintf("torn-%d", r.journal.Epoch()))); err == nil {
		text += "; " + journal.ErrTorn.Error()
	}
	return text
}

// record writes an event. A journal that cannot be written stops no undo.
func (r *recovery) record(d journal.Data) {
	e, err := r.journal.Append(d)
	if err != nil {
		r.failed = errors.Join(r.failed, err)
		e = journal.Event{Time: time.Now().UTC(), Epoch: r.journal.Epoch(), Data: d}
	}
	r.folder.Add(e)
}

// start starts the plugin that the run used.
func (r *recovery) start(name string) (Plugin, error) {
	if r.begin == nil {
		return nil, errors.New("the journal does not say which plugins the run used")
	}
	i := slices.IndexFunc(r.begin.Plugins, func(u journal.PluginUsed) bool { return u.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("the journal does not say which plugin %s the run used", name)
	}
	p, err := r.Start(r.ctx, r.begin.Plugins[i], r.run, r.journal.Dir())
	if err != nil {
		return nil, fmt.Errorf("start plugin %s: %w", name, err)
	}
	return p, nil
}

// undoAll reverts what is open, waits for what may still take effect, looks at
// everything that the run ever began, and reverts once more what is found: what was
// put back before the engine died was looked at by nobody since.
func (r *recovery) undoAll(all []Fault, strays []string) ([]FaultResult, []journal.Finding) {
	began := time.Now()
	open := slices.DeleteFunc(slices.Clone(all), func(f Fault) bool { return len(f.Open) == 0 })
	results := r.revertAll(open)
	var late time.Duration
	for _, f := range open {
		if f.Unanswered {
			late = max(late, f.settleTime(r.begin))
		}
	}
	pause(r.ctx, late-time.Since(began))
	findings := r.scan(all, strays)
	again := stillThere(all, findings)
	if len(again) == 0 {
		return results, findings
	}
	for _, later := range r.revertAll(again) {
		i := slices.IndexFunc(results, func(x FaultResult) bool { return x.ID == later.ID })
		if i < 0 {
			results = append(results, later)
			continue
		}
		results[i].merge(later)
	}
	return results, r.scan(all, strays)
}

// stillThere picks the targets that a scan has found.
func stillThere(all []Fault, findings []journal.Finding) []Fault {
	found := slices.Clone(all)
	for i := range found {
		found[i].Open = nil
	}
	reopen(found, findings)
	return slices.DeleteFunc(found, func(f Fault) bool { return len(f.Open) == 0 })
}

// merge takes what a second attempt has brought.
func (f *FaultResult) merge(later FaultResult) {
	for _, o := range later.Targets {
		i := slices.IndexFunc(f.Targets, func(x journal.TargetOutcome) bool { return x.ID == o.ID })
		if i < 0 {
			f.Targets = append(f.Targets, o)
			continue
		}
		f.Targets[i] = o
	}
}

// revertAll reverts faults, all at once: reverts commute. Each is recorded as soon as
// it is through.
func (r *recovery) revertAll(open []Fault) []FaultResult {
	type done struct {
		i int
		e *journal.FaultReverted
	}
	through := make(chan done)
	for i, f := range open {
		go func() { through <- done{i, r.undo(f)} }()
	}
	results := make([]FaultResult, len(open))
	for range open {
		d := <-through
		r.record(d.e)
		results[d.i] = FaultResult{ID: d.e.ID, Fault: open[d.i].Intent.Fault, Targets: d.e.Targets}
	}
	return results
}

// undo reverts one fault.
func (r *recovery) undo(f Fault) *journal.FaultReverted {
	results, err := r.revert(f)
	e := &journal.FaultReverted{ID: f.Intent.ID, Cause: "recover"}
	for _, t := range f.Open {
		o := journal.TargetOutcome{ID: t.ID, Outcome: journal.RevertFailed, By: r.By, Residue: true, At: time.Now().UTC()}
		i := slices.IndexFunc(results, func(x wire.Reverted) bool { return x.Target == t.ID })
		switch {
		case i >= 0:
			x := results[i]
			o = journal.TargetOutcome{
				ID: t.ID, Outcome: journal.Outcome(x.Outcome), By: x.By, Proof: x.Proof,
				Residue: x.Residue || x.Outcome == wire.OutcomeFailed, Error: x.Err, At: x.At,
			}
		case err != nil:
			o.Error = err.Error()
		default:
			o.Error = "the plugin gave no answer"
		}
		e.Targets = append(e.Targets, o)
	}
	return e
}

func (r *recovery) revert(f Fault) ([]wire.Reverted, error) {
	p, err := r.crew.plugin(f.Intent.Plugin)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.ctx, r.Patience)
	defer cancel()
	return p.Revert(ctx, wire.Revert{
		Lease: wire.Lease{Run: r.run, Fault: f.Intent.ID, Epoch: r.journal.Epoch()},
		Type:  f.Intent.Type, By: r.By, Targets: f.Undos(), Again: f.Again,
	})
}

// scan looks for what is left of the run's faults, and of what earlier scans have
// found.
func (r *recovery) scan(all []Fault, strays []string) []journal.Finding {
	residue := &journal.Residue{When: "recover", Findings: []journal.Finding{}}
	known := map[string][]wire.Known{}
	for _, name := range strays {
		known[name] = nil
	}
	for _, f := range all {
		known[f.Intent.Plugin] = append(known[f.Intent.Plugin], wire.Known{Type: f.Intent.Type, Fault: f.Intent.ID, Targets: undosOf(f.Intent.Targets)})
	}
	var failed []error
	for _, name := range slices.Sorted(maps.Keys(known)) {
		found, err := r.scanOne(name, known[name])
		for _, f := range found {
			residue.Findings = append(residue.Findings, journal.Finding{Plugin: name, Fault: f.Fault, Target: f.Target, Kind: f.Kind, Detail: f.Detail})
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("plugin %s: %w", name, err))
		}
	}
	if err := errors.Join(failed...); err != nil {
		residue.Error = err.Error()
	}
	r.record(residue)
	return residue.Findings
}

func (r *recovery) scanOne(name string, known []wire.Known) ([]wire.Finding, error) {
	p, err := r.crew.plugin(name)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.ctx, r.Patience)
	defer cancel()
	return p.Scan(ctx, known)
}

// end closes the journal, and returns how much is left.
func (r *recovery) end() int {
	ended := &journal.RunEnded{By: r.By, Error: "the engine ended before the run did"}
	if r.ended != nil {
		ended.Error = r.ended.Error
	}
	r.folder.Add(journal.Event{Time: time.Now().UTC(), Epoch: r.journal.Epoch(), Data: ended})
	judged := r.folder.Result()
	ended.Verdict, ended.ExitCode, ended.Residue = string(judged.Verdict), judged.ExitCode, len(judged.Residue)
	r.record(ended)
	return ended.Residue
}
