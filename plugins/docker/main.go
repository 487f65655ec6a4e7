// Command faultline-plugin-docker breaks containers through the Docker Engine API.
//
// It discovers containers, Compose services and networks, and offers faults on a
// container's life (docker_kill, docker_stop, docker_restart), on its processes
// (docker_pause), its networks (docker_disconnect) and what it may use (docker_limit,
// docker_stress, docker_disk_fill), and docker_exec, which runs commands. On a service or a network a fault works on every
// container of it. A fault that ends a container's life is known by its event, never by
// its state: with a restart policy the container may run again before anyone has looked.
//
// Every fault is put back from its undo record alone, by any process that reaches
// the same engine; the record therefore names the engine, and TLS files by path.
package main

import (
	"github.com/faultline-go/faultline/plugins/internal/dockerhost"
	"github.com/faultline-go/faultline/plugins/internal/pressure"
	"github.com/faultline-go/faultline/sdk"
)

func main() {
	pressure.Main()
	sdk.Serve(plugin(newEngines()))
}

// plugin is everything this plugin offers, working on the given engines.
func plugin(e *engines) sdk.Plugin {
	return sdk.Plugin{
		Name:        "docker",
		Version:     "0.1.0",
		Doc:         "Kills, stops, pauses, restarts, disconnects, limits and stresses Docker containers.",
		Settings:    sdk.SettingsOf(e.configure),
		Environment: dockerhost.Environment,
		Targets:     []sdk.TargetType{containers(e), services(e), networks(e)},
		Faults: []sdk.FaultType{
			eachOf(e, kill(e)),
			eachOf(e, stop(e)),
			eachOf(e, restart(e)),
			eachOf(e, pause(e)),
			eachOf(e, disconnect(e)),
			eachOf(e, limit(e)),
			eachOf(e, stress(e)),
			eachOf(e, diskFill(e)),
			eachOf(e, execute(e)),
		},
	}
}
