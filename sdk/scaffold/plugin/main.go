// Command faultline-plugin-acme adds a fault, a probe and a kind of target to faultline.
//
// It works on folders that stand for whatever you want to break: replace them by the
// real thing, a file at a time, and keep the tests green.
package main

import "github.com/faultline-go/faultline/sdk"

func main() { sdk.Serve(plugin()) }

func plugin() sdk.Plugin {
	return sdk.Plugin{
		Name: "acme", Version: "0.1.0", Doc: "Closes folders.",
		Targets: []sdk.TargetType{folders},
		Faults:  []sdk.FaultType{closed},
		Probes:  []sdk.ProbeType{open},
	}
}
