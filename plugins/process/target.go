//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/faultline-go/faultline/plugins/internal/incarnation"
	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
)

// match says which processes are meant: those for which everything given holds.
type match struct {
	Name    string `hcl:"name,optional" doc:"The executable's file name, the file name of its first argument, or the name that the process gave itself."`
	Command string `hcl:"command,optional" doc:"A regular expression that is found anywhere in the command line (the arguments with single spaces between them); plain text finds itself."`
	User    string `hcl:"user,optional" doc:"The effective user, by name or number."`
	Parent  string `hcl:"parent,optional" doc:"The parent process, by pid or by name."`
	PIDFile string `hcl:"pid_file,optional" example:"/run/web.pid" doc:"The absolute path of a file whose first line is the pid; may be a pattern (/run/web-*.pid). The file is then the target's identity, so that it stays the same target after a restart with other arguments."`
}

var processTarget = sdk.Target[match]{
	Type: "process",
	Doc: "Processes of this machine. At least one argument is needed, and all that are given must hold. " +
		"Pid 1, kernel threads, faultline's own processes and the processes that it runs under are never offered, nor is a pid file's process that is younger than the file. " +
		"Without a pid file, a process is known by its executable, arguments and user; identical ones are numbered in the order of their start, and when one of those dies, it cannot be told which one a new one replaces.",
	Interfaces: []string{"process"},
	Attributes: []schema.Attribute{
		{Name: "pid", Type: "number", Doc: "process id"},
		{Name: "ppid", Type: "number", Doc: "the parent's process id"},
		{Name: "name", Type: "string", Doc: "file name of the executable"},
		{Name: "command", Type: "string", Doc: "command line, with single spaces between the arguments"},
		{Name: "user", Type: "string", Doc: "effective user"},
		{Name: "cgroup", Type: "string", Doc: "control group path"},
		{Name: "state", Type: "string", Doc: "running, sleeping, waiting (for a disk, say), stopped or traced"},
		{Name: "start_time", Type: "number", Doc: "when it was started, in seconds since the Unix epoch"},
		{Name: "start_ticks", Type: "number", Doc: "when it was started, in clock ticks since boot; with the pid this is exact"},
		{Name: "pid_file", Type: "string", Doc: "the pid file that names it; empty without one"},
	},
	Discover: discover,
}

func discover(_ context.Context, m match) ([]sdk.Candidate, error) {
	if m == (match{}) {
		return nil, errors.New("match processes: give at least one of name, command, user, parent and pid_file")
	}
	command, err := regexp.Compile(m.Command)
	if err != nil {
		return nil, fmt.Errorf("match processes: command: %w", err)
	}
	all, err := processes()
	if err != nil {
		return nil, err
	}
	reason, err := spared()
	if err != nil {
		return nil, err
	}
	var found []named
	if m.PIDFile != "" {
		found, err = fromPattern(m.PIDFile)
	} else {
		found, err = numbered(all)
	}
	if err != nil {
		return nil, err
	}
	parent := parentMatcher(m.Parent, all)
	var out []sdk.Candidate
	for _, p := range found {
		switch {
		case reason(p.process) != "":
		case m.Name != "" && !p.called(m.Name):
		case !command.MatchString(p.command()):
		case m.User != "" && m.User != userName(p.uid) && m.User != strconv.FormatUint(uint64(p.uid), 10):
		case !parent(p.parent):
		default:
			c, err := p.candidate()
			if err != nil {
				return nil, err
			}
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b sdk.Candidate) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}

// parentMatcher checks a parent's pid against what the scenario says of it.
func parentMatcher(want string, all []process) func(ppid int) bool {
	if want == "" {
		return func(int) bool { return true }
	}
	if pid, err := strconv.Atoi(want); err == nil {
		return func(ppid int) bool { return ppid == pid }
	}
	parents := map[int]bool{}
	for _, p := range all {
		p.executable = executableOf(p.PID)
		parents[p.PID] = p.called(want)
	}
	return func(ppid int) bool { return parents[ppid] }
}

// named is a process with its logical id.
type named struct {
	process
	id      string
	pidFile string
}

const (
	filePrefix    = "pidfile:"
	commandPrefix = "command:"
)

// fromPattern finds the processes that pid files name, in the order of the files.
func fromPattern(pattern string) ([]named, error) {
	if !filepath.IsAbs(pattern) {
		return nil, fmt.Errorf("match processes: pid_file %q is not an absolute path", pattern)
	}
	files, err := filepath.Glob(pattern)
	if err != nil {
		return nil, fmt.Errorf("match processes: pid_file %q: %w", pattern, err)
	}
	var out []named
	for _, file := range files {
		p, ok, err := fromPIDFile(file)
		if err != nil {
			return nil, fmt.Errorf("match processes: %w", err)
		}
		if ok {
			out = append(out, named{p, filePrefix + file, file})
		}
	}
	return out, nil
}

// numbered gives all processes that are no kernel threads their logical ids. It
// numbers over the whole machine, so that an id does not depend on the match.
func numbered(all []process) ([]named, error) {
	var out []named
	for _, p := range all {
		if p.kernel {
			continue
		}
		ok, err := p.fill()
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, named{process: p})
		}
	}
	slices.SortStableFunc(out, func(a, b named) int { return byStart(a.Incarnation, b.Incarnation) })
	same, seen := map[string]int{}, map[string]int{}
	for _, p := range out {
		same[p.key()]++
	}
	for i := range out {
		key := out[i].key()
		out[i].id = commandPrefix + key
		if seen[key]++; same[key] > 1 {
			out[i].id += "#" + strconv.Itoa(seen[key])
		}
	}
	return out, nil
}

// byStart orders processes by their start; pids break ties.
func byStart(a, b incarnation.Incarnation) int {
	if a.Start != b.Start {
		if a.Start < b.Start {
			return -1
		}
		return 1
	}
	return a.PID - b.PID
}

// label is what people call this target: its pid file tells several processes of one
// program apart.
func (p named) label() string {
	if p.pidFile != "" {
		return strings.TrimSuffix(filepath.Base(p.pidFile), ".pid")
	}
	return p.name()
}

func (p named) candidate() (sdk.Candidate, error) {
	age, err := p.age()
	if err != nil {
		return sdk.Candidate{}, err
	}
	return sdk.Candidate{
		ID:          p.id,
		Name:        fmt.Sprintf("%s (pid %d)", p.label(), p.PID),
		Incarnation: p.Incarnation.String(),
		Attributes: map[string]any{
			"pid":         p.PID,
			"ppid":        p.parent,
			"name":        p.name(),
			"command":     p.command(),
			"user":        userName(p.uid),
			"cgroup":      p.cgroup,
			"state":       stateName(p.state),
			"start_time":  time.Now().Add(-age).Truncate(time.Second).Unix(),
			"start_ticks": p.Start,
			"pid_file":    p.pidFile,
		},
	}, nil
}
