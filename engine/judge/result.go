package judge

import (
	"encoding/json"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/trust"
)

// Format names Result's JSON form and its version, which rises when a field changes its
// meaning; new fields may come without.
const Format = "faultline.report/v1"

// Result is everything a report says about a run. It is folded from the journal
// alone. Times are absolute, lengths are seconds, shares are 0…1.
type Result struct {
	Format      string         `json:"format"`
	Run         Run            `json:"run"`
	Verdict     Verdict        `json:"verdict"`   // the word that decides the exit code
	ExitCode    int            `json:"exit_code"` // without leniency, see [Result.Exit]
	Unfinished  bool           `json:"unfinished,omitempty"`
	Reasons     []Reason       `json:"reasons,omitempty"` // of the run itself, not of an experiment
	Experiments []Experiment   `json:"experiments"`
	Residue     []LeftBehind   `json:"residue,omitempty"`
	Guards      []GuardTrip    `json:"guards,omitempty"`
	Abort       *Abort         `json:"abort,omitempty"`
	Marks       []Mark         `json:"marks,omitempty"`
	Takeovers   []Takeover     `json:"takeovers,omitempty"`
	Warnings    []Warning      `json:"warnings,omitempty"`
	Probes      []ProbeSummary `json:"probes,omitempty"`
}

// Run says what ran, when and by whom.
type Run struct {
	ID       string           `json:"id"`
	Scenario journal.Scenario `json:"scenario"`
	Seed     int64            `json:"seed"`
	PlanHash string           `json:"plan_hash"`
	Engine   journal.Engine   `json:"engine"`
	Plugins  []Plugin         `json:"plugins,omitempty"`
	Guards   []Guard          `json:"guards,omitempty"`  // that watched over it
	Sources  []journal.Source `json:"sources,omitempty"` // the scenario's files
	Started  time.Time        `json:"started"`
	Ended    *time.Time       `json:"ended,omitempty"`
	Duration float64          `json:"duration_s"`
	EndedBy  string           `json:"ended_by,omitempty"`
	Error    string           `json:"error,omitempty"`
}

// Plugin is a plugin that the run used.
type Plugin struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	SHA256  string `json:"sha256"`
	// Trust is on what ground it was started; empty: an older journal does not say.
	Trust trust.Basis `json:"trust,omitempty"`
}

// Guard is a condition that would have stopped the run.
type Guard struct {
	Name        string  `json:"name"`
	Probe       string  `json:"probe"`
	Good        string  `json:"good"`            // the condition
	For         float64 `json:"for_s,omitempty"` // bad for this long; 0: the first bad sample
	NoDataAfter float64 `json:"no_data_after_s,omitempty"`
}

// Reason is one ground for a verdict.
type Reason struct {
	Verdict   Verdict       `json:"verdict"`
	Text      string        `json:"text"`
	Objective string        `json:"objective,omitempty"`
	Phase     journal.Phase `json:"phase,omitempty"`
}

// Experiment is one experiment of the run.
type Experiment struct {
	Name       string            `json:"name"`
	Hypothesis string            `json:"hypothesis,omitempty"`
	Place      string            `json:"place,omitempty"` // "day.hcl:12": a path of Run.Sources, and a line
	Expect     journal.Expect    `json:"expect"`
	Check      bool              `json:"check,omitempty"` // without faults
	Verdict    Verdict           `json:"verdict"`
	Residue    bool              `json:"residue,omitempty"`
	Reasons    []Reason          `json:"reasons"` // all of them, the deciding one first
	Ending     journal.Ending    `json:"ending,omitempty"`
	Started    *time.Time        `json:"started,omitempty"`
	Ended      *time.Time        `json:"ended,omitempty"`
	Phases     []PhaseSpan       `json:"phases,omitempty"`
	Objectives []ObjectiveResult `json:"objectives,omitempty"`
	Latencies  []LatencyResult   `json:"latencies,omitempty"`
	Lost       []Loss            `json:"lost,omitempty"`
	Faults     []Fault           `json:"faults,omitempty"`
	Times      Times             `json:"times"`
	EarlyStop  *EarlyStop        `json:"early_stop,omitempty"`
	Actions    []Action          `json:"actions,omitempty"`
	Prompts    []Prompt          `json:"prompts,omitempty"`
}

// PhaseSpan is when a phase was: from inclusive, to exclusive.
type PhaseSpan struct {
	Phase journal.Phase `json:"phase"`
	From  time.Time     `json:"from"`
	To    time.Time     `json:"to"`
	Cut   bool          `json:"cut,omitempty"` // ended by a decision that looked at the data
}

// ObjectiveResult is one objective in one phase. Bounds and P are absent where a
// sample was stopped early: they would not mean what they say.
type ObjectiveResult struct {
	Objective  string        `json:"objective"`
	Probe      string        `json:"probe"`
	Good       string        `json:"good"`            // the condition
	Place      string        `json:"place,omitempty"` // of the condition
	Phase      journal.Phase `json:"phase"`
	Judged     bool          `json:"judged"` // whether it counts for the verdict
	Verdict    Verdict       `json:"verdict"`
	Target     float64       `json:"target"`
	Point      bool          `json:"point,omitempty"`
	From       *time.Time    `json:"from,omitempty"` // where it begins later than its phase: steady again
	N          int           `json:"n"`
	Bad        int           `json:"bad"`
	Missing    int           `json:"missing"`
	Expected   int           `json:"expected"` // samples, by the plan
	Needed     int           `json:"needed"`   // samples for held with this many bad ones; 0: no number
	Share      *float64      `json:"share,omitempty"`
	BadLow     *float64      `json:"bad_low,omitempty"`  // bounds of the bad share,
	BadHigh    *float64      `json:"bad_high,omitempty"` // each with 95 % confidence
	P          *float64      `json:"p,omitempty"`
	E          *float64      `json:"e,omitempty"` // of the e-process, where the phase was cut
	D          float64       `json:"design_effect"`
	DAssumed   bool          `json:"design_effect_assumed"`
	StoppedBy  bool          `json:"stopped_by,omitempty"` // this objective ended the fault early
	Note       string        `json:"note,omitempty"`
	Confidence float64       `json:"confidence"`
}

// LatencyResult is the latency of a probe's successful samples in a phase.
type LatencyResult struct {
	Probe     string        `json:"probe"`
	Phase     journal.Phase `json:"phase"`
	N         int           `json:"n"`
	Quantiles []QuantileOf  `json:"quantiles"`
}

// Loss is what a probe sent during and after the faults and what failed of it.
type Loss struct {
	Probe   string `json:"probe"`
	Sent    int    `json:"sent"` // without the missing ones
	Failed  int    `json:"failed"`
	Missing int    `json:"missing"`
}

// Fault is one injection.
type Fault struct {
	ID       string          `json:"id"`
	Name     string          `json:"name"`
	Type     string          `json:"type"`
	Plugin   string          `json:"plugin"`
	Hold     string          `json:"hold,omitempty"`
	Place    string          `json:"place,omitempty"`
	Config   json.RawMessage `json:"config,omitempty"`    // as the scenario set it, without secrets
	Planned  float64         `json:"planned_s,omitempty"` // how long it was to stay
	Lease    float64         `json:"lease_s,omitempty"`   // it ends by itself so long after its last renewal
	State    FaultState      `json:"state"`
	Bites    bool            `json:"bites"`
	Injected *time.Time      `json:"injected,omitempty"`
	Reverted *time.Time      `json:"reverted,omitempty"`
	Active   float64         `json:"active_s"`        // first target in to last target out
	Cause    string          `json:"cause,omitempty"` // of the revert
	Error    string          `json:"error,omitempty"`
	Targets  []FaultTarget   `json:"targets"`

	TargetBlock string `json:"target_block,omitempty"` // "docker_container.web": what they were picked from
	Discovered  int    `json:"discovered,omitempty"`   // how many that has found
}

// FaultState says how far a fault came.
type FaultState string

// The states of a fault in a report.
const (
	FaultOpen     FaultState = "open"     // no revert in the journal
	FaultReverted FaultState = "reverted" // verified gone from every target
	FaultResidue  FaultState = "residue"  // something may be left
)

// FaultTarget is one target of an injection.
type FaultTarget struct {
	ID       string             `json:"id"`
	Name     string             `json:"name"`
	Kind     string             `json:"kind,omitempty"`
	Injected *time.Time         `json:"injected,omitempty"`
	Gone     bool               `json:"gone,omitempty"` // it had died by itself before
	Bites    bool               `json:"bites"`
	Effect   string             `json:"effect,omitempty"`
	Measures map[string]float64 `json:"measures,omitempty"`
	Ended    *time.Time         `json:"ended,omitempty"` // it came back by itself
	Outcome  journal.Outcome    `json:"outcome,omitempty"`
	By       string             `json:"by,omitempty"`
	Proof    string             `json:"proof,omitempty"`
	Reverted *time.Time         `json:"reverted,omitempty"`
	Residue  bool               `json:"residue,omitempty"`
	Error    string             `json:"error,omitempty"`
}

// EarlyStop says why a fault was ended early.
type EarlyStop struct {
	At        time.Time `json:"at"`
	Objective string    `json:"objective"`
	E         float64   `json:"e"`
	Samples   int       `json:"samples"`
	Bad       int       `json:"bad"`
	Critical  int       `json:"critical,omitempty"`
	Rule      string    `json:"rule"`
}

// Prompt is a hold point, and how it was left.
type Prompt struct {
	Name     string    `json:"name"`
	At       time.Time `json:"at"` // when it was asked
	Question string    `json:"question"`
	Answer   string    `json:"answer,omitempty"` // empty: there was none
	By       string    `json:"by,omitempty"`
	Took     float64   `json:"took_s"`
}

// Action is one action that was done.
type Action struct {
	Name   string    `json:"name"`
	At     time.Time `json:"at"`
	Took   float64   `json:"took_s"`
	Detail string    `json:"detail,omitempty"`
	Error  string    `json:"error,omitempty"`
}

// LeftBehind is something that was not put back.
type LeftBehind struct {
	Experiment string `json:"experiment,omitempty"`
	FaultID    string `json:"fault_id,omitempty"`
	Fault      string `json:"fault,omitempty"`
	Plugin     string `json:"plugin,omitempty"`
	Target     string `json:"target"`
	Why        string `json:"why"`
	Retry      string `json:"retry"` // the command that tries again
}

// GuardTrip is a guard that asked for the run to stop.
type GuardTrip struct {
	At         time.Time `json:"at"`
	Guard      string    `json:"guard"`
	Experiment string    `json:"experiment,omitempty"`
	Reason     string    `json:"reason"`
}

// Abort says why the whole run stopped.
type Abort struct {
	At     time.Time `json:"at"`
	Cause  string    `json:"cause"`
	Reason string    `json:"reason"`
}

// Mark is what a person told the run.
type Mark struct {
	At   time.Time `json:"at"`
	What string    `json:"what"`
	Text string    `json:"text,omitempty"`
	By   string    `json:"by,omitempty"`
}

// Takeover says that another process went on with the run.
type Takeover struct {
	At  time.Time `json:"at"`
	By  string    `json:"by"`
	Why string    `json:"why"`
}

// Warning is something that a reader should know.
type Warning struct {
	Experiment string `json:"experiment,omitempty"`
	Text       string `json:"text"`
}

// ProbeSummary is one probe over the whole run, with its course for charts.
type ProbeSummary struct {
	Probe   string         `json:"probe"`
	Samples int            `json:"samples"`
	Failed  int            `json:"failed"`
	Missing int            `json:"missing"`
	Errors  map[string]int `json:"errors,omitempty"`
	Series  Series         `json:"series"`
}

// Series is the course of a probe by the second, in columns of the same length.
// Latencies are of successful samples; -1 where there is none.
type Series struct {
	Start   time.Time  `json:"start"` // of the first second
	OK      []int      `json:"ok"`
	Failed  []int      `json:"failed"`
	Missing []int      `json:"missing"`
	Median  []float64  `json:"median_s"`
	Max     []float64  `json:"max_s"`
	Value   []*float64 `json:"value,omitempty"` // the last of the second

	// Objectives are those that do not just count what is ok: of a probe that answers
	// while its value is bad, for one.
	Objectives []ObjectiveSeries `json:"objectives,omitempty"`
}

// ObjectiveSeries is the course of an objective by the second, as long as its probe's.
type ObjectiveSeries struct {
	Objective string `json:"objective"`
	Good      []int  `json:"good"`
	Bad       []int  `json:"bad"`
}
