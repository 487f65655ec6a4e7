// Package conformance puts the faults of any plugin's program, in whatever language,
// through the kit of sdk/plugintest. A file says for each fault how to make a target and
// how to look at it, by commands: the kit does not believe the plugin.
package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"github.com/faultline-go/faultline/sdk/plugintest"
	"github.com/faultline-go/faultline/sdk/schema"
)

// file is what a file of cases says.
type file struct {
	Settings *cty.Value  `hcl:"settings"`
	Faults   []faultCase `hcl:"fault,block"`
}

// faultCase is a fault with the commands that the kit needs. Each runs in the folder of
// the file, and has the target as JSON at its standard input.
type faultCase struct {
	Type    string     `hcl:"type,label"`
	Config  *cty.Value `hcl:"config"`
	Target  []string   `hcl:"target"`           // makes one, and prints it as JSON: {"id": …, "name": …}
	Bitten  []string   `hcl:"bitten"`           // exits with 0 when the fault is in it, with 1 when not
	Cleanup []string   `hcl:"cleanup,optional"` // ends it
	State   []string   `hcl:"state,optional"`   // prints all that must come back
	Destroy []string   `hcl:"destroy,optional"` // takes it away for good
	Replace []string   `hcl:"replace,optional"` // puts a new incarnation in its place

	AcceptIrreversible bool    `hcl:"accept_irreversible,optional"`
	StartsTarget       bool    `hcl:"starts_target,optional"`
	Timeout            *string `hcl:"timeout"`
	Lease              *string `hcl:"lease"`
	Parallel           int     `hcl:"parallel,optional"`
}

// Cases reads a file of cases for a program.
func Cases(path, binary string) ([]plugintest.Case, error) {
	binary, err := filepath.Abs(binary)
	if err != nil {
		return nil, fmt.Errorf("find the plugin's program: %w", err)
	}
	if info, err := os.Stat(binary); err != nil {
		return nil, fmt.Errorf("find the plugin's program: %w", err)
	} else if info.IsDir() || info.Mode()&0o111 == 0 {
		return nil, fmt.Errorf("%s is no program", binary)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the cases: %w", err)
	}
	parsed, diags := hclparse.NewParser().ParseHCL(text, path)
	var f file
	if !diags.HasErrors() {
		diags = append(diags, gohcl.DecodeBody(parsed.Body, nil, &f)...)
	}
	if diags.HasErrors() {
		return nil, fmt.Errorf("read the cases: %s", diagnosis(diags))
	}
	if len(f.Faults) == 0 {
		return nil, fmt.Errorf("%s has no fault block: say for each fault how to make a target and how to look at it", path)
	}
	settings, err := asJSON(f.Settings)
	if err != nil {
		return nil, fmt.Errorf("%s: settings: %w", path, err)
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("find the folder of the cases: %w", err)
	}
	var all []plugintest.Case
	for _, x := range f.Faults {
		c, err := x.build(dir)
		if err != nil {
			return nil, fmt.Errorf("%s: fault %q: %w", path, x.Type, err)
		}
		c.Binary, c.Settings = binary, settings
		all = append(all, c)
	}
	return all, nil
}

func diagnosis(diags hcl.Diagnostics) string {
	var all []string
	for _, d := range diags.Errs() {
		all = append(all, d.Error())
	}
	return strings.Join(all, "; ")
}

func asJSON(v *cty.Value) (json.RawMessage, error) {
	if v == nil || v.IsNull() {
		return json.RawMessage(`{}`), nil
	}
	return ctyjson.Marshal(*v, v.Type())
}

func (x *faultCase) build(dir string) (plugintest.Case, error) {
	c := plugintest.Case{Type: x.Type, AcceptIrreversible: x.AcceptIrreversible, StartsTarget: x.StartsTarget, Parallel: x.Parallel}
	config, err := asJSON(x.Config)
	if err != nil {
		return c, fmt.Errorf("config: %w", err)
	}
	c.Config = config
	for _, d := range []struct {
		name string
		text *string
		to   *time.Duration
	}{{"timeout", x.Timeout, &c.Timeout}, {"lease", x.Lease, &c.Lease}} {
		if d.text == nil {
			continue
		}
		if *d.to, err = time.ParseDuration(*d.text); err != nil || *d.to <= 0 {
			return c, fmt.Errorf("%s = %q: write a duration such as \"30s\"", d.name, *d.text)
		}
	}
	run := func(t schema.Candidate, line []string) ([]byte, error) { return command(dir, t, line) }
	c.Target = func(t testing.TB) schema.Candidate {
		out, err := run(schema.Candidate{}, x.Target)
		if err != nil {
			t.Fatalf("target: %v", err)
		}
		var made schema.Candidate
		if err := json.Unmarshal(out, &made); err != nil || made.ID == "" {
			t.Fatalf("target: it has to print the target as JSON with an id, and printed %q", out)
		}
		if len(x.Cleanup) > 0 {
			t.Cleanup(func() {
				if _, err := run(made, x.Cleanup); err != nil {
					t.Errorf("cleanup: %v", err)
				}
			})
		}
		return made
	}
	c.Bitten = func(t schema.Candidate) (bool, error) {
		_, err := run(t, x.Bitten)
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.ExitCode() == 1 {
			return false, nil
		}
		return err == nil, err
	}
	if len(x.State) > 0 {
		c.State = func(t schema.Candidate) (string, error) {
			out, err := run(t, x.State)
			return string(out), err
		}
	}
	change := func(what string, line []string) func(testing.TB, schema.Candidate) {
		if len(line) == 0 {
			return nil
		}
		return func(t testing.TB, target schema.Candidate) {
			if _, err := run(target, line); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
		}
	}
	c.Destroy, c.Replace = change("destroy", x.Destroy), change("replace", x.Replace)
	return c, nil
}

// commandTime is how long one of the file's commands may take.
const commandTime = time.Minute

// command runs a command of the file.
func command(dir string, target schema.Candidate, line []string) ([]byte, error) {
	if len(line) == 0 {
		return nil, errors.New("the command is empty")
	}
	ctx, cancel := context.WithTimeout(context.Background(), commandTime)
	defer cancel()
	in, err := json.Marshal(target)
	if err != nil {
		return nil, err
	}
	c := exec.CommandContext(ctx, line[0], line[1:]...)
	c.Dir, c.Stdin = dir, bytes.NewReader(in)
	var errors bytes.Buffer
	c.Stderr = &errors
	out, err := c.Output()
	if err != nil {
		return out, fmt.Errorf("%s: %w: %s", strings.Join(line, " "), err, bytes.TrimSpace(errors.Bytes()))
	}
	return out, nil
}
