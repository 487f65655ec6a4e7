package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/faultline-go/faultline/sdk"
)

// commandConfig is what probe and action have in common.
type commandConfig struct {
	Command      []string `hcl:"command" example:"[\"/usr/bin/test\", \"-e\", \"/run/ready\"]" doc:"The program and its arguments, a word each; no shell is involved."`
	Directory    string   `hcl:"directory,optional" doc:"Where it runs; an absolute path. Default: where faultline runs."`
	Environment  []string `hcl:"environment,optional" doc:"Names of variables that it gets from faultline's environment, beside PATH, HOME, LANG and TZ. The plugin block names them, too, because only what stands there is inherited."`
	ExpectStatus int      `hcl:"expect_status" default:"0" min:"0" max:"255" doc:"The exit status that is right."`
}

func (c commandConfig) check() error {
	switch {
	case len(c.Command) == 0 || c.Command[0] == "":
		return sdk.At("command", errors.New("it is empty: its first word is the program"))
	case c.Directory != "" && !filepath.IsAbs(c.Directory):
		return sdk.At("directory", fmt.Errorf("%q is not an absolute path", c.Directory))
	}
	for i, name := range c.Environment {
		if name == "" || strings.Contains(name, "=") {
			return sdk.At(fmt.Sprintf("environment[%d]", i), fmt.Errorf("these are names of variables, not %q", name))
		}
	}
	return nil
}

// command is a commandConfig with everything looked up.
type command struct {
	path string
	args []string
	dir  string
	env  []string
	want int
}

// always are the variables that every command gets.
var always = []string{"PATH", "HOME", "LANG", "TZ"}

func (c commandConfig) resolve() (*command, error) {
	out := &command{args: c.Command, dir: c.Directory, want: c.ExpectStatus}
	program := c.Command[0]
	var err error
	if strings.Contains(program, "/") { // a path, from where it runs; else a name in PATH
		if !filepath.IsAbs(program) {
			program = filepath.Join(c.Directory, program)
		}
		if program, err = filepath.Abs(program); err != nil {
			return nil, fmt.Errorf("command: %w", err)
		}
	}
	if out.path, err = exec.LookPath(program); err != nil {
		return nil, fmt.Errorf("command: %w", err)
	}
	if c.Directory != "" {
		if info, err := os.Stat(c.Directory); err != nil {
			return nil, fmt.Errorf("directory: %w", err)
		} else if !info.IsDir() {
			return nil, fmt.Errorf("directory %s is none", c.Directory)
		}
	}
	for _, name := range always {
		if value, ok := os.LookupEnv(name); ok {
			out.env = append(out.env, name+"="+value)
		}
	}
	for _, name := range c.Environment {
		value, err := sdk.Env("exec", name)
		if err != nil {
			return nil, err
		}
		out.env = append(out.env, name+"="+value)
	}
	return out, nil
}
