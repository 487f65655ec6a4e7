package schema

import "slices"

// Capability is a word for what a type may do to a machine beyond what any program does.
// A plugin declares those of each type, `plan` shows them, and the policy of an
// environment can deny them. The words are closed: a plugin that declares another is
// refused, because nobody could deny it.
//
// They are what a plugin says of itself. Faultline does not confine plugins: whether to
// believe one is decided by whether it may start at all.
type Capability string

const (
	CapRoot      Capability = "root"
	CapProcesses Capability = "processes"
	CapPtrace    Capability = "sys_ptrace"
	CapNetAdmin  Capability = "net_admin"
	CapTraffic   Capability = "traffic"
	CapDocker    Capability = "docker"
	CapExhaust   Capability = "exhaust"
	CapExec      Capability = "exec"
)

// capabilities are all of them, with what each means.
var capabilities = []struct {
	word Capability
	doc  string
}{
	{CapDocker, "commands a Docker engine, which is as good as being root on its machine"},
	{CapExec, "runs commands that the scenario names"},
	{CapExhaust, "uses up processor time, memory, disk or other resources"},
	{CapNetAdmin, "changes packet filters, queues or addresses of a network namespace"},
	{CapProcesses, "stops or ends processes that it has not started"},
	{CapRoot, "acts as root on the machine that faultline runs on, for some of its targets"},
	{CapPtrace, "reaches into other processes: their descriptors, limits or memory"},
	{CapTraffic, "stands in the way of connections, and sees what goes over them"},
}

// Capabilities lists every capability, sorted.
func Capabilities() []Capability {
	out := make([]Capability, len(capabilities))
	for i, c := range capabilities {
		out[i] = c.word
	}
	slices.Sort(out)
	return out
}

// Doc says what a capability means; empty: there is no such capability.
func (c Capability) Doc() string {
	for _, x := range capabilities {
		if x.word == c {
			return x.doc
		}
	}
	return ""
}
