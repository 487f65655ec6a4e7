//go:build linux

package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/faultline-go/faultline/plugins/net/impair"
	"github.com/faultline-go/faultline/sdk"
)

type delayConfig struct {
	choice
	wholePercent
	Direction    string        `hcl:"direction,optional" enum:"out|in|both" doc:"Packets that leave the target, that arrive, or both (which delays an answer twice); default: what to and from say, else out."`
	Delay        time.Duration `hcl:"delay" example:"100ms" min:"1ms" max:"4m" doc:"How much later packets come."`
	Jitter       time.Duration `hcl:"jitter,optional" min:"0s" max:"4m" doc:"How much the delay varies: at most that with the uniform distribution, else its standard deviation."`
	Correlation  float64       `hcl:"correlation_percent,optional" min:"0" max:"100" doc:"How much the delay of a packet depends on that of the one before it."`
	Distribution string        `hcl:"distribution,optional" enum:"uniform|normal|pareto" default:"uniform" doc:"How the jitter is spread."`
	Reorder      float64       `hcl:"reorder_percent,optional" min:"0" max:"100" doc:"Share of the packets that is not delayed, and so overtakes others."`
}

func (c delayConfig) check() error {
	switch {
	case c.Jitter > c.Delay:
		return errors.New("jitter: it cannot be more than the delay, packets would have to come before they are sent")
	case c.Jitter == 0 && (c.Correlation != 0 || c.Distribution != "uniform"):
		return errors.New("correlation_percent and distribution are about the jitter, and there is none")
	}
	return c.wholePercent.check()
}

func delay() sdk.Fault[delayConfig, undo] {
	return kind[delayConfig]{
		typ: "net_delay",
		doc: "Delays packets, all by the same time or with jitter. Jitter reorders packets, as it does in real networks. " +
			"Made by the kernel's netem or, without it, by a program in user space.",
		usual:   "out",
		check:   delayConfig.check,
		chooses: func(c delayConfig) (choice, string, float64) { return c.choice, c.Direction, c.Percent },
		acts: func(c delayConfig, can impair.Abilities) (deed, error) {
			d := netemOrUserSpace(impair.Netem{
				Delay: c.Delay, Jitter: c.Jitter, Correlation: c.Correlation / 100, Distribution: c.Distribution, Reorder: c.Reorder / 100,
			}, can)
			d.how = fmt.Sprintf("a delay of %s by %s", c.Delay, d.how)
			return d, nil
		},
	}.fault()
}

type damageConfig struct {
	choice
	Direction   string  `hcl:"direction,optional" enum:"out|in|both" doc:"Packets that leave the target, that arrive, or both; default: what to and from say, else out."`
	Percent     float64 `hcl:"percent" unit:"percent" example:"5" min:"0" max:"100" doc:"Share of the packets that it happens to."`
	Correlation float64 `hcl:"correlation_percent,optional" min:"0" max:"100" doc:"How much what happens to a packet depends on the one before it."`
}

func (c damageConfig) check() error {
	if c.Percent == 0 || impair.Rounds(c.Percent) {
		return errors.New("percent: so small a share means no packet at all")
	}
	return nil
}

// damage is a fault of netem's that happens to a share of the packets.
func damage(typ, doc string, of func(damageConfig) impair.Netem) sdk.Fault[damageConfig, undo] {
	return kind[damageConfig]{
		typ: typ, doc: doc + " It needs the kernel's netem.", usual: "out",
		check:   damageConfig.check,
		chooses: func(c damageConfig) (choice, string, float64) { return c.choice, c.Direction, 0 },
		acts: func(c damageConfig, can impair.Abilities) (deed, error) {
			return netemOnly(of(c), c.Percent, can)
		},
	}.fault()
}

func duplicate() sdk.Fault[damageConfig, undo] {
	return damage("net_duplicate", "Sends packets twice.", func(c damageConfig) impair.Netem {
		return impair.Netem{Duplicate: c.Percent / 100, Correlation: c.Correlation / 100}
	})
}

func corrupt() sdk.Fault[damageConfig, undo] {
	return damage("net_corrupt", "Turns one bit of a packet over, so that its checksum is wrong and the receiver throws it away, or not.", func(c damageConfig) impair.Netem {
		return impair.Netem{Corrupt: c.Percent / 100, Correlation: c.Correlation / 100}
	})
}

type reorderConfig struct {
	damageConfig
	Gap   int           `hcl:"gap,optional" min:"1" max:"1000" default:"1" doc:"Every how many packets one may overtake."`
	Delay time.Duration `hcl:"delay,optional" default:"10ms" min:"1ms" max:"10s" doc:"How much later all other packets come, so that there is somebody to be overtaken."`
}

func reorder() sdk.Fault[reorderConfig, undo] {
	return kind[reorderConfig]{
		typ:     "net_reorder",
		doc:     "Lets packets overtake others: a share of them is sent at once, and the rest a little later. It needs the kernel's netem.",
		usual:   "out",
		check:   func(c reorderConfig) error { return c.damageConfig.check() },
		chooses: func(c reorderConfig) (choice, string, float64) { return c.choice, c.Direction, 0 },
		acts: func(c reorderConfig, can impair.Abilities) (deed, error) {
			n := impair.Netem{Delay: c.Delay, Reorder: c.Percent / 100, Correlation: c.Correlation / 100, Gap: uint32(c.Gap)}
			return netemOnly(n, c.Percent, can)
		},
	}.fault()
}
