package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/faultline-go/faultline/plugins/internal/cgroup"
	"github.com/faultline-go/faultline/plugins/internal/incarnation"
	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
)

// machineMatch is the match block of a host target: there is only one to find.
type machineMatch struct{}

var machineTarget = sdk.Target[machineMatch]{
	Type: "host",
	Doc: "The machine that faultline runs on, always exactly one. Pressure on it is not bound to a control group of a target; " +
		"the limits that faultline itself was given still hold for it.",
	Interfaces: []string{"host"},
	Attributes: []schema.Attribute{
		{Name: "name", Type: "string", Doc: "host name"},
		{Name: "boot", Type: "string", Doc: "boot id: another one after each start of the machine"},
		{Name: "cpus", Type: "number", Doc: "processors that faultline may run on"},
		{Name: "memory", Type: "number", Doc: "memory in bytes"},
		{Name: "kernel", Type: "string", Doc: "kernel release"},
	},
	Discover: func(context.Context, machineMatch) ([]sdk.Candidate, error) {
		name, err := os.Hostname()
		if err != nil {
			return nil, fmt.Errorf("read the host name: %w", err)
		}
		boot, err := incarnation.BootID()
		if err != nil {
			return nil, err
		}
		_, memory, err := cgroup.Here.Available()
		if err != nil {
			return nil, err
		}
		kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
		if err != nil {
			return nil, fmt.Errorf("read the kernel's release: %w", err)
		}
		return []sdk.Candidate{{
			ID:          machineID(name),
			Name:        name,
			Incarnation: "boot " + boot,
			Attributes: map[string]any{
				"name": name, "boot": boot, "cpus": runtime.NumCPU(), "memory": memory, "kernel": strings.TrimSpace(string(kernel)),
			},
		}}, nil
	},
}

func machineID(name string) string { return "host:" + name }
