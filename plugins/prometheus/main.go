// Command faultline-plugin-prometheus measures with instant queries to Prometheus,
// or to anything else that speaks its HTTP API.
//
// What it cannot measure is missing, never zero: no series, more than one, a stale
// one, a value that is no number, a server that does not answer.
package main

import "github.com/faultline-go/faultline/sdk"

const version = "0.1.0"

func main() { sdk.Serve(plugin()) }

func plugin() sdk.Plugin {
	return sdk.Plugin{
		Name:    "prometheus",
		Version: version,
		Doc:     "Reads values from Prometheus.",
		Probes:  []sdk.ProbeType{prometheusProbe},
	}
}
