//go:build linux

package main

import (
	"math"

	"github.com/faultline-go/faultline/plugins/net/impair"
	"github.com/faultline-go/faultline/sdk"
)

type bandwidthConfig struct {
	choice
	Direction string    `hcl:"direction,optional" enum:"out|in|both" doc:"Packets that leave the target, that arrive, or both, each with the whole rate; default: what to and from say, else out."`
	Rate      sdk.Rate  `hcl:"rate" min:"800bit" example:"1mbit" doc:"What passes in a second: \"1mbit\", \"2.5gbit\", \"10MB/s\"."`
	Burst     *sdk.Size `hcl:"burst,optional" min:"1600B" max:"4GB" doc:"How much may go at once, as in \"32kB\"; default: what 10 ms carry, and 10 kB at least."`
	Limit     *sdk.Size `hcl:"limit,optional" min:"1600B" max:"4GB" doc:"How much may wait; more is lost. Default: what 200 ms carry, and 64 kB at least."`
}

func bandwidth() sdk.Fault[bandwidthConfig, undo] {
	return kind[bandwidthConfig]{
		typ:   "net_bandwidth",
		doc:   "Slows a network down to a rate, all chosen packets of an interface together. What has to wait too long is lost.",
		usual: "out",
		chooses: func(c bandwidthConfig) (choice, string, float64) {
			return c.choice, c.Direction, 0
		},
		acts: func(c bandwidthConfig, _ impair.Abilities) (deed, error) {
			r := c.bucket()
			return deed{Action: impair.Action{Rate: &r}, how: "a token bucket of " + c.Rate.String()}, nil
		},
	}.fault()
}

const mostBytes = math.MaxUint32

// bucket is the token bucket that the scenario asks for. A burst below the longest packet
// would let nothing pass, which is why the schema asks for 1600 bytes.
func (c bandwidthConfig) bucket() impair.Rate {
	r := impair.Rate{Bytes: uint64(c.Rate.BytesPerSecond())}
	size := func(given *sdk.Size, usual float64) uint32 {
		if given != nil {
			return uint32(*given)
		}
		return uint32(min(usual, mostBytes))
	}
	r.Burst = size(c.Burst, max(float64(r.Bytes)*0.01, 10e3))
	r.Limit = size(c.Limit, max(float64(r.Bytes)*0.2, 64e3)+float64(r.Burst))
	return r
}
