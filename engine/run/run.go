// Package run executes a plan: it measures the steady state, injects the faults,
// keeps their leases, puts everything back, and writes down each fact as an event.
//
// One goroutine, the owner, has all state. Calls to plugins, streams of samples and
// fsyncs run in goroutines of their own and hand what they found to the owner as a
// function that it runs: read a function of this package as the owner's code unless
// it says otherwise. The owner waits in one place only, until, so that an abort, a
// tripped guard or a lost plugin is seen wherever a run happens to be.
//
// A run decides nothing about verdicts: package judge does, from the events. The
// parts of judge that it uses are those that decide when to stop and when to go on.
package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/engine/plan"
	"github.com/faultline-go/faultline/engine/scenario"
	"github.com/faultline-go/faultline/sdk/schema"
	"github.com/faultline-go/faultline/sdk/wire"
)

// Journal is where events go. Append and Sync may be called from different
// goroutines.
type Journal interface {
	Append(journal.Data) (journal.Event, error)
	// Sync returns when everything appended is on disk.
	Sync() error
	// Reserve makes sure that so many bytes can still be written when the disk is
	// full.
	Reserve(bytes int64) error
}

// Plugin is a running plugin.
type Plugin interface {
	Prepare(context.Context, wire.Prepare) ([]wire.Prepared, error)
	Inject(context.Context, wire.Inject) ([]wire.Injected, error)
	Observe(context.Context, wire.Observe) ([]wire.Observed, error)
	Revert(context.Context, wire.Revert) ([]wire.Reverted, error)
	Scan(context.Context, []wire.Known) ([]wire.Finding, error)
	Probe(context.Context, wire.Probe, func(wire.Batch) error) error
	Act(ctx context.Context, typ string, config json.RawMessage) (detail string, err error)
	Session(context.Context) (Session, error)
	// Describe is asked only to see whether the plugin answers.
	Describe(context.Context) (*schema.Description, error)
	// Kill ends the plugin's process group at once; Done is closed soon after.
	Kill()
	// Done is closed when the plugin's process is gone; Err then says why.
	Done() <-chan struct{}
	Err() error
}

// Session holds the leases of a plugin: see wire.Session.
type Session interface {
	Renew(wire.Renewal) error
	Next() (wire.LeaseEvent, error)
}

// Options of a run.
type Options struct {
	Run     string // its id
	Epoch   int
	Plan    *plan.Plan
	Journal Journal
	Plugins map[string]Plugin // by name, started and configured
	Used    []journal.PluginUsed
	Engine  journal.Engine

	// Restart starts a plugin anew that has died, to revert what it left.
	Restart func(ctx context.Context, name string) (Plugin, error)
	// Guarded makes sure that somebody watches this process, who puts everything back if
	// it dies. It is asked before each fault, which is not injected on an error, and may
	// wait; news, if any, are a warning in the journal. nil: nobody is asked.
	Guarded func(context.Context) (news string, err error)
	// Lock reserves what a fault occupies, against other runs of this state folder,
	// until the returned function is called. nil: nothing is locked.
	Lock func(resources []string) (unlock func(), err error)
	// Watch sees every event after it was written. It runs on the owner's goroutine
	// and must be quick. May be nil.
	Watch func(journal.Event)
	// Progress sees every batch of samples at once, before it is journalled. It runs
	// on the owner's goroutine and must be quick. May be nil.
	Progress func(Progress)
	// Renewed is told that a plugin has acknowledged that it holds its leases from a
	// moment on. It runs outside the owner and must be quick. May be nil.
	Renewed func(plugin string, from time.Time)
	// Notes listens to people until ctx ends, and hands what they say to take, which
	// returns whether it is on record now. nil: nobody is listened to.
	Notes func(ctx context.Context, take func(journal.Mark) bool)
	// Ask puts a prompt to whoever answers, until ctx ends. nil: the default is taken.
	Ask func(ctx context.Context, q Question) (Answer, error)
	// Turn writes down that an experiment that happens by chance has its turn now; its
	// error is NotDue where another run had it. It is needed for a plan with chances.
	Turn func(ctx context.Context, e *plan.Experiment) error
	// Patience is how long a failing revert is tried again, on top of its own
	// budget; 0: DefaultPatience.
	Patience time.Duration
	// Debugged names plugins that a person may stop for a while, in a debugger. They get
	// Slack more time for everything, and their leases last as long. What they hold still
	// ends when the engine does, because the session ends. One whose method Debugged()
	// bool says so is not taken for hung either.
	Debugged map[string]bool
}

// Slack is how long a plugin may be stopped in a debugger.
const Slack = time.Hour

// slack is how much longer everything of a plugin may take.
func (r *run) slack(plugin string) time.Duration {
	if r.Debugged[plugin] {
		return Slack
	}
	return 0
}

// DefaultPatience is the default of Options.Patience.
const DefaultPatience = 30 * time.Second

// ErrResidue is returned by a run that was refused because something of ours is
// still there from before. Nothing was touched.
var ErrResidue = errors.New("something is still broken from an earlier run")

// Stop is the cause with which a context is cancelled to say who stops the run: a
// halt, say. Any other cause is the operator's.
type Stop struct {
	Cause  string // of journal.Aborted
	Reason string
}

func (s *Stop) Error() string { return s.Reason }

// Do executes a plan until everything is put back. When ctx ends the run aborts,
// with the context's cause as its reason, and still puts everything back. The error
// says that the run could not be recorded or was refused; how an experiment ended is
// in the journal.
func Do(ctx context.Context, o Options) error {
	if o.Patience == 0 {
		o.Patience = DefaultPatience
	}
	r := &run{
		Options: o,
		ctx:     ctx,
		inbox:   make(chan func(), 64),
		closed:  make(chan struct{}),
		crew:    newCrew(o.Plugins, o.Restart),
		folder:  judge.NewFolder(),
	}
	r.crew.hung = func(name string) {
		why := fmt.Sprintf("plugin %s gave no answer within %s: it was killed", name, answerTime)
		r.send(func() { r.fail(why) })
	}
	r.life, r.kill = context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		r.kill()
		close(r.closed)
		r.working.Wait()
	}()
	return r.do()
}

// run is the state of a run; only the owner reads or changes it.
type run struct {
	Options
	ctx     context.Context // the operator's: its end aborts
	life    context.Context // of everything that the run starts
	kill    context.CancelFunc
	working sync.WaitGroup

	inbox  chan func()
	closed chan struct{}

	crew      *crew
	keepers   map[string]*keeper // of leases, by plugin
	folder    *judge.Folder      // what the journal says so far
	faultID   int
	announced []*step     // faults with an intent in the journal, of all experiments
	now       *experiment // the one that runs
	stopped   *stop       // set once: the whole run stops
	finishing bool        // all experiments are over: there is nothing left to abort
	journal   error       // the first failure to record
}

// stop is why the whole run stops.
type stop struct {
	cause   string // of journal.Aborted
	reason  string
	errored bool // the tool or a plugin failed
	lease   bool // leases were lost: the cause of the reverts
}

func (r *run) do() error {
	if err := r.complete(); err != nil {
		return err
	}
	if err := r.begin(); err != nil {
		return err
	}
	if err := r.scan("before"); err != nil {
		return errors.Join(err, r.end(err.Error()))
	}
	r.listenToPeople()
	r.openSessions()
	for i := range r.Plan.Experiments {
		r.experiment(&r.Plan.Experiments[i])
	}
	r.finishing = true
	r.closeSessions()
	_ = r.scan("after") // what it found, and why it could not look, are in the journal
	why := ""
	if r.stopped != nil && r.stopped.errored {
		why = r.stopped.reason
	}
	return r.end(why)
}

// complete makes sure that every plugin that the plan names is there.
func (r *run) complete() error {
	need := func(name, what string) error {
		if r.Plugins[name] == nil {
			return fmt.Errorf("plugin %s, which %s needs, was not started", name, what)
		}
		return nil
	}
	var missing []error
	for _, p := range r.Plan.Probes {
		missing = append(missing, need(p.Plugin, "probe "+p.Name))
	}
	for _, e := range r.Plan.Experiments {
		if e.Chance != nil && e.NotDue == "" && r.Turn == nil {
			missing = append(missing, fmt.Errorf("experiment %s happens by chance, and nobody keeps the ledger of its turns", e.Spec.Name))
		}
		for _, s := range e.Steps {
			if s.Kind == scenario.PromptStep {
				continue
			}
			missing = append(missing, need(s.Plugin, string(s.Kind)+" "+s.Name))
		}
	}
	return errors.Join(missing...)
}

// end writes the last event, with what judge makes of the run for lists of runs.
func (r *run) end(failure string) error {
	ended := &journal.RunEnded{By: "engine", Error: failure}
	r.folder.Add(journal.Event{Time: time.Now().UTC(), Epoch: r.Epoch, Data: ended})
	result := r.folder.Result()
	ended.Verdict, ended.ExitCode, ended.Residue = string(result.Verdict), result.ExitCode, len(result.Residue)
	r.record(ended)
	return r.sync()
}

// begin writes the first event, on disk before anything else happens.
func (r *run) begin() error {
	encoded, err := r.Plan.Encode()
	if err != nil {
		return err
	}
	started := &journal.RunStarted{
		Run: r.Run, Scenario: r.Plan.Scenario, Seed: r.Plan.Seed, PlanHash: r.Plan.Hash,
		Plan: json.RawMessage(encoded), Engine: r.Engine, Plugins: r.Used,
	}
	for _, e := range r.Plan.Experiments {
		started.Experiments = append(started.Experiments, e.Spec)
	}
	for _, g := range r.Plan.Guards {
		started.Guards = append(started.Guards, journal.GuardSpec{Name: g.Name, Probe: g.Probe, Good: g.Good, For: g.For, NoDataAfter: g.NoDataAfter})
	}
	started.Sources = sources(r.Plan.Files)
	r.record(started)
	return r.sync()
}

// maxSource is how much of a scenario's text a journal keeps, in bytes: ten thousand
// experiments must not fill it.
const maxSource = 1 << 20

func sources(files []plan.File) []journal.Source {
	var out []journal.Source
	left := maxSource
	for _, f := range files {
		s := journal.Source{Path: f.Path, SHA256: f.SHA256}
		if len(f.Text) <= left {
			s.Text = f.Text
			left -= len(f.Text)
		}
		out = append(out, s)
	}
	return out
}

// record writes an event. A journal that cannot be written stops the run, but never
// a revert: it is shown, and written again as soon as that is possible.
func (r *run) record(d journal.Data) journal.Event {
	e, err := r.Journal.Append(d)
	if err != nil {
		e = journal.Event{Time: time.Now().UTC(), Epoch: r.Epoch, Data: d}
		r.journalFailed(err)
	}
	r.show(e)
	return e
}

// show lets everybody who follows the run see an event.
func (r *run) show(e journal.Event) {
	r.folder.Add(e)
	if r.Watch != nil {
		r.Watch(e)
	}
}

func (r *run) journalFailed(err error) {
	if r.journal != nil {
		return
	}
	r.journal = fmt.Errorf("write the journal: %w", err)
	r.abort(&stop{cause: "journal", reason: r.journal.Error(), errored: true})
}

// sync waits until the journal is on disk; for the ends of a run, where there is
// nothing else to wait for. It returns the first failure to record, too.
func (r *run) sync() error {
	if err := r.Journal.Sync(); err != nil && r.journal == nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	return r.journal
}

func stopFrom(cause error) *stop {
	if s := (*Stop)(nil); errors.As(cause, &s) {
		return &stop{cause: s.Cause, reason: s.Reason}
	}
	return &stop{cause: "operator", reason: cause.Error()}
}

// abort stops the whole run, once: the first reason stays.
func (r *run) abort(s *stop) {
	if r.stopped != nil {
		return
	}
	r.stopped = s
	r.record(&journal.Aborted{Cause: s.cause, Reason: s.reason})
}

// fail aborts because the tool or a plugin failed.
func (r *run) fail(reason string) {
	r.abort(&stop{cause: "plugin", reason: reason, errored: true})
}

// send hands work to the owner; it returns false when the run is over. It is called
// by the other goroutines.
func (r *run) send(f func()) bool {
	select {
	case r.inbox <- f:
		return true
	case <-r.closed:
		return false
	}
}

// start runs f in a goroutine that the run waits for.
func (r *run) start(f func()) { r.working.Go(f) }

// until is where the owner waits: it deals with what is handed to it until done
// says so. done is asked after each piece of work, and again at the time that it
// names, if any.
func (r *run) until(done func() (ok bool, again time.Time)) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	operator := r.ctx.Done()
	if r.stopped != nil || r.finishing {
		operator = nil
	}
	for {
		ok, again := done()
		if ok {
			return
		}
		timer.Stop()
		if !again.IsZero() {
			timer.Reset(max(time.Until(again), 0))
		}
		select {
		case f := <-r.inbox:
			f()
		case <-timer.C:
		case <-operator:
			operator = nil
			r.abort(stopFrom(context.Cause(r.ctx)))
		}
	}
}
