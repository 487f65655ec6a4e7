// Command faultline-plugin-docker breaks containers through the Docker Engine API.
//
// It discovers the target kind docker_container and offers five faults on it:
// docker_kill, docker_stop, docker_restart (the container's life), docker_pause
// (its processes stand still) and docker_disconnect (it loses a network). A fault
// that ends a container's life is known by its event, never by its state: with a
// restart policy the container may run again before anyone has looked.
//
// Every fault is put back from its undo record alone, by any process that reaches
// the same engine; the record therefore names the engine, and TLS files by path.
package main

import (
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
		Name:     "docker",
		Version:  "0.1.0",
		Doc:      "Kills, stops, pauses, restarts and disconnects Docker containers.",
		Settings: sdk.SettingsOf(e.configure),
		Targets:  []sdk.TargetType{containers(e)},
		Faults: []sdk.FaultType{
			kill(e),
			stop(e),
			restart(e),
			pause(e),
			disconnect(e),
			limit(e),
			stress(e),
			diskFill(e),
		},
	}
}
