//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/faultline-go/faultline/plugins/net/impair"
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
		netem  bool // it needs the kernel's
	}{
		{"net_partition", map[string]any{}, w.cut, false},
		{"net_blackhole_port", map[string]any{"ports": []string{"1-65535"}}, w.cut, false},
		{"net_loss", map[string]any{"percent": 60}, w.lossy, false},
		{"net_bandwidth", map[string]any{"rate": "8kbit", "burst": "1600b", "limit": "1600b", "direction": "both"}, w.slow, false},
		{"net_delay", map[string]any{"delay": "200ms"}, w.late, false},
		{"net_dns", map[string]any{"names": []string{"*.example.com"}, "answer": "nxdomain"}, w.liedTo, false},
		{"net_duplicate", map[string]any{"percent": 100}, w.doubled, true},
		{"net_corrupt", map[string]any{"percent": 100}, w.lossy, true},
		{"net_reorder", map[string]any{"percent": 50, "delay": "300ms"}, w.mixed, true},
	} {
		t.Run(c.typ, func(t *testing.T) {
			if c.netem {
				plugintest.Need(t, "netem", netemHere)
			}
			plugintest.Fault(t, plugintest.Case{
				Plugin: plugin(), Type: c.typ, Config: c.config, Parallel: 6,
				Target: w.target, Bitten: c.bitten, State: w.state, Destroy: w.destroy, Replace: w.replace,
				SameUndo: func(a, b json.RawMessage) bool { return sameButMark(a, b) },
			})
		})
	}
}

func netemHere() error {
	can, err := impair.Able()
	if err == nil && !can.Netem {
		err = errors.New("this kernel lacks sch_netem; package impair measures netem in user-mode Linux")
	}
	return err
}
