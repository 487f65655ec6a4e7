//go:build linux

package main

import "github.com/faultline-go/faultline/sdk"

func plugin() sdk.Plugin {
	return sdk.Plugin{
		Name:    "process",
		Version: "0.1.0",
		Doc:     "Kills and pauses processes of the machine that faultline runs on.",
		Faults:  []sdk.FaultType{processKill, processPause},
		Targets: []sdk.TargetType{processTarget},
	}
}
