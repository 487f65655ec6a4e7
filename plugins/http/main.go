// Command faultline-plugin-http measures with HTTP requests.
//
// The SDK decides when a request is sent; what is written here runs once for each,
// possibly a thousand times a second, and therefore prepares everything beforehand.
package main

import "github.com/faultline-go/faultline/sdk"

const version = "0.1.0"

func main() { sdk.Serve(plugin()) }

func plugin() sdk.Plugin {
	return sdk.Plugin{
		Name:    "http",
		Version: version,
		Doc:     "Sends HTTP requests and looks at the answers.",
		Probes:  []sdk.ProbeType{httpProbe},
	}
}
