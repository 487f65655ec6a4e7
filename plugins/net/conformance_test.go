//go:build linux

package main

import (
	"encoding/json"
	"testing"

	"github.com/faultline-go/faultline/plugins/net/nettest"
	"github.com/faultline-go/faultline/sdk/plugintest"
	"github.com/faultline-go/faultline/sdk/schema"
)

// Every fault keeps what the contract of a fault promises, also when everybody is killed.
func TestFaultsKeepTheirPromises(t *testing.T) {
	nettest.Root(t)
	w := newWires()
	for _, c := range []struct {
		typ    string
		config map[string]any
		bitten func(schema.Candidate) (bool, error)
	}{
		{"net_partition", map[string]any{}, w.cut},
		{"net_blackhole_port", map[string]any{"ports": []string{"1-65535"}}, w.cut},
		{"net_loss", map[string]any{"percent": 60}, w.lossy},
		{"net_bandwidth", map[string]any{"rate": "8kbit", "burst": "1600b", "limit": "1600b", "direction": "both"}, w.slow},
		{"net_delay", map[string]any{"delay": "200ms"}, w.late},
		{"net_dns", map[string]any{"names": []string{"*.example.com"}, "answer": "nxdomain"}, w.liedTo},
	} {
		t.Run(c.typ, func(t *testing.T) {
			plugintest.Fault(t, plugintest.Case{
				Plugin: plugin(), Type: c.typ, Config: c.config, Parallel: 6,
				Target: w.target, Bitten: c.bitten, State: w.state, Destroy: w.destroy, Replace: w.replace,
				SameUndo: func(a, b json.RawMessage) bool { return sameButMark(a, b) },
			})
		})
	}
}
