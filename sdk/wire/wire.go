// Package wire is the contract between engine and plugin, and the only thing that
// both sides share at run time. It speaks gRPC inside and plain Go outside: the
// types generated from plugin.proto never leave this package.
//
// A Client is the engine's end, a Server the plugin's. Both sides' calls are batch
// calls over targets with one result a target; a call's own error means that the
// plugin could not be asked or that the whole call made no sense.
package wire

//go:generate go run ./generate

import (
	"context"
	"encoding/json"
	"time"

	"github.com/faultline-go/faultline/sdk/schema"
)

// The go-plugin handshake. Protocol is the newest that this package speaks, and
// OldestProtocol the oldest: the engine offers them all, and the plugin picks the newest
// that it knows, too. Protocol is raised when plugin.proto changes in a way that an older
// side cannot read; README.md has the rules.
const (
	Protocol       = 1
	OldestProtocol = 1

	CookieKey   = "FAULTLINE_PLUGIN"
	CookieValue = "a-fault-is-a-lease"
	// ServiceName is the name under which go-plugin dispenses the service.
	ServiceName = "faultline"
	// LogVariable is the environment variable by which the engine says what a plugin
	// need not log: debug, info, warn or error. Without it: info.
	LogVariable = "FAULTLINE_LOG"
	// SharedVariable is the environment variable by which a plugin is told, with any
	// value, that engines attach to it one after the other.
	SharedVariable = "FAULTLINE_SHARED"
	// MaxMessage bounds one gRPC message, in bytes.
	MaxMessage = 16 << 20
)

// Server is what a plugin serves. Package sdk implements it for plugin authors.
type Server interface {
	Describe(context.Context) (*schema.Description, error)
	Configure(context.Context, Configure) error
	Discover(ctx context.Context, typ string, match json.RawMessage) ([]schema.Candidate, error)
	Prepare(context.Context, Prepare, func(Prepared) error) error
	// Inject is refused while no session is open: nobody would hold the lease.
	Inject(context.Context, Inject, func(Injected) error) error
	Observe(context.Context, Observe, func(Observed) error) error
	Revert(context.Context, Revert, func(Reverted) error) error
	Scan(context.Context, []Known, func(Finding) error) error
	// Session reads renewals until the engine is gone, and answers each.
	Session(ctx context.Context, recv func() (Renewal, error), send func(LeaseEvent) error) error
	Probe(context.Context, Probe, func(Batch) error) error
	Act(ctx context.Context, typ string, config json.RawMessage) (detail string, err error)
}

// Configure is the first call of a run.
type Configure struct {
	Settings json.RawMessage
	Run      string // empty outside a run
	RunDir   string // empty outside a run
}

// Prepare asks for undo records.
type Prepare struct {
	Type               string
	Config             json.RawMessage
	Targets            []schema.Candidate
	AcceptIrreversible bool
}

// Prepared is the answer for one target. Err is set when nothing else is.
type Prepared struct {
	Target      string
	Undo        json.RawMessage
	Incarnation string
	Resources   []string // what the fault occupies: "container:<id>/lifecycle"
	Gone        bool
	Err         string
	Problems    []Problem // with Err: the arguments that it is about
}

// Lease names a fault of a run. With an epoch that is not the run folder's a plugin
// injects nothing, and with one below it renews nothing; it always reverts.
type Lease struct {
	Run   string
	Fault string
	Epoch int
}

// Undo is a target's undo record.
type Undo struct {
	Target string
	Undo   json.RawMessage
}

// Inject asks for a fault, held for TTL after each renewal and for HardEnd at most.
type Inject struct {
	Lease   Lease
	Type    string
	Config  json.RawMessage
	Targets []Undo
	TTL     time.Duration
	HardEnd time.Duration
}

// Injected is the answer for one target. Gone: it had died by itself.
type Injected struct {
	Target string
	Err    string
	Gone   bool
	At     time.Time
}

// Observe asks what a fault does.
type Observe struct {
	Type    string
	Config  json.RawMessage
	Targets []Undo
}

// Observed is the answer for one target. Measures carry their unit in the name.
type Observed struct {
	Target   string
	Err      string
	Bites    bool
	Ended    bool
	Detail   string
	Measures map[string]float64
	At       time.Time
}

// Revert asks to put back.
type Revert struct {
	Lease   Lease
	Type    string
	By      string
	Targets []Undo
	Again   bool // even where an outcome is on record: the fault was seen to bite after it
}

// The outcomes of a revert.
const (
	OutcomeReverted = "reverted"
	OutcomeGone     = "already_gone"
	OutcomeForeign  = "foreign_change"
	OutcomeFailed   = "failed"
)

// Reverted is the answer for one target; its JSON form is that of the outcome file.
type Reverted struct {
	Target  string    `json:"target"`
	Outcome string    `json:"outcome"`
	By      string    `json:"by"`
	Proof   string    `json:"proof,omitempty"`
	Residue bool      `json:"residue,omitempty"`
	Err     string    `json:"error,omitempty"`
	At      time.Time `json:"at"`
}

// Known is a fault whose undo records a scan should look for.
type Known struct {
	Type    string
	Fault   string
	Targets []Undo
}

// Finding is something of ours that is still there.
type Finding struct {
	Fault  string
	Target string
	Kind   string // marked, still_matches_undo
	Detail string
}

// Renewal prolongs leases.
type Renewal struct {
	Sequence int64
	Leases   []Lease
}

// LeaseEvent answers a renewal, or says of itself that leases were lost.
type LeaseEvent struct {
	Sequence int64
	Lost     []string // faults
}

// Probe asks for samples, the first at Start, then one every Interval.
type Probe struct {
	Type     string
	Config   json.RawMessage
	Interval time.Duration
	Timeout  time.Duration
	Start    time.Time
}

// Batch is some samples of a probe, ordered by scheduled time within the batch but
// not between batches: a slow answer comes later. It may be empty.
type Batch struct {
	Samples  []schema.Sample
	Complete time.Time // every sample scheduled before it has been sent
}
