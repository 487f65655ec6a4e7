//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/faultline-go/faultline/plugins/internal/vm"
	"github.com/faultline-go/faultline/plugins/net/impair"
	"github.com/faultline-go/faultline/plugins/net/nettest"
	"github.com/faultline-go/faultline/sdk/plugintest"
	"github.com/faultline-go/faultline/sdk/schema"
)

// Every fault keeps what the contract of a fault promises, also when everybody is killed.
func TestFaultsKeepTheirPromises(t *testing.T) {
	nettest.Root(t)
	w := newWires()
	lease, parallel := time.Duration(0), 6
	if vm.Inside() { // everything is much slower there
		lease, parallel = 6*time.Second, 3
	}
	for _, c := range []struct {
		name   string // of the type, and what is particular
		config map[string]any
		bitten func(schema.Candidate) (bool, error)
		netem  bool // it needs the kernel's; else there is another way, if that lacks it
	}{
		{"net_partition", map[string]any{}, w.cut, false},
		{"net_blackhole_port", map[string]any{"ports": []string{"1-65535"}}, w.cut, false},
		{"net_loss", map[string]any{"percent": 60}, w.lossy, false},
		{"net_loss in bursts", map[string]any{"model": "gilbert-elliott", "to_bad_percent": 50, "to_good_percent": 20}, w.lossy, false},
		{"net_bandwidth", map[string]any{"rate": "8kbit", "burst": "1600b", "limit": "1600b", "direction": "both"}, w.slow, false},
		{"net_delay", map[string]any{"delay": "600ms"}, w.late, false},
		{"net_dns", map[string]any{"names": []string{"*.example.com"}, "answer": "nxdomain"}, w.liedTo, false},
		{"net_duplicate", map[string]any{"percent": 100}, w.doubled, true},
		{"net_corrupt", map[string]any{"percent": 100}, w.lossy, true},
		{"net_reorder", map[string]any{"percent": 50, "delay": "800ms"}, w.mixed, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.netem {
				plugintest.Need(t, "netem", netemHere)
			}
			typ, _, _ := strings.Cut(c.name, " ")
			plugintest.Fault(t, plugintest.Case{
				Plugin: plugin(), Type: typ, Config: c.config, Lease: lease, Parallel: parallel,
				Target: w.target, Bitten: c.bitten, State: w.state, Destroy: w.destroy, Replace: w.replace,
				SameUndo: func(a, b json.RawMessage) bool { return sameButMark(a, b) },
			})
		})
	}
}

// Faults that only the kernel's netem makes, where there is one in any case. Everything
// there is emulated, so that only the promises are looked at that depend on netem: that it
// does what it should, is found, and is taken off by whom and whenever. All others the same
// code keeps with the faults that need no netem. That netem delays and loses, too, package
// impair tests there.
func TestFaultsOnAStockKernel(t *testing.T) {
	if vm.Inside() {
		t.Skip("this is one")
	}
	vm.Test(t, ".", "^TestFaultsKeepTheirPromises$/^net_(duplicate|corrupt|reorder)$/^(the_fault_bites|scan_tells|crash_during_inject|it_ends_by_itself)", 15*time.Minute, "root", "netem")
}

func netemHere() error {
	can, err := impair.Able()
	if err == nil && !can.Netem {
		err = errors.New("this kernel lacks sch_netem; TestFaultsOnAStockKernel runs this test on one that has it")
	}
	return err
}
