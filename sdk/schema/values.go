package schema

import "time"

// Candidate is something a target kind discovered, that an engine may pick.
type Candidate struct {
	Kind        string         `json:"kind"`        // "docker_container"
	ID          string         `json:"id"`          // logical identity: the same after a restart
	Name        string         `json:"name"`        // for people
	Incarnation string         `json:"incarnation"` // changes when it is started anew
	Interfaces  []string       `json:"interfaces"`  // what a fault may accept it as
	Attributes  map[string]any `json:"attributes"`  // JSON values; "zone" is the failure domain
}

// Status of a sample.
type Status int

const (
	OK      Status = iota // the probe got the answer it wants
	Failed                // it got another answer, or none in time: a bad sample
	Missing               // nothing was measured: neither good nor bad
)

// Sample is one measurement of a probe.
type Sample struct {
	Scheduled time.Time      // when it was to be sent; decides its phase
	Status    Status         //
	Latency   float64        // seconds from Scheduled to the answer; NaN: none
	Value     float64        // NaN: none
	Extra     map[string]any // what the probe type adds: string, float64 or bool
	Error     string         // why it failed or is missing, short and without values that vary
}
