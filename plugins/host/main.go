// Command faultline-plugin-host puts pressure on the machine that it runs on, or on one
// process or container of it: processor time, memory, disk space, reads and writes,
// open files and processes run short.
//
// Pressure on a process or container is made inside of its control groups, so that its
// neighbours do not suffer with it. Everything but host_fds is made by processes of the
// plugin's own that end with it; host_fds lowers a limit, and raises it again.
package main

import (
	"github.com/faultline-go/faultline/plugins/internal/pressure"
	"github.com/faultline-go/faultline/sdk"
)

func main() {
	pressure.Main()
	sdk.Serve(plugin())
}

func plugin() sdk.Plugin {
	return sdk.Plugin{
		Name:    "host",
		Version: "0.1.0",
		Doc:     "Makes processor time, memory, disk space, input and output, open files and processes scarce.",
		Targets: []sdk.TargetType{machineTarget},
		Faults: []sdk.FaultType{
			hostCPU.Fault(),
			hostMemory.Fault(),
			hostDiskFill.Fault(),
			hostIO.Fault(),
			hostPIDs.Fault(),
			hostFDs,
		},
	}
}
