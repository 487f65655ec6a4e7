package journal

import (
	"encoding/json"
	"fmt"
	"time"
)

// Version is the format of the journal. A reader refuses a higher one.
const Version = 1

// Event is one line of a journal.
type Event struct {
	Seq   int64     // 1, 2, 3 … without a gap
	Time  time.Time // when it was written, UTC
	Epoch int       // rises with every takeover of the run (engine, guardian, recover)
	Data  Data      // what happened
}

// Data is the content of an event: a pointer to one of the types of this file.
type Data interface{ EventType() string }

// RunStarted opens every journal. It has all that judging and reporting need of
// the plan, and the plan itself.
type RunStarted struct {
	Run         string           `json:"run"` // unique, sorts by time
	Scenario    Scenario         `json:"scenario"`
	Seed        int64            `json:"seed"`
	PlanHash    string           `json:"plan_hash"`
	Plan        json.RawMessage  `json:"plan"` // as package plan encodes it
	Engine      Engine           `json:"engine"`
	Plugins     []PluginUsed     `json:"plugins"`
	Experiments []ExperimentSpec `json:"experiments"` // in the order in which they run
	Guards      []GuardSpec      `json:"guards,omitempty"`
	Sources     []Source         `json:"sources,omitempty"` // what the scenario said, word for word
}

// Source is a file of the scenario, as it was when the run began. Text is empty where
// the file was too long to keep.
type Source struct {
	Path   string `json:"path"` // its name, without the folder
	SHA256 string `json:"sha256"`
	Text   string `json:"text,omitempty"`
}

// GuardSpec is a condition that stops the run.
type GuardSpec struct {
	Name        string        `json:"name"`
	Probe       string        `json:"probe"`
	Good        string        `json:"good"`   // source text of the condition
	For         time.Duration `json:"for_ns"` // bad for this long; 0: the first bad sample
	NoDataAfter time.Duration `json:"no_data_after_ns"`
}

// UnmarshalJSON also takes a name alone, which is what the first journals have.
func (g *GuardSpec) UnmarshalJSON(raw []byte) error {
	if json.Unmarshal(raw, &g.Name) == nil {
		return nil
	}
	type plain GuardSpec
	return json.Unmarshal(raw, (*plain)(g))
}

// Scenario says which game day ran.
type Scenario struct {
	Name        string `json:"name"`
	Title       string `json:"title,omitempty"`
	Owner       string `json:"owner,omitempty"`
	Environment string `json:"environment,omitempty"`
	Runbook     string `json:"runbook,omitempty"`
	Source      string `json:"source,omitempty"`     // folder or file, as given
	GitCommit   string `json:"git_commit,omitempty"` // of the scenario's folder, "-dirty" appended
}

// Engine says who ran it.
type Engine struct {
	Version string `json:"version"`
	Host    string `json:"host"`
	User    string `json:"user"`
	PID     int    `json:"pid"`
}

// PluginUsed pins a plugin's binary. Settings are what the scenario's `plugin`
// block said, and Environment names the variables that it inherits beside the usual
// ones: both are kept because recovery starts the plugin with them again.
type PluginUsed struct {
	Name        string          `json:"name"`
	Version     string          `json:"version"`
	SHA256      string          `json:"sha256"`
	Path        string          `json:"path"`
	Trust       string          `json:"trust,omitempty"` // builtin, locked, override, attached or insecure; empty: an older journal
	Environment []string        `json:"environment,omitempty"`
	Settings    json.RawMessage `json:"settings,omitempty"`
}

// Expect says what an experiment's hypothesis claims.
type Expect string

const (
	Tolerate Expect = "tolerate" // judged during the fault and after it
	Recover  Expect = "recover"  // judged after it, from steady again
)

// ExperimentSpec is what judging needs to know of an experiment beforehand.
type ExperimentSpec struct {
	Name          string          `json:"name"`
	Hypothesis    string          `json:"hypothesis,omitempty"`
	Expect        Expect          `json:"expect"`
	Baseline      time.Duration   `json:"baseline_ns"`
	Planned       time.Duration   `json:"planned_ns"` // of the time line: first start to last end; 0 for a check
	Observe       time.Duration   `json:"observe_ns"`
	RecoverWithin time.Duration   `json:"recover_within_ns"`
	Objectives    []ObjectiveSpec `json:"objectives"`
	Faults        []FaultSpec     `json:"faults,omitempty"` // none: the experiment is a check
	Place         string          `json:"place,omitempty"`  // "day.hcl:12": a name of Sources and a line
}

// ObjectiveSpec is one objective of a steady state.
type ObjectiveSpec struct {
	Name         string  `json:"name"`          // "checkout.available": steady state and objective
	Probe        string  `json:"probe"`         // "http.checkout"
	Good         string  `json:"good"`          // source text of the condition
	Target       float64 `json:"target"`        // share of good samples, 0…1
	DuringTarget float64 `json:"during_target"` // the same where no other is set
	MinSamples   int     `json:"min_samples"`
	Judge        string  `json:"judge"`           // "exact" or "point"
	Rate         float64 `json:"rate"`            // samples per second expected
	Place        string  `json:"place,omitempty"` // of the condition
}

// FaultSpec is one fault of an experiment's time line.
type FaultSpec struct {
	Name     string        `json:"name"` // "docker_kill.web"
	Type     string        `json:"type"`
	Targets  []string      `json:"targets"` // display names
	Duration time.Duration `json:"duration_ns"`
	Hold     string        `json:"hold"`
	Place    string        `json:"place,omitempty"`

	TargetBlock string `json:"target_block,omitempty"` // "docker_container.web": what they were picked from
	Discovered  int    `json:"discovered,omitempty"`   // how many that has found
}

// ExperimentStarted begins an experiment.
type ExperimentStarted struct {
	Experiment string `json:"experiment"`
}

// Phase of an experiment. A sample belongs to the phase of its scheduled time.
type Phase string

const (
	Baseline Phase = "baseline"
	During   Phase = "during" // first fault.intent to last verified revert; the whole of a check
	After    Phase = "after"
)

// PhaseStarted says that a phase began, at the event's time. The baseline ends
// where during starts, during where after starts, after at experiment.ended.
type PhaseStarted struct {
	Experiment string `json:"experiment"`
	Phase      Phase  `json:"phase"`
}

// Ending says why an experiment is over.
type Ending string

const (
	Completed      Ending = "completed"
	BaselineFailed Ending = "baseline_failed" // the gate: nothing was injected
	NoTargets      Ending = "no_targets"      // on_empty = "skip"
	NotDue         Ending = "not_due"         // it happens by chance, and not this time
	StoppedEarly   Ending = "stopped_early"   // an objective was proven broken; see stop.early
	EndedAborted   Ending = "aborted"         // see run.aborted
	EndedErrored   Ending = "errored"
	NotRun         Ending = "not_run" // a predecessor failed or the run stopped
)

// ExperimentEnded ends an experiment.
type ExperimentEnded struct {
	Experiment string `json:"experiment"`
	Ending     Ending `json:"ending"`
	Reason     string `json:"reason,omitempty"`
}

// Samples is a batch of one probe's samples. All slices have the same length.
type Samples struct {
	Probe   string            `json:"probe"`            // "http.checkout"
	Start   time.Time         `json:"start"`            // scheduled time of the first
	Offset  []int64           `json:"offset_us"`        // scheduled time after Start, microseconds
	Status  string            `json:"status"`           // a letter a sample: o ok, f failed, m missing
	Latency []int64           `json:"latency_us"`       // microseconds; -1: none
	Value   []*float64        `json:"value,omitempty"`  // nil: none
	Good    map[string]string `json:"good,omitempty"`   // objective → a letter a sample: 1 good, 0 bad, ? missing
	Errors  map[string]int    `json:"errors,omitempty"` // error text → how often, of the failed and missing
}

// The letters of Samples.Status and Samples.Good.
const (
	StatusOK      = 'o'
	StatusFailed  = 'f'
	StatusMissing = 'm'
	GoodYes       = '1'
	GoodNo        = '0'
	GoodMissing   = '?'
)

// FaultIntent is on disk before its fault is injected: with the undo records in
// it, whoever reads the journal can put things back.
type FaultIntent struct {
	ID         string          `json:"id"` // unique in the run
	Experiment string          `json:"experiment"`
	Fault      string          `json:"fault"` // "docker_kill.web"
	Type       string          `json:"type"`
	Plugin     string          `json:"plugin"`
	Hold       string          `json:"hold"`
	Lease      time.Duration   `json:"lease_ns"`
	HardEnd    time.Duration   `json:"hard_end_ns"` // after inject; no renewal extends it
	Config     json.RawMessage `json:"config"`
	Targets    []TargetIntent  `json:"targets"`
}

// TargetIntent is one target of an intent.
type TargetIntent struct {
	ID          string          `json:"id"`   // logical identity
	Name        string          `json:"name"` // for people
	Kind        string          `json:"kind"` // "docker_container"
	Incarnation string          `json:"incarnation"`
	Resources   []string        `json:"resources,omitempty"`
	Undo        json.RawMessage `json:"undo"`
}

// FaultActive says that the plugin has injected the fault into every target that
// was still there.
type FaultActive struct {
	ID      string        `json:"id"`
	Targets []TargetState `json:"targets"`
}

// TargetState is what became of one target in an Inject. Gone means that the
// target had died by itself before: a fact, no error.
type TargetState struct {
	ID    string    `json:"id"`
	OK    bool      `json:"ok"`
	Gone  bool      `json:"gone,omitempty"`
	Error string    `json:"error,omitempty"`
	At    time.Time `json:"at"` // when it was in
}

// FaultFailed says that an Inject failed for at least one target; all of them are
// reverted.
type FaultFailed struct {
	ID      string        `json:"id"`
	Error   string        `json:"error"`
	Targets []TargetState `json:"targets,omitempty"`
}

// FaultAmbiguous says that an Inject gave no answer: it may be in.
type FaultAmbiguous struct {
	ID    string `json:"id"`
	Error string `json:"error"`
}

// FaultObserved says what was measured of a fault's effect.
type FaultObserved struct {
	ID      string   `json:"id"`
	Effects []Effect `json:"effects"`
}

// Effect is the measured effect of a fault on one target.
type Effect struct {
	Target   string             `json:"target"`
	Bites    bool               `json:"bites"`
	Detail   string             `json:"detail"`             // "exited with 137 at 10:00:00.1"
	Measures map[string]float64 `json:"measures,omitempty"` // units in the name: "delay_s"
	Ended    bool               `json:"ended,omitempty"`    // the target came back by itself
	At       time.Time          `json:"at"`
	Error    string             `json:"error,omitempty"` // it could not be measured
}

// Outcome of one target's revert.
type Outcome string

const (
	Reverted      Outcome = "reverted"
	AlreadyGone   Outcome = "already_gone"   // nothing of ours was left to put back
	ForeignChange Outcome = "foreign_change" // somebody else changed it meanwhile; left alone
	RevertFailed  Outcome = "failed"         // residue
)

// FaultReverted ends a fault's lease. A target without an outcome of reverted or
// already_gone, or a foreign change that still bites, is residue.
type FaultReverted struct {
	ID      string          `json:"id"`
	Cause   string          `json:"cause"` // duration, step, target, early_stop, abort, error, lease, recover
	Targets []TargetOutcome `json:"targets"`
}

// TargetOutcome is how one target's revert ended.
type TargetOutcome struct {
	ID      string    `json:"id"`
	Outcome Outcome   `json:"outcome"`
	By      string    `json:"by"`                // engine, plugin, target, guardian, recover
	Proof   string    `json:"proof,omitempty"`   // what was looked at to be sure
	Residue bool      `json:"residue,omitempty"` // something of ours may still bite
	Error   string    `json:"error,omitempty"`
	At      time.Time `json:"at"`
}

// Residue is what a scan found of ours; an empty list says that it found nothing.
type Residue struct {
	When     string    `json:"when"` // before, after, recover
	Findings []Finding `json:"findings"`
	Error    string    `json:"error,omitempty"` // a plugin could not be asked
}

// Finding is one thing that should not be there.
type Finding struct {
	Plugin string `json:"plugin"`
	Fault  string `json:"fault,omitempty"`
	Target string `json:"target"`
	Kind   string `json:"kind"` // marked, still_matches_undo
	Detail string `json:"detail"`
}

// ActionDone says how an action went. Error is empty when it succeeded.
type ActionDone struct {
	Experiment string        `json:"experiment"`
	Action     string        `json:"action"` // "exec.warm_up"
	Took       time.Duration `json:"took_ns"`
	Detail     string        `json:"detail,omitempty"`
	Error      string        `json:"error,omitempty"`
}

// PromptAsked says that the time line waits at a hold point.
type PromptAsked struct {
	Experiment string        `json:"experiment"`
	Prompt     string        `json:"prompt"`
	Question   string        `json:"question"`
	Default    string        `json:"default"` // the answer when nobody gives one
	Timeout    time.Duration `json:"timeout_ns,omitempty"`
}

// PromptAnswered says how a hold point was left: continue, or stop, which ends the run.
type PromptAnswered struct {
	Experiment string        `json:"experiment"`
	Prompt     string        `json:"prompt"`
	Answer     string        `json:"answer"` // empty: the run stopped before there was one
	By         string        `json:"by"`     // a person, or what took the default in place of one
	Took       time.Duration `json:"took_ns"`
}

// GuardTripped says that a guard asked for the run to stop.
type GuardTripped struct {
	Guard      string `json:"guard"`
	Experiment string `json:"experiment,omitempty"`
	Reason     string `json:"reason"`
}

// EarlyStop says that an objective was proven broken while the fault was on.
type EarlyStop struct {
	Experiment string  `json:"experiment"`
	Objective  string  `json:"objective"`
	E          float64 `json:"e"`        // of the e-process; the threshold is 1/alpha
	Samples    int     `json:"samples"`  // seen so far in during
	Bad        int     `json:"bad"`      //
	Critical   int     `json:"critical"` // bad count at which the whole phase is broken; 0: no planned n
	Rule       string  `json:"rule"`     // in words, with the numbers
}

// Aborted says that the whole run stops.
type Aborted struct {
	Cause  string `json:"cause"` // operator, guard, deadline, halt, plugin, journal
	Reason string `json:"reason"`
}

// Mark is something that a person told the run: What is "detected" or "note".
type Mark struct {
	What string `json:"what"`
	Text string `json:"text,omitempty"`
	By   string `json:"by,omitempty"`
}

// Warning is something that a reader of the report should know.
type Warning struct {
	Experiment string `json:"experiment,omitempty"`
	Text       string `json:"text"`
}

// Takeover says that another process goes on with this journal.
type Takeover struct {
	By  string `json:"by"` // guardian, recover
	PID int    `json:"pid"`
	Why string `json:"why"`
}

// RunEnded closes the journal. A journal without it is of an unfinished run. The
// verdict is a copy of what package judge made of the events before, for lists that
// must not read whole journals; it is never judged from.
type RunEnded struct {
	By       string `json:"by"`              // engine, guardian, recover
	Error    string `json:"error,omitempty"` // the tool or a plugin failed
	Verdict  string `json:"verdict,omitempty"`
	ExitCode int    `json:"exit_code"`
	Residue  int    `json:"residue,omitempty"` // targets that could not be put back
}

func (*RunStarted) EventType() string        { return "run.started" }
func (*ExperimentStarted) EventType() string { return "experiment.started" }
func (*PhaseStarted) EventType() string      { return "phase.started" }
func (*ExperimentEnded) EventType() string   { return "experiment.ended" }
func (*Samples) EventType() string           { return "samples" }
func (*FaultIntent) EventType() string       { return "fault.intent" }
func (*FaultActive) EventType() string       { return "fault.active" }
func (*FaultFailed) EventType() string       { return "fault.failed" }
func (*FaultAmbiguous) EventType() string    { return "fault.ambiguous" }
func (*FaultObserved) EventType() string     { return "fault.observed" }
func (*FaultReverted) EventType() string     { return "fault.reverted" }
func (*Residue) EventType() string           { return "residue" }
func (*ActionDone) EventType() string        { return "action.done" }
func (*PromptAsked) EventType() string       { return "prompt.asked" }
func (*PromptAnswered) EventType() string    { return "prompt.answered" }
func (*GuardTripped) EventType() string      { return "guard.tripped" }
func (*EarlyStop) EventType() string         { return "stop.early" }
func (*Aborted) EventType() string           { return "run.aborted" }
func (*Mark) EventType() string              { return "mark" }
func (*Warning) EventType() string           { return "warning" }
func (*Takeover) EventType() string          { return "run.takeover" }
func (*RunEnded) EventType() string          { return "run.ended" }

// newData returns an empty Data for an event type, or an error for one that this
// version does not know.
func newData(typ string) (Data, error) {
	for _, d := range []Data{
		&RunStarted{}, &ExperimentStarted{}, &PhaseStarted{}, &ExperimentEnded{}, &Samples{},
		&FaultIntent{}, &FaultActive{}, &FaultFailed{}, &FaultAmbiguous{}, &FaultObserved{},
		&FaultReverted{}, &Residue{}, &ActionDone{}, &PromptAsked{}, &PromptAnswered{}, &GuardTripped{}, &EarlyStop{}, &Aborted{},
		&Mark{}, &Warning{}, &Takeover{}, &RunEnded{},
	} {
		if d.EventType() == typ {
			return d, nil
		}
	}
	return nil, fmt.Errorf("unknown event type %q", typ)
}
