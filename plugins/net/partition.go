//go:build linux

package main

import (
	"errors"

	"github.com/faultline-go/faultline/plugins/net/impair"
	"github.com/faultline-go/faultline/sdk"
)

type cutConfig struct {
	choice
	wholePercent
	Direction string `hcl:"direction,optional" enum:"out|in|both" doc:"Packets that leave the target, that arrive, or both; default: what to and from say, else both."`
	Answer    string `hcl:"answer,optional" enum:"drop|reject" default:"drop" doc:"drop lets packets vanish, as a cut cable does; reject answers them, as a host does on which nobody listens."`
}

// cutAction is what a fault that cuts does with packets.
func cutAction(c cutConfig, _ impair.Abilities) (deed, error) {
	if c.Answer == "reject" {
		return deed{Action: impair.Action{Reject: true}, how: "a rule of nftables that rejects"}, nil
	}
	return deed{Action: impair.Action{Drop: true}, how: "a rule of nftables that drops"}, nil
}

func cutChoice(c cutConfig) (choice, string, float64) { return c.choice, c.Direction, c.Percent }

func partition() sdk.Fault[cutConfig, undo] {
	return kind[cutConfig]{
		typ: "net_partition",
		doc: "Cuts a target off from others, or from everybody. Connections are not closed: their packets vanish or are rejected. " +
			"A program that sends datagrams may see the error \"operation not permitted\" for those that are dropped on their way out.",
		usual:   "both",
		check:   func(c cutConfig) error { return c.wholePercent.check() },
		chooses: cutChoice,
		acts:    cutAction,
	}.fault()
}

func blackholePort() sdk.Fault[cutConfig, undo] {
	return kind[cutConfig]{
		typ: "net_blackhole_port",
		doc: "Lets the packets of certain ports vanish, in both directions if nothing else is said: of a service that the target offers " +
			"(ports_of = \"target\"), or of one that it uses (ports_of = \"peer\").",
		usual: "both",
		check: func(c cutConfig) error {
			if len(c.Ports) == 0 {
				return errors.New("ports: say which; to cut everything off use net_partition")
			}
			return c.wholePercent.check()
		},
		chooses: cutChoice,
		acts:    cutAction,
	}.fault()
}
