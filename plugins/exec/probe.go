package main

import (
	"context"
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
)

// probeConfig is the body of a probe "exec" block.
type probeConfig struct {
	commandConfig
	Value string `hcl:"value,optional" enum:"stdout" doc:"\"stdout\" makes the number that the command prints, and nothing else, the sample's value."`
}

var execProbe = sdk.Probe[probeConfig]{
	Type:         "exec",
	Capabilities: []schema.Capability{schema.CapExec},
	Doc: "Runs a command for each sample, which is good when the exit status is the expected one. " +
		"When the probe's timeout passes, the command and all children that stayed in its process group are killed, and the sample is bad. " +
		"A command that cannot be started makes a missing sample.",
	Sample: []schema.Attribute{
		{Name: "exit_code", Type: "number", Doc: "exit status; -1 when a signal ended the command"},
		{Name: "output", Type: "string", Doc: "the first kilobyte of standard output, without the last line end"},
	},
	Check: func(c probeConfig) error { return c.check() },
	Open: func(_ context.Context, c probeConfig) (func(context.Context) sdk.Sample, func(), error) {
		cmd, err := c.resolve()
		if err != nil {
			return nil, nil, err
		}
		return func(ctx context.Context) sdk.Sample {
			r, err := cmd.run(ctx)
			return sampleOf(cmd, r, err, c.Value == "stdout")
		}, nil, nil
	},
}

func sampleOf(c *command, r result, err error, valued bool) sdk.Sample {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return sdk.Bad("timeout")
	case errors.Is(err, context.Canceled):
		return sdk.Missing("the probe was stopped")
	case errors.Is(err, errNotRun):
		return sdk.Missing(errNotRun.Error())
	case err != nil:
		return sdk.Missing("the command was lost")
	}
	s := sdk.Good()
	if r.status != c.want {
		s = sdk.Bad(r.ended)
	}
	output := strings.TrimRight(r.stdout, "\r\n")
	s.Extra = map[string]any{"exit_code": float64(r.status), "output": output}
	if valued {
		// No value is a missing one for an objective that reads it.
		if v, err := strconv.ParseFloat(strings.TrimSpace(output), 64); err == nil && !math.IsNaN(v) && !math.IsInf(v, 0) {
			s = s.WithValue(v)
		}
	}
	return s
}
