//go:build linux

package main

import (
	"errors"
	"fmt"

	"github.com/faultline-go/faultline/plugins/net/impair"
	"github.com/faultline-go/faultline/sdk"
)

type lossConfig struct {
	choice
	Direction   string  `hcl:"direction,optional" enum:"out|in|both" doc:"Packets that leave the target, that arrive, or both; default: what to and from say, else both."`
	Percent     float64 `hcl:"percent,optional" example:"5" min:"0" max:"100" doc:"Share of the packets that is lost, with model = \"random\"."`
	Correlation float64 `hcl:"correlation_percent,optional" min:"0" max:"100" doc:"How much the loss of a packet depends on that of the one before it."`
	Model       string  `hcl:"model,optional" enum:"random|gilbert-elliott" default:"random" doc:"random loses each packet with the same chance; gilbert-elliott loses them in bursts."`
	ToBad       float64 `hcl:"to_bad_percent,optional" min:"0" max:"100" doc:"With gilbert-elliott: chance to go from the good state to the bad one, with each packet."`
	ToGood      float64 `hcl:"to_good_percent,optional" min:"0" max:"100" doc:"With gilbert-elliott: chance to go back to the good state, with each packet."`
	LossBad     float64 `hcl:"loss_bad_percent,optional" default:"100" min:"0" max:"100" doc:"With gilbert-elliott: share that is lost in the bad state."`
	LossGood    float64 `hcl:"loss_good_percent,optional" default:"0" min:"0" max:"100" doc:"With gilbert-elliott: share that is lost in the good state."`
}

func (c lossConfig) check() error {
	switch {
	case c.Model == "random" && (c.Percent == 0 || impair.Rounds(c.Percent)):
		return errors.New("percent: say which share of the packets is lost, one that is more than no packet at all")
	case c.Model == "random" && (c.ToBad != 0 || c.ToGood != 0):
		return errors.New("to_bad_percent and to_good_percent belong to model = \"gilbert-elliott\"")
	case c.Model == "random":
		return nil
	case c.Percent != 0 || c.Correlation != 0:
		return errors.New("percent and correlation_percent belong to model = \"random\"")
	case c.ToBad == 0 || c.ToGood == 0:
		return errors.New("model = \"gilbert-elliott\" needs to_bad_percent and to_good_percent")
	}
	return nil
}

func loss() sdk.Fault[lossConfig, undo] {
	return kind[lossConfig]{
		typ: "net_loss",
		doc: "Loses packets, each with the same chance or in bursts. Evenly spread loss is made by nftables; " +
			"correlation and bursts by the kernel's netem or, without it, by a program in user space.",
		usual: "both",
		check: lossConfig.check,
		chooses: func(c lossConfig) (choice, string, float64) {
			if c.plain() {
				return c.choice, c.Direction, c.Percent
			}
			return c.choice, c.Direction, 0
		},
		acts: lossAction,
	}.fault()
}

// plain loss needs no memory of the packet before.
func (c lossConfig) plain() bool { return c.Model == "random" && c.Correlation == 0 }

func lossAction(c lossConfig, can impair.Abilities) (deed, error) {
	if c.plain() {
		return deed{Action: impair.Action{Drop: true}, how: fmt.Sprintf("a rule of nftables that drops %g %%", c.Percent)}, nil
	}
	n := impair.Netem{Loss: c.Percent / 100, Correlation: c.Correlation / 100}
	if c.Model != "random" {
		n = impair.Netem{Gilbert: &impair.Gilbert{ToBad: c.ToBad / 100, ToGood: c.ToGood / 100, LossBad: c.LossBad / 100, LossGood: c.LossGood / 100}}
	}
	return netemOrUserSpace(n, can), nil
}

// netemOrUserSpace is an action of the kernel's netem or, on a kernel that lacks it, of a
// program of ours through which the kernel leads the packets. When that dies, they go on
// as if nothing were.
func netemOrUserSpace(n impair.Netem, can impair.Abilities) deed {
	if can.Netem {
		return deed{Action: impair.Action{Netem: &n}, how: "netem"}
	}
	return deed{
		Action: impair.Action{Queue: &impair.Queue{}}, late: &n, // it has a number once it is open
		how: "a queue in user space (this kernel lacks netem)",
	}
}

// netemOnly is an action that only the kernel's netem can do.
func netemOnly(n impair.Netem, percent float64, can impair.Abilities) (deed, error) {
	if !can.Netem {
		return deed{}, errors.New("this kernel lacks netem (module sch_netem), which the fault needs: install the package with the kernel's extra modules; " +
			"without it there are net_delay and net_loss in user space, and all faults that cut or slow")
	}
	return deed{Action: impair.Action{Netem: &n}, how: fmt.Sprintf("netem with %g %%", percent)}, nil
}
