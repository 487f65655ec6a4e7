package scenario

import (
	"encoding/json"
	"time"

	"github.com/faultline-go/faultline/engine/install/address"
	"github.com/faultline-go/faultline/sdk/schema"
)

// Scenario is a game day as its author wrote it: evaluated and checked against the
// plugins' schemas, but with no target chosen yet.
type Scenario struct {
	Name        string
	Title       string
	Owner       string
	Environment string
	Runbook     string
	Checklist   []string      // what people have to see to before it
	Seed        *int64        // nil: chosen at random when planning
	Lease       time.Duration // of faults that set none; DefaultLease unless set

	Source string // the folder or file, as given
	Files  []File // in order of name, then those of the sources of experiments

	Plugins     []Plugin // every plugin that some block needs, sorted by name
	Probes      []*Probe // those that an objective or a guard uses and those that nothing uses, in source order
	Targets     []*Target
	Experiments []*Experiment // in the order in which they run
	Guards      []*Guard
	Limits      Limits

	// Sensitive are the values of sensitive variables, to be kept out of all output.
	Sensitive []string
	// Variables are the values of the variables that are not sensitive, as JSON.
	Variables map[string]json.RawMessage

	loader *loader // for Refuse
}

// Defaults and bounds of the language.
const (
	DefaultLease      = 15 * time.Second
	MinLease          = 3 * time.Second
	DefaultBaseline   = 10 * time.Second
	DefaultRecover    = 60 * time.Second
	DefaultTimeout    = 1 * time.Second  // of a probe's sample
	DefaultInterval   = 1 * time.Second  // of a probe
	DefaultMinSamples = 30               // of an objective
	DefaultNoData     = 10 * time.Second // of a guard
	DefaultMeanDays   = 5                // of a chance
)

// File is one source file.
type File struct {
	Path   string // as found
	SHA256 string // hex
	// Name is what a file of an experiment's source is called, wherever it lies:
	// "catalog:chaos-monkey/chaos-monkey.hcl". Empty for the scenario's own files.
	Name string
	Text string
}

// Plugin is what the scenario wants of one plugin.
type Plugin struct {
	Name       string
	Source     address.Address // zero: the scenario does not say where it is from
	Constraint string          // "~> 0.1"; empty: any
	// Environment names the variables that it inherits, beside the usual ones.
	Environment []string
	Settings    Config
	Pos         string // "file:line", empty when the scenario has no such block
}

// Config is an evaluated body. Full goes to the plugin; Redacted, in which every
// sensitive value is "(sensitive)", is all that may be written down.
type Config struct {
	Full     json.RawMessage
	Redacted json.RawMessage

	origin *origin
}

// Probe is a stream of samples.
type Probe struct {
	Name     string // "http.checkout"; with for_each "http.checkout[\"a\"]"
	Type     string
	Plugin   string
	Interval time.Duration // between scheduled samples
	Timeout  time.Duration // of one sample
	Config   Config
	Pos      string
}

// Target is a set of things that faults may touch.
type Target struct {
	Name    string // "docker_container.web"
	Type    string
	Plugin  string
	Match   Config
	Filters []Filter // all must hold
	Pick    Pick
	OnEmpty string // "fail" or "skip"
	Pos     string
}

// Pick says how many of the candidates are taken. Exactly one of Count, Percent,
// All and Groups is set.
type Pick struct {
	Count   int
	Percent float64 // 0–100, rounded down
	All     bool
	Groups  int    // so many groups, whole
	GroupBy string // the attribute that makes the groups
}

// Objective is a condition on samples and the share of them that must meet it.
type Objective struct {
	Name         string // "checkout.available"
	Probe        *Probe
	Good         Predicate
	Target       float64
	DuringTarget float64 // Target unless the objective has a `during` block
	MinSamples   int
	Judge        string // "exact" or "point"
	Pos          string
}

// Experiment is a hypothesis and the time line that tests it.
type Experiment struct {
	Name          string
	Hypothesis    string
	Expect        string // "tolerate" or "recover"
	Objectives    []*Objective
	Baseline      time.Duration
	Observe       time.Duration // 0: what the objectives need, decided in the plan
	RecoverWithin time.Duration
	DependsOn     []string
	Steps         []*Step // in source order; an experiment without a fault is a check
	Source        string  // where its steps come from: "catalog:chaos-monkey"; empty: the scenario
	Chance        *Chance // nil: it happens in every run
	Pos           string
}

// Chance lets an experiment happen now and then: on a work day with the probability
// 1 ÷ MeanDays, at most once, and never sooner than MinDays work days after the last time.
type Chance struct {
	MeanDays float64
	MinDays  int
	Window   Window // the work days, and the hours of them
	Drawn    bool   // at a time of the day that is drawn, too; else at any time in the window
	Group    string // what the times are counted of, in the ledger
	Ledger   string // its folder; empty: that of the state
	Pos      string
}

// StepKind tells faults from actions.
type StepKind string

const (
	FaultStep  StepKind = "fault"
	ActionStep StepKind = "action"
	PromptStep StepKind = "prompt"
)

// Step is a fault, an action or a prompt on an experiment's time line.
type Step struct {
	Kind      StepKind
	Name      string // "docker_kill.web"
	Type      string
	Plugin    string
	Start     time.Duration // after the experiment's injection begins, or after the last of After ended
	After     []string      // names of steps
	Duration  time.Duration // of a fault
	Timeout   time.Duration // of an action; of a prompt: how long it waits, 0 for ever
	Lease     time.Duration // of a fault
	Target    *Target       // of a fault
	EndsAfter []string      // of a fault: names of steps; when they are over it is put back, sooner than Duration
	Prompt    Prompt        // of a prompt
	OnEmpty   string        // of a fault: its own, or its target's
	// AcceptIrreversible says that the author accepts a fault that nothing puts back.
	AcceptIrreversible bool
	Config             Config
	Pos                string
}

// Prompt is a hold point: the time line waits until a person says whether to go on.
type Prompt struct {
	Question string
	Default  string // Continue or Stop: the answer when nobody is asked, or nobody answers in time
}

// The answers to a prompt.
const (
	Continue = "continue"
	Stop     = "stop"
)

// Guard stops the run, whatever is tested.
type Guard struct {
	Name        string
	Probe       *Probe
	Good        Predicate
	For         time.Duration // bad for this long; 0: the first bad sample
	NoDataAfter time.Duration // no sample for this long trips it too
	Pos         string
}

// Limits is the blast radius: zero values mean no limit.
type Limits struct {
	Set         bool    // the scenario has a limits block
	MaxTargets  int     // at once, over the whole run
	MaxPercent  float64 // 0–100, of any one target block's discovered set
	KeepPerZone int     // so many of each zone stay untouched
	Windows     []Window
}

// Window is a time in which a run may start and must end.
type Window struct {
	Days []time.Weekday // empty: every day
	From time.Duration  // since midnight
	To   time.Duration  // since midnight
	Zone *time.Location
	Pos  string
}

// Answer of a condition on one sample or candidate.
type Answer int

const (
	No Answer = iota
	Yes
	Unknown // null, or the evaluation failed: missing
)

// Predicate is a compiled condition on a sample.
type Predicate interface {
	// Eval judges one sample. A missing sample is Unknown; a failed one is No,
	// unless the objective says `count_failed = false`, which makes it Unknown. It
	// may be called from one goroutine at a time.
	Eval(*schema.Sample) Answer
	// Source is the condition's text.
	Source() string
	// Pos is "file:line" of the condition.
	Pos() string
}

// Filter is a compiled condition on a candidate.
type Filter interface {
	Eval(schema.Candidate) (bool, error)
	Source() string
	Pos() string
}
