package dockershop_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"

	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/engine/plan"
	"github.com/faultline-go/faultline/engine/report"
	"github.com/faultline-go/faultline/internal/programs"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// built are faultline and the plugins of the game day as users have them, there when a
// test first asks for them.
var built struct {
	once sync.Once
	dir  string
	err  error
}

// buildPrograms returns the folder of the programs.
func buildPrograms(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "docker-shop-programs-"); built.err == nil {
			built.err = programs.Put(built.dir, "faultline", "faultline-plugin-docker", "faultline-plugin-http")
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.dir
}

// operator is somebody at a command line who has a state folder of their own.
type operator struct {
	programs string
	state    string
}

func newOperator(t *testing.T) *operator {
	t.Helper()
	o := &operator{programs: buildPrograms(t), state: filepath.Join(t.TempDir(), "state")}
	t.Cleanup(func() { o.nobodyLeft(t) })
	return o
}

// command is a faultline command, not started. Nothing of the machine's faultline,
// if it has one, takes part.
func (o *operator) command(args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(o.programs, "faultline"), append(slices.Clone(args), "-state-dir", o.state)...)
	c.Env = slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "FAULTLINE_") })
	c.Env = append(c.Env,
		"XDG_CACHE_HOME="+filepath.Join(o.programs, "cache"),
		"XDG_DATA_HOME="+filepath.Join(o.programs, "data"))
	return c
}

// does runs a short command, and returns what it says on standard output and its
// exit code.
func (o *operator) does(t *testing.T, args ...string) (stdout []byte, code int) {
	t.Helper()
	c := o.command(args...)
	var out, complaints bytes.Buffer
	c.Stdout, c.Stderr = &out, &complaints
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("faultline %v: %v", args, err)
	}
	if complaints.Len() > 0 {
		t.Logf("faultline %v says: %s", args, bytes.TrimSpace(complaints.Bytes()))
	}
	return out.Bytes(), c.ProcessState.ExitCode()
}

// reads runs a short command that must succeed, and decodes the JSON that it writes.
func (o *operator) reads(t *testing.T, into any, args ...string) {
	t.Helper()
	out, code := o.does(t, args...)
	if code != 0 {
		t.Fatalf("faultline %v: exit code %d: %s", args, code, out)
	}
	if err := json.Unmarshal(out, into); err != nil {
		t.Fatalf("faultline %v: %v: %s", args, err, out)
	}
}

func (o *operator) history(t *testing.T) []report.RunSummary {
	t.Helper()
	var h []report.RunSummary
	o.reads(t, &h, "history", "-format", "json")
	return h
}

// report is the latest run, judged anew from its journal.
func (o *operator) report(t *testing.T) judge.Result {
	t.Helper()
	var r judge.Result
	o.reads(t, &r, "report", "-format", "json")
	return r
}

// processes lists the operator's faultline and what it has started, as command lines
// by process id.
func (o *operator) processes(t *testing.T) map[int]string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(files) == 0 {
		t.Fatalf("cannot list processes: %v", err)
	}
	found := map[int]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err == nil && strings.Contains(string(text), o.state) {
			found[pid] = strings.ReplaceAll(string(text), "\x00", " ")
		}
	}
	return found
}

// process is the one process whose command line has some words.
func (o *operator) process(t *testing.T, words string) int {
	t.Helper()
	found := 0
	all := o.processes(t)
	for pid, line := range all {
		if strings.Contains(line, words) {
			if found != 0 {
				t.Fatalf("more than one process with %q: %v", words, all)
			}
			found = pid
		}
	}
	if found == 0 {
		t.Fatalf("no process with %q: %v", words, all)
	}
	return found
}

// nobodyLeft looks for processes that outlive the game day. One that was told to end
// may take its time.
func (o *operator) nobodyLeft(t *testing.T) {
	t.Helper()
	eventually(t, "every process of the game day ends", func() error {
		if left := o.processes(t); len(left) > 0 {
			return fmt.Errorf("left: %v", left)
		}
		return nil
	})
}

// plans asks for the plan of a game day, and returns each experiment's one target: a
// container's id. Planning touches nothing.
func (o *operator) plans(t *testing.T, s *system, scenario string, more ...string) map[string]string {
	t.Helper()
	args := append([]string{"plan", scenario, "-format", "json"}, more...)
	text, code := o.does(t, append(args, s.variables()...)...)
	if code != 0 {
		t.Fatalf("faultline plan: exit code %d", code)
	}
	p, err := plan.Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	targets := map[string]string{}
	for _, x := range p.Experiments {
		if len(x.Steps) != 1 || len(x.Steps[0].Targets) != 1 || s.roles[x.Steps[0].Targets[0].ID] == "" {
			t.Fatalf("the plan of %s: %+v, want one step with one container of the shop", x.Spec.Name, x.Steps)
		}
		targets[x.Spec.Name] = x.Steps[0].Targets[0].ID
	}
	return targets
}

// gameDay is a `faultline run` under way.
type gameDay struct {
	cmd    *exec.Cmd
	output string // file
	ended  chan struct{}
}

// longestDay is how long a game day may take, on a busy machine, before it counts
// as one that hangs.
const longestDay = 4 * time.Minute

// starts begins a game day on the system, which nobody is asked to approve.
func (o *operator) starts(t *testing.T, s *system, scenario string, more ...string) *gameDay {
	t.Helper()
	args := append([]string{"run", scenario, "-auto-approve"}, s.variables()...)
	args = append(args, more...)
	g := &gameDay{cmd: o.command(args...), output: filepath.Join(t.TempDir(), "output"), ended: make(chan struct{})}
	out, err := os.Create(g.output)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	g.cmd.Stdout, g.cmd.Stderr = out, out
	if err := g.cmd.Start(); err != nil {
		t.Fatalf("start faultline: %v", err)
	}
	go func() {
		defer close(g.ended)
		_ = g.cmd.Wait() // its exit code says it all
	}()
	t.Cleanup(func() {
		select {
		case <-g.ended:
		default:
			_ = g.cmd.Process.Kill()
			<-g.ended
		}
		if t.Failed() {
			text, err := os.ReadFile(g.output)
			t.Logf("faultline %v said (%v):\n%s", args, err, text)
		}
	})
	return g
}

// code waits for the end of the game day and returns its exit code; -1 when a signal
// ended it.
func (g *gameDay) code(t *testing.T) int {
	t.Helper()
	select {
	case <-g.ended:
	case <-time.After(longestDay):
		t.Fatalf("the game day does not end within %s", longestDay)
	}
	return g.cmd.ProcessState.ExitCode()
}

// only returns a folder with the game day cut down to one experiment. A duration
// replaces that of its fault, which then has a long lease, too.
func only(t *testing.T, experiment, duration string) string {
	t.Helper()
	const name = "docker-shop.hcl"
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	file, problems := hclwrite.ParseConfig(text, name, hcl.InitialPos)
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	kept := 0
	for _, block := range file.Body().Blocks() {
		switch {
		case block.Type() != "experiment":
		case block.Labels()[0] != experiment:
			file.Body().RemoveBlock(block)
		default:
			kept++
			for _, step := range block.Body().Blocks() {
				if step.Type() == "fault" && duration != "" {
					step.Body().SetAttributeValue("duration", cty.StringVal(duration))
					step.Body().SetAttributeValue("lease", cty.StringVal(longLease))
				}
			}
		}
	}
	if kept != 1 {
		t.Fatalf("%s has %d experiments %q, want one", name, kept, experiment)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}
