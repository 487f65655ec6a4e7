//go:build linux

package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/faultline-go/faultline/plugins/proxy/relay"
)

// led says which connections of a container or process a fault is about.
type led struct {
	Ports   []string `hcl:"ports,optional" doc:"For a container or process, and needed there: the TCP ports whose connections are led through the proxy. A proxy_listener takes none."`
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

// units of a rate, in bytes a second.
var units = []struct {
	name  string
	bytes float64
}{
	{"kbit", 1e3 / 8}, {"mbit", 1e6 / 8}, {"gbit", 1e9 / 8}, {"bit", 1. / 8},
	{"kib", 1 << 10}, {"mib", 1 << 20}, {"gib", 1 << 30},
	{"kb", 1e3}, {"mb", 1e6}, {"gb", 1e9}, {"b", 1},
}

// parseRate reads a rate such as "1mbit", "1.5MB/s" or "64KiB" as bytes a second.
func parseRate(text string) (float64, error) {
	s := strings.ToLower(strings.ReplaceAll(text, " ", ""))
	s = strings.TrimSuffix(s, "/s")
	for _, u := range units {
		number, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(number, 64)
		if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
			break
		}
		if rate := n * u.bytes; rate >= 1 {
			return rate, nil
		}
		return 0, fmt.Errorf("rate %q is less than a byte a second", text)
	}
	return 0, fmt.Errorf("rate %q: write a number and bit, kbit, mbit, gbit, B, kB, MB, GB, KiB, MiB or GiB, as in \"1mbit\" or \"10MB/s\"", text)
}

var errNothing = errors.New("it would change nothing")
