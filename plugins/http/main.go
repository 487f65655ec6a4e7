// Command faultline-plugin-http measures with HTTP requests.
//
// The SDK decides when a request is sent; what is written here runs once for each,
// possibly a thousand times a second, and therefore prepares everything beforehand.
package main

import (
	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
)

const version = "0.1.0"

func main() { sdk.Serve(plugin()) }

func plugin() sdk.Plugin {
	return sdk.Plugin{
		Name:    "http",
		Version: version,
		Doc:     "Sends HTTP requests and looks at the answers.",
		Probes:  []sdk.ProbeType{httpProbe},
		Environment: []schema.EnvVar{
			{Name: "HTTP_PROXY", Doc: "Proxy for http://, with proxy_from_environment."},
			{Name: "HTTPS_PROXY", Doc: "Proxy for https://, with proxy_from_environment."},
			{Name: "NO_PROXY", Doc: "Hosts that no proxy leads to, with proxy_from_environment."},
			{Name: "http_proxy", Doc: "As HTTP_PROXY."},
			{Name: "https_proxy", Doc: "As HTTPS_PROXY."},
			{Name: "no_proxy", Doc: "As NO_PROXY."},
		},
	}
}
