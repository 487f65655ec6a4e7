//go:build linux

package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/faultline-go/faultline/plugins/net/impair"
	"github.com/faultline-go/faultline/sdk"
)

type bandwidthConfig struct {
	choice
	Direction string `hcl:"direction,optional" enum:"out|in|both" doc:"Packets that leave the target, that arrive, or both, each with the whole rate; default: what to and from say, else out."`
	Rate      string `hcl:"rate" doc:"Bits a second: \"1mbit\", \"500kbit\", \"2.5gbit\"."`
	Burst     string `hcl:"burst,optional" doc:"Bytes that may go at once: \"32kb\"; default: what 10 ms carry, and 10 kb at least."`
	Limit     string `hcl:"limit,optional" doc:"Bytes that may wait; more are lost. Default: what 200 ms carry, and 64 kb at least."`
}

func bandwidth() sdk.Fault[bandwidthConfig, undo] {
	return kind[bandwidthConfig]{
		typ:   "net_bandwidth",
		doc:   "Slows a network down to a rate, all chosen packets of an interface together. What has to wait too long is lost.",
		usual: "out",
		check: func(c bandwidthConfig) error { _, err := c.bucket(); return err },
		chooses: func(c bandwidthConfig) (choice, string, float64) {
			return c.choice, c.Direction, 0
		},
		acts: func(c bandwidthConfig, _ impair.Abilities) (deed, error) {
			r, err := c.bucket()
			return deed{Action: impair.Action{Rate: &r}, how: "a token bucket of " + c.Rate}, err
		},
	}.fault()
}

const (
	longestPacket = 1600 // a burst below it would let nothing pass
	mostBytes     = math.MaxUint32
)

// bucket is the token bucket that the scenario asks for.
func (c bandwidthConfig) bucket() (r impair.Rate, err error) {
	bits, err := quantity(c.Rate, map[string]float64{"bit": 1, "kbit": 1e3, "mbit": 1e6, "gbit": 1e9})
	if err != nil {
		return r, fmt.Errorf("rate: %w: write it as \"1mbit\"", err)
	}
	if r.Bytes = uint64(bits / 8); r.Bytes < 100 {
		return r, fmt.Errorf("rate: %s is less than 100 bytes a second, which is as good as nothing: use net_partition", c.Rate)
	}
	sizes := map[string]float64{"b": 1, "kb": 1e3, "mb": 1e6, "kib": 1 << 10, "mib": 1 << 20}
	size := func(name, text string, usual float64) (uint32, error) {
		if text == "" {
			return uint32(min(usual, mostBytes)), nil
		}
		n, err := quantity(text, sizes)
		switch {
		case err != nil:
			return 0, fmt.Errorf("%s: %w: write it as \"32kb\"", name, err)
		case n < longestPacket || n > mostBytes:
			return 0, fmt.Errorf("%s: %s is not between %d bytes, below which no packet passes, and 4 gb", name, text, longestPacket)
		}
		return uint32(n), nil
	}
	if r.Burst, err = size("burst", c.Burst, max(float64(r.Bytes)*0.01, 10e3)); err != nil {
		return r, err
	}
	r.Limit, err = size("limit", c.Limit, max(float64(r.Bytes)*0.2, 64e3)+float64(r.Burst))
	return r, err
}

// quantity reads a number with a unit.
func quantity(text string, units map[string]float64) (float64, error) {
	text = strings.ToLower(strings.TrimSpace(text))
	end := strings.IndexFunc(text, func(r rune) bool { return (r < '0' || '9' < r) && r != '.' })
	if end < 0 {
		return 0, fmt.Errorf("%q has no unit", text)
	}
	n, err := strconv.ParseFloat(text[:end], 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no number with a unit", text)
	}
	unit, ok := units[strings.TrimSpace(text[end:])]
	if !ok {
		return 0, fmt.Errorf("%q has no unit that is known here", text)
	}
	return n * unit, nil
}
