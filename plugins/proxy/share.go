//go:build linux

package main

import (
	"errors"
	"time"

	"github.com/faultline-go/faultline/plugins/proxy/relay"
)

// led says which connections of a container or process a fault is about.
type led struct {
	Ports   []string `hcl:"ports,optional" example:"[\"8080\"]" doc:"For a container or process, and needed there: the TCP ports whose connections are led through the proxy. A proxy_listener takes none."`
	Traffic string   `hcl:"traffic,optional" default:"in" enum:"in|out" doc:"For a container or process: connections that are made to its ports, or that it makes to these ports of others."`
}

func (l led) leads() led { return l }

// connectionShare says which connections a fault hits.
type connectionShare struct {
	Percent float64 `hcl:"percent,optional" default:"100" min:"0" max:"100" doc:"Share of the connections that are hit."`
	First   int     `hcl:"first,optional" min:"1" doc:"Hit only so many connections, in the order in which they are accepted; those that are open when the fault begins come first. Default: no limit."`
	Seed    int     `hcl:"seed,optional" min:"1" doc:"The same seed hits the same connections and draws the same jitter and slices, if they come in the same order. Default: another one each time."`
	led
}

func (s connectionShare) stream(e relay.Effect, d relay.Direction, seed uint64) placement {
	return placement{stream: &relay.Fault{Effect: e, Direction: d, Percent: s.Percent, First: s.First, Seed: seed}}
}

func (s connectionShare) seed() uint64 { return uint64(s.Seed) }

// way is the direction of data that a fault works on.
type way struct {
	Direction string `hcl:"direction,optional" default:"both" enum:"upstream|downstream|both" doc:"Data from the client to the server (upstream), the answers (downstream), or both."`
}

func (w way) direction() relay.Direction {
	switch w.Direction {
	case "upstream":
		return relay.Upstream
	case "downstream":
		return relay.Downstream
	}
	return relay.Both
}

// answers is way for faults that, unless said otherwise, work on answers only: a
// question and its answer meet them once.
type answers struct {
	Direction string `hcl:"direction,optional" default:"downstream" enum:"upstream|downstream|both" doc:"Data from the client to the server (upstream), the answers (downstream), or both."`
}

func (a answers) direction() relay.Direction { return way(a).direction() }

// least is the shortest time that a fault can make anybody notice.
const least = time.Microsecond

var errNothing = errors.New("it would change nothing")
