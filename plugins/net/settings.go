//go:build linux

package main

import (
	"cmp"
	"context"
	"sync"
)

// settings are the arguments of the scenario's `plugin "net"` block.
type settings struct {
	Via string `hcl:"via,optional" enum:"auto|local|helper" default:"auto" doc:"How to get into the network of a container: local enters it, which needs root on the engine's machine; helper has the engine start a small container of ours beside it; auto enters where it can."`
}

const (
	viaAuto   = "auto"
	viaHelper = "helper"
)

// via is what the settings say.
var via chosen

type chosen struct {
	mu  sync.Mutex
	how string
}

func (c *chosen) configure(_ context.Context, s settings) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.how = s.Via
	return nil
}

func (c *chosen) of() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return cmp.Or(c.how, viaAuto)
}
