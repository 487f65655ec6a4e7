// Command faultline-plugin-exec runs commands: as a probe, whose samples they are,
// and as an action.
//
// A command is a list of words, never a line for a shell. It runs in a process group
// of its own, and when its time is up the whole group is killed.
package main

import "github.com/faultline-go/faultline/sdk"

func main() { sdk.Serve(plugin()) }

func plugin() sdk.Plugin {
	return sdk.Plugin{
		Name:    "exec",
		Version: "0.1.0",
		Doc:     "Runs commands, as probes and as actions.",
		Probes:  []sdk.ProbeType{execProbe},
		Actions: []sdk.ActionType{execAction},
	}
}
