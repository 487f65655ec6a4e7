package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/faultline-go/faultline/sdk/schema"
)

// Plugin is everything a plugin offers.
type Plugin struct {
	Name    string // local name, [a-z0-9]+; every type is the name, or starts with it and "_"
	Version string // semantic version
	Doc     string // one sentence

	// Settings takes the scenario's `plugin` block, made by SettingsOf; the zero
	// value takes no arguments.
	Settings SettingsType

	// Environment are the variables that the plugin, or a library that it uses, reads by
	// itself, such as DOCKER_HOST. It inherits them only where the scenario's `plugin`
	// block names them. What a scenario refers to by name, such as a token's variable, is
	// read with Env and is not declared.
	Environment []schema.EnvVar

	Faults  []FaultType
	Probes  []ProbeType
	Actions []ActionType
	Targets []TargetType

	// Scan is what can be found without an undo record: things that carry the plugin's mark
	// and that none of the known records, which are of all its fault types, speaks of.
	// Optional. It leaves out what a run that is going on holds, of which it is told nothing.
	Scan func(ctx context.Context, known []json.RawMessage) ([]Residue, error)
}

// Candidate is a thing that a target kind discovered.
type Candidate = schema.Candidate

// The holds and reversibilities of a fault, for Fault.
const (
	HoldKernel   = schema.HoldKernel
	HoldTarget   = schema.HoldTarget
	HoldProcess  = schema.HoldProcess
	HoldJournal  = schema.HoldJournal
	Reversible   = schema.Reversible
	SelfHealing  = schema.SelfHealing
	Irreversible = schema.Irreversible
)

// ErrGone is what Prepare and Inject return (wrapped) for a target that does not
// exist any more: a fact in the report, no error of the fault.
var ErrGone = errors.New("the target is gone")

// Fault is a fault type with configuration C and undo record U, written for one
// target at a time. Every function may be called by several goroutines for
// different targets; each gets a context with a deadline.
type Fault[C, U any] struct {
	Type          string
	Doc           string // one sentence, then what the author of a scenario must know
	Accepts       []schema.Accept
	Hold          schema.Hold
	Reversibility schema.Reversibility
	Requires      []string            // for people: "Linux 5.3", "the programs in the container"
	Capabilities  []schema.Capability // what it may do that a policy may deny
	Settle        time.Duration       // how long an Inject without an answer may still take effect
	RevertTime    time.Duration       // the longest that reverting one target may take
	Concurrency   int                 // targets worked on at once; 0: 16

	// Check looks at a configuration beyond what its tags can say: before anything is
	// planned, and again with each call. Optional, pure. With At its errors say which
	// argument they are about, and the engine shows them there.
	Check func(C) error
	// Example is a body in HCL for the documentation, without target and duration.
	// Optional: without it one is made from what is required and from example tags.
	Example string
	// Prepare looks at the target, touches nothing, and returns what Revert needs in
	// a fresh process after a crash at any point. Calling it twice changes nothing.
	Prepare func(ctx context.Context, t PrepareTarget, c C) (Prepared[U], error)
	// Inject breaks the target. It first checks that the target still is the
	// incarnation that Prepare saw. It may fail half-way, and is never retried.
	Inject func(ctx context.Context, c C, u U) error
	// Renew prolongs a fault that the kernel or a helper ends by itself when nobody
	// holds it any more (Hold is HoldKernel or HoldTarget): from now on it has ttl to
	// live. Optional. The SDK calls it whenever the engine has renewed the lease, for
	// each target that was injected; Inject learns the first ttl from LeaseOf. One call
	// a fault is under way at a time, and none while it is injected or reverted. Errors
	// are reported, and if none has succeeded for a whole ttl the lease is lost, because
	// then the fault has ended by itself. ErrGone is no error: there is nothing to hold.
	Renew func(ctx context.Context, u U, ttl time.Duration) error
	// Observe measures whether the fault bites. It changes nothing.
	Observe func(ctx context.Context, c C, u U) (Effect, error)
	// Revert puts back, from the undo record alone, and verifies. It is idempotent,
	// and correct for a fault that was never injected or only half. An error means
	// failed: it is tried again.
	Revert func(ctx context.Context, u U) (Reverted, error)
	// Scan says what of ours is still there: for each known undo record whether the
	// system still looks as the fault left it, and anything else marked as ours.
	Scan func(ctx context.Context, known []Known[U]) ([]Residue, error)
}

// PrepareTarget is the target of a Prepare.
type PrepareTarget struct {
	Candidate
	// AcceptIrreversible is set when the scenario says irreversible = "accept".
	AcceptIrreversible bool
}

// Prepared is what Prepare found out.
type Prepared[U any] struct {
	Undo        U
	Incarnation string   // of the target now: "pid 12 started 3456"
	Resources   []string // what the fault occupies while it is on: "container:<id>/lifecycle"
}

// Effect is what a fault does to one target.
type Effect struct {
	Bites    bool               // the fault can be seen to act, or to have acted
	Ended    bool               // it did, and the target has come back by itself
	Detail   string             // what was seen, for the report
	Measures map[string]float64 // with the unit in the name: "delay_s"
}

// Outcome of a Revert that did not fail.
type Outcome string

const (
	PutBack       Outcome = "reverted"
	AlreadyGone   Outcome = "already_gone"   // nothing of ours was there (any more)
	ForeignChange Outcome = "foreign_change" // somebody else changed it meanwhile; left alone
)

// Reverted says how a Revert ended.
type Reverted struct {
	Outcome Outcome
	Proof   string // what was looked at to be sure
	Residue bool   // with ForeignChange: it may still bite
}

// Known is an undo record that a Scan should look for.
type Known[U any] struct {
	Fault  string // the lease's id
	Target string
	Undo   U
}

// Residue is something of ours that a Scan found.
type Residue struct {
	Fault  string // empty when it is not known
	Target string
	Kind   string // ResidueMarked or ResidueMatches
	Detail string
}

// The kinds of residue.
const (
	ResidueMarked  = "marked"             // it carries our mark: a label, a handle, a table name
	ResidueMatches = "still_matches_undo" // it still is as the fault left it
)

// Probe is a probe type with configuration C. The SDK owns the open loop: it calls
// the opened probe at each scheduled time, whether earlier calls have answered or
// not.
type Probe[C any] struct {
	Type         string
	Doc          string
	Sample       []schema.Attribute  // what Extra has; types "string", "number", "bool"
	Example      string              // a body in HCL, for the documentation; optional
	Capabilities []schema.Capability // as those of a Fault
	Check        func(C) error       // optional, pure, as that of a Fault
	// Open makes the probe ready: connections, parsed addresses. The returned
	// function measures once, under a context with the sample's timeout; it is called
	// by many goroutines. close may be nil.
	Open func(ctx context.Context, c C) (measure func(context.Context) Sample, close func(), err error)
}

// Sample is what one measurement found. The zero value is a good sample without a
// value; use Good, Bad, Missing.
type Sample struct {
	Status schema.Status
	Value  *float64
	Extra  map[string]any
	Error  string // short, without parts that vary from sample to sample
}

// Action is a step that is done once, with configuration C.
type Action[C any] struct {
	Type         string
	Doc          string
	Example      string              // a body in HCL, for the documentation; optional
	Capabilities []schema.Capability // as those of a Fault
	Check        func(C) error       // optional, pure, as that of a Fault
	// Do returns one line for the report.
	Do func(ctx context.Context, c C) (detail string, err error)
}

// Target is a kind of target, with the match block M.
type Target[M any] struct {
	Type         string
	Doc          string
	Interfaces   []string            // what faults accept it as
	Attributes   []schema.Attribute  // what Discover fills in
	Example      string              // the body of match in HCL, for the documentation; optional
	Capabilities []schema.Capability // as those of a Fault
	Check        func(M) error       // optional, pure, as that of a Fault
	// Discover lists what matches. Kind and Interfaces are filled in by the SDK.
	Discover func(ctx context.Context, m M) ([]Candidate, error)
}

// SettingsOf makes the plugin's `plugin` block: apply is called once before
// anything else, with the decoded settings. A check is pure, as that of a Fault, and comes
// before it.
func SettingsOf[S any](apply func(ctx context.Context, s S) error, check ...func(S) error) SettingsType {
	decoded := func(raw []byte) (S, error) {
		s, err := decode[S](raw)
		for _, c := range check {
			if err == nil {
				err = c(s)
			}
		}
		return s, err
	}
	return SettingsType{
		body: bodyOf[S],
		check: func(raw []byte) (err error) {
			defer recovered(&err)
			_, err = decoded(raw)
			return err
		},
		apply: func(ctx context.Context, raw []byte) error {
			s, err := decoded(raw)
			if err != nil {
				return err
			}
			return apply(ctx, s)
		},
	}
}

type runKey struct{}

// Run is the run that a plugin is being configured for, by the context of the function
// given to SettingsOf; empty while somebody only plans or looks.
func Run(ctx context.Context) string {
	run, _ := ctx.Value(runKey{}).(string)
	return run
}

// SettingsType is a plugin's settings, made by SettingsOf.
type SettingsType struct {
	body  func() (schema.Body, error)
	check func(raw []byte) error
	apply func(ctx context.Context, raw []byte) error
}

// FaultType is any Fault.
type FaultType interface {
	describe() (schema.Fault, error)
	faultRunner
}

// ProbeType is any Probe.
type ProbeType interface {
	describe() (schema.Probe, error)
	check(config []byte) error
	open(ctx context.Context, config []byte) (func(context.Context) Sample, func(), error)
}

// ActionType is any Action.
type ActionType interface {
	describe() (schema.Action, error)
	check(config []byte) error
	do(ctx context.Context, config []byte) (string, error)
}

// TargetType is any Target.
type TargetType interface {
	describe() (schema.Target, error)
	check(match []byte) error
	discover(ctx context.Context, match []byte) ([]Candidate, error)
}
