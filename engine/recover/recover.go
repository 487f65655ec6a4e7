package recover

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
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

// Pending lists the runs that are not live and need recovery: unfinished ones, and
// finished ones that left residue. A run that died before its first event was on disk
// is not among them: an intent comes after that, so that nothing was broken.
func Pending(store *journal.Store) ([]journal.RunInfo, error) {
	runs, err := store.Runs()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(runs, func(r journal.RunInfo) bool {
		return r.Live || r.Finished && r.Residue == 0 || r.Err != nil && neverBegan(r)
	}), nil
}

func neverBegan(r journal.RunInfo) bool {
	log, err := journal.ReadAll(r.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	return err == nil && len(log.Events) == 0
}

// Result is what recovery of a run did.
type Result struct {
	Run      string            `json:"run"`
	Faults   []FaultResult     `json:"faults"`
	Findings []journal.Finding `json:"findings,omitempty"`
	Error    string            `json:"error,omitempty"` // the run could not be recovered at all
}

// FaultResult is what became of one fault.
type FaultResult struct {
	ID      string                  `json:"id"`
	Fault   string                  `json:"fault"`
	Targets []journal.TargetOutcome `json:"targets"`
}

// Clean says whether nothing is left of the run.
func (r Result) Clean() bool {
	if r.Error != "" || len(r.Findings) > 0 {
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
// journal. A fault that cannot be undone never stops the others. The error says
// that the run could not be taken over; what could not be undone is in the result.
func Run(ctx context.Context, o Options, run string) (Result, error) {
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
	r := &recovery{Options: o, ctx: ctx, run: run, journal: w, plugins: map[string]Plugin{}}
	defer r.close()
	folder := judge.NewFolder()
	for _, e := range log.Events {
		folder.Add(e)
	}
	r.folder = folder
	r.unfinished = folder.Result().Unfinished
	r.record(&journal.Takeover{By: o.By, PID: o.PID, Why: why(log)})
	begin := started(log.Events)
	open := Open(log.Events)
	for _, f := range open {
		result.Faults = append(result.Faults, r.undo(begin, f))
	}
	result.Findings = r.scan(begin, open)
	r.end(result)
	if r.failed != nil {
		return result, r.failed
	}
	return result, w.Sync()
}

func why(log *journal.Log) string {
	text := "the journal has no end"
	if n := len(log.Events); n > 0 {
		if _, ok := log.Events[n-1].Data.(*journal.RunEnded); ok {
			text = "the run left residue"
		}
	}
	if log.Torn != nil {
		text += "; " + log.Torn.Error()
	}
	return text
}

// recovery is the state of one Run.
type recovery struct {
	Options
	ctx     context.Context
	run     string
	journal *journal.Writer
	folder  *judge.Folder
	plugins map[string]Plugin
	failed  error // failures to write the journal

	unfinished bool // the run had no end before
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

// plugin returns the plugin that the run used, started when it is first needed.
func (r *recovery) plugin(begin *journal.RunStarted, name string) (Plugin, error) {
	if p := r.plugins[name]; p != nil {
		return p, nil
	}
	if begin == nil {
		return nil, errors.New("the journal does not say which plugins the run used")
	}
	for _, used := range begin.Plugins {
		if used.Name == name {
			p, err := r.Start(r.ctx, used, r.run, r.journal.Dir())
			if err != nil {
				return nil, fmt.Errorf("start plugin %s: %w", name, err)
			}
			r.plugins[name] = p
			return p, nil
		}
	}
	return nil, fmt.Errorf("the journal does not say which plugin %s the run used", name)
}

func (r *recovery) close() {
	for _, p := range r.plugins {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), 10*time.Second)
		_ = p.Close(ctx) // it has put back all it could; its end is forced otherwise
		cancel()
	}
}

// undo reverts one fault and records how it went.
func (r *recovery) undo(begin *journal.RunStarted, f Fault) FaultResult {
	results, err := r.revert(begin, f)
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
	r.record(e)
	return FaultResult{ID: f.Intent.ID, Fault: f.Intent.Fault, Targets: e.Targets}
}

func (r *recovery) revert(begin *journal.RunStarted, f Fault) ([]wire.Reverted, error) {
	p, err := r.plugin(begin, f.Intent.Plugin)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.ctx, r.Patience)
	defer cancel()
	return p.Revert(ctx, wire.Revert{
		Lease: wire.Lease{Run: r.run, Fault: f.Intent.ID, Epoch: r.journal.Epoch()},
		Type:  f.Intent.Type, By: r.By, Targets: f.Undos(),
	})
}

// scan looks for what is left of the faults that were open.
func (r *recovery) scan(begin *journal.RunStarted, open []Fault) []journal.Finding {
	residue := &journal.Residue{When: "recover", Findings: []journal.Finding{}}
	known := map[string][]wire.Known{}
	for _, f := range open {
		known[f.Intent.Plugin] = append(known[f.Intent.Plugin], wire.Known{Type: f.Intent.Type, Fault: f.Intent.ID, Targets: f.Undos()})
	}
	var failed []error
	for name, k := range known {
		p, err := r.plugin(begin, name)
		if err == nil {
			ctx, cancel := context.WithTimeout(r.ctx, r.Patience)
			var found []wire.Finding
			found, err = p.Scan(ctx, k)
			cancel()
			for _, f := range found {
				residue.Findings = append(residue.Findings, journal.Finding{Plugin: name, Fault: f.Fault, Target: f.Target, Kind: f.Kind, Detail: f.Detail})
			}
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

// end closes the journal.
func (r *recovery) end(result Result) {
	ended := &journal.RunEnded{By: r.By}
	if r.unfinished {
		ended.Error = "the engine ended before the run did"
	}
	r.folder.Add(journal.Event{Time: time.Now().UTC(), Epoch: r.journal.Epoch(), Data: ended})
	judged := r.folder.Result()
	ended.Verdict, ended.ExitCode, ended.Residue = string(judged.Verdict), judged.ExitCode, len(judged.Residue)
	if !result.Clean() && ended.Residue == 0 {
		ended.Residue = 1
	}
	r.record(ended)
}
