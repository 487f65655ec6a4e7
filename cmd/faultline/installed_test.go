package main

import (
	"io"
	"testing"

	"github.com/faultline-go/faultline/engine/install"
	"github.com/faultline-go/faultline/engine/install/address"
	"github.com/faultline-go/faultline/engine/scenario"
	"github.com/faultline-go/faultline/sdk/wire"
)

// A plugin that runs already, in a debugger perhaps, need not be installed.
func TestAttachedNeedsNoInit(t *testing.T) {
	running := ""
	g := &global{warnings: newWarnings(io.Discard), process: &process{getenv: func(name string) string {
		if name == wire.ReattachVariable {
			return running
		}
		return ""
	}}}
	check := g.checkInstalled(&installed{config: &install.Config{}, lock: &install.Lock{}})
	need := scenario.Need{Name: "lamp", Source: address.Address{Host: "plugins.example.com", Namespace: "acme", Name: "lamp"}}
	if err := check(need); err == nil {
		t.Error("it is neither installed nor attached")
	}
	running = `{"lamp": {"protocol": 1, "network": "unix", "address": "/tmp/socket", "pid": 1}}`
	if err := check(need); err != nil {
		t.Errorf("it is attached: %v", err)
	}
}
