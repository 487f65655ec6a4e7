// Command faultline-plugin-tcp measures whether a TCP port can be connected to, and
// how long that takes.
package main

import "github.com/faultline-go/faultline/sdk"

func main() { sdk.Serve(plugin()) }

func plugin() sdk.Plugin {
	return sdk.Plugin{
		Name:    "tcp",
		Version: "0.1.0",
		Doc:     "Connects to TCP ports.",
		Probes:  []sdk.ProbeType{tcpProbe},
	}
}
