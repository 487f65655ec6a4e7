package main

import (
	"github.com/faultline-go/faultline/plugins/internal/pressure"
	"github.com/faultline-go/faultline/sdk/schema"
)

// may is what pressure does.
var may = []schema.Capability{schema.CapExhaust, schema.CapRoot}

// requires is what pressure on a control group needs.
var requires = []string{"Linux 5.6", "root for the control groups of a process or container"}

var hostCPU = pressure.Kind[pressure.CPUConfig]{
	Type: "host_cpu",
	Doc: "Burns processor time beside the target, in its control groups: under a quota it competes with the target for that, " +
		"on the whole machine with everybody.",
	Accepts: acceptsAll, Requires: requires, Capabilities: may, Target: anyTarget, Load: pressure.CPUConfig.Wanted,
}

var hostMemory = pressure.Kind[pressure.MemoryConfig]{
	Type: "host_memory",
	Doc: "Takes memory of the target's control group, or of the machine, and keeps it resident. It never takes what would leave less than the floor available, " +
		"and gives back what others need above it.",
	Accepts: acceptsAll, Requires: requires, Capabilities: may, Target: anyTarget, Load: pressure.MemoryConfig.Wanted,
}

var hostDiskFill = pressure.Kind[pressure.DiskConfig]{
	Type: "host_disk_fill",
	Doc: "Takes space of the file system of a folder, as the target sees it, in a file without a name. It never takes what would leave less than the reserve free, " +
		"counted as for users that are not root, and gives back what others need above it.",
	Accepts: acceptsAll, Requires: requires, Capabilities: may, Target: anyTarget, Load: pressure.DiskConfig.Wanted,
}

var hostIO = pressure.Kind[pressure.IOConfig]{
	Type:    "host_io",
	Doc:     "Reads and writes files without names in a folder, as the target sees it, past the cache where the file system can do that.",
	Accepts: acceptsAll, Requires: requires, Capabilities: may, Target: anyTarget, Load: pressure.IOConfig.Wanted,
}

var hostPIDs = pressure.Kind[pressure.ProcessesConfig]{
	Type: "host_pids",
	Doc: "Starts processes that do nothing until the limit of the target's control group is met (pids.max, TasksMax=, --pids-limit), so that it can start no more. " +
		"Without such a limit, and on the whole machine, it starts only as many as processes says.",
	Accepts: acceptsAll, Requires: requires, Capabilities: may, Target: anyTarget, Load: pressure.ProcessesConfig.Wanted,
}
