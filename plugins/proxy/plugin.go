//go:build linux

package main

import (
	"github.com/faultline-go/faultline/plugins/internal/dockerhost"
	"github.com/faultline-go/faultline/sdk"
)

// plugin is everything this plugin offers, working on the given proxies.
func plugin(p *proxies) sdk.Plugin {
	return sdk.Plugin{
		Name:        "proxy",
		Version:     "0.1.0",
		Doc:         "Delays, throttles, cuts and refuses connections, and HTTP requests on them, in a proxy of its own.",
		Settings:    sdk.SettingsOf(p.configure),
		Environment: dockerhost.Environment,
		Targets:     []sdk.TargetType{listeners(p)},
		Faults: []sdk.FaultType{
			fault[delayConfig](p, "proxy_delay",
				"Holds data back for a time. What was sent first arrives first. At most 16 MiB a direction and connection are held; the sender of more has to wait."),
			fault[bandwidthConfig](p, "proxy_bandwidth",
				"Lets only so many bytes a second pass, for each connection or for all of a proxy together, in each direction by itself."),
			fault[slowCloseConfig](p, "proxy_slow_close", "Passes the end of the data, a closed connection, on only after a time."),
			fault[resetConfig](p, "proxy_reset", "Ends connections with a TCP reset: those that are open when the fault begins, and every new one."),
			fault[timeoutConfig](p, "proxy_timeout",
				"A black hole: connections stay open and no data passes. Nothing is lost; it flows when the fault ends."),
			fault[slicerConfig](p, "proxy_slicer", "Cuts data into small writes with pauses between them."),
			fault[limitConfig](p, "proxy_limit", "Closes a connection when so many bytes have passed in a direction."),
			fault[downConfig](p, "proxy_down", "As if the server had ended: open connections are closed and new ones refused."),
			fault[refuseConfig](p, "proxy_refuse", "Refuses new connections; those that are open go on."),
			fault[slowAcceptConfig](p, "proxy_slow_accept",
				"An overloaded server: each new connection is accepted only a time after the one before, so that they queue."),
			fault[slowConnectConfig](p, "proxy_slow_connect", "The connection to the server is made a time later, each for itself."),
			fault[httpDelayConfig](p, "proxy_http_delay",
				"Holds HTTP requests back that match, before the server gets them. "+needsHTTP),
			fault[httpAbortConfig](p, "proxy_http_abort",
				"Answers HTTP requests that match in the server's place, which does not get them: with a status, gRPC calls with a gRPC status, or by breaking off. "+needsHTTP),
			fault[httpBodyConfig](p, "proxy_http_body",
				"Spoils the bodies of answers to HTTP requests that match: replaces them, cuts them off or corrupts them. "+needsHTTP),
		},
	}
}

const needsHTTP = `The listener has to say protocol = "http". HTTP/1.1 and HTTP/2 without TLS are understood, gRPC among it.`
