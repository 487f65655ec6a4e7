package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
)

// actionConfig is the body of an action "exec" block.
type actionConfig struct {
	commandConfig
}

var execAction = sdk.Action[actionConfig]{
	Type:         "exec",
	Capabilities: []schema.Capability{schema.CapExec},
	Doc: "Runs a command once. The step fails when the exit status is not the expected one, or when the action's timeout passes: " +
		"then the command and all children that stayed in its process group are killed. Nothing puts back what the command did.",
	Check: func(c actionConfig) error { return c.check() },
	Do: func(ctx context.Context, c actionConfig) (string, error) {
		cmd, err := c.resolve()
		if err != nil {
			return "", err
		}
		r, err := cmd.run(ctx)
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			return "", fmt.Errorf("run %s: it did not end in time and was killed", c.Command[0])
		case err != nil:
			return "", fmt.Errorf("run %s: %w", c.Command[0], err)
		case r.status != cmd.want:
			return "", fmt.Errorf("run %s: %s, not %d%s", c.Command[0], r.ended, cmd.want, quoted(r.stderr))
		}
		return r.ended + quoted(r.stdout), nil
	},
}

// quoted is the first line of an output, for a report's line.
func quoted(output string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(output), "\n")
	if line == "" {
		return ""
	}
	return ": " + strings.TrimSpace(line)
}
