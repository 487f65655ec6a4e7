//go:build linux

// Command faultline-plugin-net makes networks worse: it delays, loses, damages and slows
// packets, cuts connections, and lies about names.
//
// Its targets are the network namespaces of containers and processes, and interfaces
// (the target kind net_interface). What happens in a namespace is package impair's; this
// package says which namespace, which packets, and what the scenario's words mean.
//
// Where the target is on this machine and we are root, the plugin enters its namespace by
// itself. For an engine elsewhere, or without root, a helper of ours does so: a small
// container beside the target (package helper). Faults that need a living program, such
// as a name server that lies, are held by one (package hold), so that its end is theirs.
package main

import (
	"github.com/faultline-go/faultline/plugins/internal/dockerhost"
	"github.com/faultline-go/faultline/plugins/net/hold"
	"github.com/faultline-go/faultline/sdk"
)

func main() {
	hold.ServeIfChild()
	sdk.Serve(plugin())
}

func plugin() sdk.Plugin {
	return sdk.Plugin{
		Name:        "net",
		Version:     "0.1.0",
		Doc:         "Delays, loses, damages, slows and cuts the network of containers, processes and interfaces.",
		Settings:    sdk.SettingsOf(via.configure),
		Environment: dockerhost.Environment,
		Targets:     []sdk.TargetType{interfaces},
		Scan:        strays,
		Faults: []sdk.FaultType{
			partition(),
			blackholePort(),
			loss(),
			bandwidth(),
			delay(),
			names(),
			duplicate(),
			corrupt(),
			reorder(),
		},
	}
}
