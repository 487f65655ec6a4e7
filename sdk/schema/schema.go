// Package schema is the vocabulary in which a plugin says what it offers: its
// faults, probes, actions and target kinds, and the arguments that each takes.
//
// It is plain data with a JSON form, and that form is the one that travels from a
// plugin to the engine, rests in the engine's cache and is printed by
// `faultline plugin list -format json`. It imports nothing of ours, so that a plugin
// author, the scenario loader and the documentation can all share it.
package schema

// Version is the format of a Description. A reader refuses a higher one.
const Version = 1

// Description is everything the engine needs to know of a plugin before it runs
// anything: it is pure, never depends on the machine, and is cached under the
// checksum of the plugin's binary.
type Description struct {
	Format   int      `json:"format"`            // Version
	Name     string   `json:"name"`              // local name, [a-z0-9]+: "docker"
	Version  string   `json:"version"`           // semantic version without "v"
	Doc      string   `json:"doc"`               // one sentence
	Settings Body     `json:"settings"`          // arguments of the scenario's `plugin` block
	Faults   []Fault  `json:"faults,omitempty"`  // sorted by type, like the other lists
	Probes   []Probe  `json:"probes,omitempty"`  //
	Actions  []Action `json:"actions,omitempty"` //
	Targets  []Target `json:"targets,omitempty"` //

	// Environment are the variables that the plugin reads by itself, whatever a scenario
	// says. A plugin inherits them where the scenario's `plugin` block names them;
	// faultline's own plugins always do.
	Environment []EnvVar `json:"environment,omitempty"`
}

// Hold says who ends a fault when engine, plugin and guardian are all dead.
type Hold string

const (
	HoldKernel  Hold = "kernel"  // the kernel ends it by a timer or with its owner
	HoldTarget  Hold = "target"  // something placed at the target ends it by its own timer
	HoldProcess Hold = "process" // the target stays as it is (a stopped process) until recover runs
	HoldJournal Hold = "journal" // only the journal's undo record knows; until recover runs
)

// Reversibility says whether a fault can be put back.
type Reversibility string

const (
	Reversible   Reversibility = "reversible"   // Revert puts it back
	SelfHealing  Reversibility = "self_healing" // the system puts it back; Revert only verifies
	Irreversible Reversibility = "irreversible" // nothing does; refused unless the scenario accepts it
)

// Fault describes one fault type.
type Fault struct {
	Type          string        `json:"type"` // "docker_kill"
	Doc           string        `json:"doc"`
	Config        Body          `json:"config"`
	Accepts       []Accept      `json:"accepts"` // any one of these suffices
	Hold          Hold          `json:"hold"`
	Reversibility Reversibility `json:"reversibility"`
	Requires      []string      `json:"requires,omitempty"`     // "Linux 5.3": for people
	Capabilities  []Capability  `json:"capabilities,omitempty"` // what it may do, and a policy may deny
	SettleMS      int64         `json:"settle_ms,omitempty"`    // how long a lost Inject may still take effect
	RevertMS      int64         `json:"revert_ms"`              // worst time to revert one target
	Concurrency   int           `json:"concurrency"`            // targets worked on at once
	Example       string        `json:"example,omitempty"`      // a body in HCL; empty: one is made from the arguments
}

// Accept is a target interface that a fault can work on, with the attributes of
// the target that it reads.
type Accept struct {
	Interface  string   `json:"interface"` // "container", "process", "netns"
	Attributes []string `json:"attributes,omitempty"`
}

// Probe describes one probe type. Every sample has ok (bool), latency (seconds),
// value (number) and time (seconds since the Unix epoch); Sample lists what this
// type adds.
type Probe struct {
	Type    string      `json:"type"`
	Doc     string      `json:"doc"`
	Config  Body        `json:"config"`
	Sample  []Attribute `json:"sample,omitempty"` // Type is "string", "number" or "bool"
	Example string      `json:"example,omitempty"`

	Capabilities []Capability `json:"capabilities,omitempty"`
}

// Action describes a step that is done once and leaves nothing to put back.
type Action struct {
	Type    string `json:"type"`
	Doc     string `json:"doc"`
	Config  Body   `json:"config"`
	Example string `json:"example,omitempty"`

	Capabilities []Capability `json:"capabilities,omitempty"`
}

// Target describes a kind of target that the plugin can discover.
type Target struct {
	Type       string      `json:"type"` // "docker_container"
	Doc        string      `json:"doc"`
	Match      Body        `json:"match"`      // arguments of the `match` block
	Interfaces []string    `json:"interfaces"` // what faults may accept it as
	Attributes []Attribute `json:"attributes"` // what `candidate.` has in a filter
	Example    string      `json:"example,omitempty"`

	Capabilities []Capability `json:"capabilities,omitempty"`
}

// FaultMeta and the lists beside it name the arguments that the engine itself
// reads in a block; a plugin's schema that uses one of them is refused.
var (
	FaultMeta  = []string{"target", "start", "after", "ends_after", "duration", "lease", "for_each", "on_empty", "irreversible"}
	ProbeMeta  = []string{"rate", "interval", "timeout", "for_each"}
	ActionMeta = []string{"start", "after", "timeout", "for_each"}
	PluginMeta = []string{"source", "version", "environment"}
	// SampleCore are the fields that every sample has.
	SampleCore = []Attribute{
		{Name: "ok", Type: "bool", Doc: "the probe got the answer it wants"},
		{Name: "latency", Type: "number", Doc: "seconds from the scheduled send to the answer"},
		{Name: "value", Type: "number", Doc: "the measured value, for probes that have one"},
		{Name: "time", Type: "number", Doc: "scheduled send, seconds since the Unix epoch"},
	}
)
