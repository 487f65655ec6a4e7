//go:build linux

package main

import (
	"fmt"
	"time"

	"github.com/faultline-go/faultline/plugins/proxy/relay"
	"github.com/faultline-go/faultline/sdk"
)

// The bodies of the faults on connections. Each says in place what it does, or what is
// wrong with it.

type delayConfig struct {
	Delay  time.Duration `hcl:"delay" example:"100ms" min:"0s" max:"1h" doc:"How long data is held back."`
	Jitter time.Duration `hcl:"jitter,optional" min:"0s" max:"1h" doc:"Each read is held back for delay ± jitter, evenly spread."`
	answers
	connectionShare
}

func (c delayConfig) place(seed uint64) (placement, error) {
	switch {
	case c.Delay+c.Jitter < least:
		return placement{}, fmt.Errorf("delay %s: %w", c.Delay, errNothing)
	case c.Jitter > c.Delay:
		return placement{}, fmt.Errorf("jitter %s is more than delay, %s: data cannot come before it was sent", c.Jitter, c.Delay)
	}
	return c.stream(relay.Delay{Delay: c.Delay, Jitter: c.Jitter}, c.direction(), seed), nil
}

type bandwidthConfig struct {
	Rate sdk.Rate `hcl:"rate" min:"8bit" example:"1mbit" doc:"What passes in a second: \"1mbit\", \"10MB/s\", \"64KiB/s\"."`
	Per  string   `hcl:"per,optional" default:"connection" enum:"connection|proxy" doc:"Whether each connection has the rate, or all of a proxy share it."`
	way
	connectionShare
}

func (c bandwidthConfig) place(seed uint64) (placement, error) {
	return c.stream(relay.Bandwidth{Rate: c.Rate.BytesPerSecond(), Shared: c.Per == "proxy"}, c.direction(), seed), nil
}

type slowCloseConfig struct {
	Delay time.Duration `hcl:"delay" example:"100ms" min:"1us" max:"1h" doc:"How long the end of the data is held back."`
	way
	connectionShare
}

func (c slowCloseConfig) place(seed uint64) (placement, error) {
	return c.stream(relay.SlowClose{Delay: c.Delay}, c.direction(), seed), nil
}

type resetConfig struct {
	Lifetime time.Duration `hcl:"lifetime,optional" min:"0s" max:"24h" doc:"How long a connection lives: from its beginning, or from the beginning of the fault if it is older. Default: not at all."`
	connectionShare
}

func (c resetConfig) place(seed uint64) (placement, error) {
	return c.stream(relay.Reset{After: c.Lifetime}, relay.Both, seed), nil
}

type timeoutConfig struct {
	CloseAfter time.Duration `hcl:"close_after,optional" min:"1ms" max:"24h" doc:"Close the connection after so long. Default: it stays open."`
	way
	connectionShare
}

func (c timeoutConfig) place(seed uint64) (placement, error) {
	return c.stream(relay.Timeout{After: c.CloseAfter}, c.direction(), seed), nil
}

type slicerConfig struct {
	Size      int           `hcl:"size" unit:"bytes" example:"64" min:"1" max:"65536" doc:"Bytes of a slice."`
	Variation int           `hcl:"variation,optional" min:"0" doc:"Each slice has size ± variation bytes, evenly spread."`
	Delay     time.Duration `hcl:"delay,optional" min:"0s" max:"1m" doc:"Pause between two slices."`
	way
	connectionShare
}

func (c slicerConfig) place(seed uint64) (placement, error) {
	if c.Variation >= c.Size {
		return placement{}, fmt.Errorf("variation %d has to be less than size, %d: a slice has at least one byte", c.Variation, c.Size)
	}
	return c.stream(relay.Slicer{Size: c.Size, Variation: c.Variation, Delay: c.Delay}, c.direction(), seed), nil
}

type limitConfig struct {
	Bytes int `hcl:"bytes" unit:"bytes" example:"4096" min:"0" doc:"Bytes that pass; those of a connection that is older than the fault count from when it began."`
	answers
	connectionShare
}

func (c limitConfig) place(seed uint64) (placement, error) {
	return c.stream(relay.Limit{Bytes: int64(c.Bytes)}, c.direction(), seed), nil
}

// A listening socket refuses everybody or nobody: there is no share of connections.
type downConfig struct{ led }

func (downConfig) seed() uint64 { return 0 }

func (downConfig) place(uint64) (placement, error) {
	return placement{stream: &relay.Fault{Effect: relay.Down{}, Direction: relay.Both, Percent: 100}, refuses: true}, nil
}

type refuseConfig struct{ led }

func (refuseConfig) seed() uint64 { return 0 }

func (refuseConfig) place(uint64) (placement, error) {
	return placement{stream: &relay.Fault{Effect: relay.Refuse{}, Direction: relay.Both, Percent: 100}, refuses: true}, nil
}

type slowAcceptConfig struct {
	Delay time.Duration `hcl:"delay" example:"100ms" min:"1us" max:"1h" doc:"How long each acceptance takes."`
	connectionShare
}

func (c slowAcceptConfig) place(seed uint64) (placement, error) {
	return c.stream(relay.SlowAccept{Delay: c.Delay}, relay.Both, seed), nil
}

type slowConnectConfig struct {
	Delay time.Duration `hcl:"delay" example:"100ms" min:"1us" max:"1h" doc:"How much later the connection to the server is made."`
	connectionShare
}

func (c slowConnectConfig) place(seed uint64) (placement, error) {
	return c.stream(relay.SlowConnect{Delay: c.Delay}, relay.Both, seed), nil
}
