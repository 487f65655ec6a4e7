package main

import (
	"context"
	"fmt"

	"github.com/faultline-go/faultline/plugins/internal/pressure"
	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
)

// stressConfig is the body of a docker_stress fault: at least one of its blocks.
type stressConfig struct {
	CPU       *pressure.CPUConfig       `hcl:"cpu,block" at_least_one:"load" doc:"Burn processor time."`
	Memory    *pressure.MemoryConfig    `hcl:"memory,block" at_least_one:"load" doc:"Take memory."`
	IO        *pressure.IOConfig        `hcl:"io,block" at_least_one:"load" doc:"Read and write files in a folder of the container."`
	Processes *pressure.ProcessesConfig `hcl:"processes,block" at_least_one:"load" doc:"Start processes until the container can start no more."`
}

// wanted puts the blocks together.
func (c stressConfig) wanted() (all pressure.Load, err error) {
	add := func(l pressure.Load, failed error) {
		if err == nil {
			err = failed
		}
		all = all.And(l)
	}
	if c.CPU != nil {
		add(c.CPU.Wanted())
	}
	if c.Memory != nil {
		add(c.Memory.Wanted())
	}
	if c.IO != nil {
		add(c.IO.Wanted())
	}
	if c.Processes != nil {
		add(c.Processes.Wanted())
	}
	if err == nil && all == (pressure.Load{}) {
		err = fmt.Errorf("nothing to do: give at least one of the blocks cpu, memory, io and processes")
	}
	return all, err
}

// pressureMay is what pressure on a container does.
var pressureMay = []schema.Capability{schema.CapDocker, schema.CapExhaust, schema.CapRoot}

// pressureNeeds is what pressure on a container needs.
var pressureNeeds = []string{"docker socket", "Linux 5.6 and root on the engine's host"}

func stress(e *engines) sdk.Fault[stressConfig, pressure.Undo] {
	return pressure.Kind[stressConfig]{
		Type: "docker_stress",
		Doc: "Makes processor time, memory, input and output or processes scarce in a container, inside of its control groups: " +
			"its limits hold for the pressure, too, and its neighbours do not suffer with it.",
		Accepts: acceptsContainer(), Requires: pressureNeeds, Capabilities: pressureMay, Load: stressConfig.wanted, Target: e.pressed,
	}.Fault()
}

func diskFill(e *engines) sdk.Fault[pressure.DiskConfig, pressure.Undo] {
	return pressure.Kind[pressure.DiskConfig]{
		Type: "docker_disk_fill",
		Doc: "Takes space of a file system that a container sees, in a file without a name: of its own layer, which usually shares a disk of the host with all others, or of a volume. " +
			"It never takes what would leave less than the reserve free, and gives back what others need above it.",
		Accepts: acceptsContainer(), Requires: pressureNeeds, Capabilities: pressureMay, Load: pressure.DiskConfig.Wanted, Target: e.pressed,
	}.Fault()
}

// pressed finds the container that pressure is to be put on, by its main process.
func (e *engines) pressed(ctx context.Context, t sdk.PrepareTarget) (pressure.Target, error) {
	_, s, p, err := e.prepareLife(ctx, t)
	if err != nil {
		return pressure.Target{}, err
	}
	main, _, err := s.mainProcess()
	if err != nil {
		return pressure.Target{}, err
	}
	return pressure.Target{
		Name: "container " + s.Name, Process: &main, Incarnation: p.Incarnation, Resource: "container:" + s.ID,
	}, nil
}
