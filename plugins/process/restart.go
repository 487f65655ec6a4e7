//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/faultline-go/faultline/sdk"
)

// restartConfig is the restart block.
type restartConfig struct {
	Command     []string `hcl:"command,optional" doc:"Program and arguments that start it again; no shell is involved."`
	Supervisor  bool     `hcl:"supervisor,optional" doc:"A supervisor starts it again by itself; the revert only waits for it."`
	Directory   string   `hcl:"directory,optional" doc:"Where the command runs; an absolute path. Default: where the killed process ran."`
	Output      string   `hcl:"output,optional" doc:"File that its output is appended to; an absolute path. Default: the output is dropped."`
	Environment []string `hcl:"environment,optional" doc:"Names of variables that it gets from faultline's environment, beside PATH, HOME, USER and LOGNAME. The plugin block names them, too, because only what stands there is inherited. Their values are looked up when it is started, and written down nowhere."`
	User        string   `hcl:"user,optional" doc:"User that the command runs as, by name or number. Default: the user of the killed process."`
}

func (r *restartConfig) check() error {
	if r == nil {
		return nil
	}
	var wrong []error
	refuse := func(path, format string, values ...any) {
		wrong = append(wrong, sdk.At(path, fmt.Errorf(format, values...)))
	}
	switch {
	case r.Supervisor && (len(r.Command) > 0 || r.Directory != "" || r.Output != "" || len(r.Environment) > 0 || r.User != ""):
		refuse("supervisor", "a supervisor starts the process in its own way: leave out the other arguments, or supervisor")
	case !r.Supervisor && len(r.Command) == 0:
		refuse("", "say who starts the process: command = [...] or supervisor = true")
	}
	if len(r.Command) > 0 && r.Command[0] == "" {
		refuse("command[0]", "the first word of the command is empty")
	}
	if r.Directory != "" && !filepath.IsAbs(r.Directory) {
		refuse("directory", "%q is not an absolute path", r.Directory)
	}
	if r.Output != "" && !filepath.IsAbs(r.Output) {
		refuse("output", "%q is not an absolute path", r.Output)
	}
	for i, name := range r.Environment {
		if name == "" || strings.Contains(name, "=") {
			refuse(fmt.Sprintf("environment[%d]", i), "these are names of variables, not %q", name)
		}
	}
	return sdk.At("restart", errors.Join(wrong...))
}

// restart is how a killed process is started, with everything that could be looked
// up looked up. Environment variables stay names: their values may be secrets.
type restart struct {
	Command     []string `json:"command"` // the first is an absolute path
	Directory   string   `json:"directory"`
	Output      string   `json:"output,omitempty"`
	Environment []string `json:"environment,omitempty"`
	UID         uint32   `json:"uid"`
	GID         uint32   `json:"gid"`
	Groups      []uint32 `json:"groups,omitempty"`
}

// resolve looks everything up while the process still lives, so that what cannot
// be started again is not killed.
func (r *restartConfig) resolve(p process) (*restart, error) {
	out := &restart{
		Command: append([]string(nil), r.Command...), Directory: r.Directory, Output: r.Output, Environment: r.Environment,
		UID: p.uid, GID: p.gid, Groups: p.groups,
	}
	if out.Directory == "" {
		cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", p.PID))
		if err != nil {
			return nil, fmt.Errorf("find out where process %d runs: %w", p.PID, err)
		}
		out.Directory = cwd
	}
	if info, err := os.Stat(out.Directory); err != nil {
		return nil, fmt.Errorf("restart: directory: %w", err)
	} else if !info.IsDir() {
		return nil, fmt.Errorf("restart: directory %s is none", out.Directory)
	}
	program := out.Command[0]
	if strings.Contains(program, "/") && !filepath.IsAbs(program) {
		program = filepath.Join(out.Directory, program)
	}
	program, err := exec.LookPath(program)
	if err != nil {
		return nil, fmt.Errorf("restart: command: %w", err)
	}
	out.Command[0] = program
	if out.Output != "" {
		if info, err := os.Stat(filepath.Dir(out.Output)); err != nil || !info.IsDir() {
			return nil, fmt.Errorf("restart: output %s: its folder is not there", out.Output)
		}
	}
	if err := out.runAs(r.User); err != nil {
		return nil, err
	}
	if _, err := out.environment(""); err != nil {
		return nil, err
	}
	if me := uint32(os.Geteuid()); me != 0 && me != out.UID {
		return nil, fmt.Errorf("restart: only root can start a process of user %s", userName(out.UID))
	}
	return out, nil
}

// runAs changes the user; empty leaves it.
func (r *restart) runAs(name string) error {
	if name == "" {
		return nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		if u, err = user.LookupId(name); err != nil {
			return fmt.Errorf("restart: user %q: %w", name, err)
		}
	}
	ids, err := u.GroupIds()
	if err != nil {
		return fmt.Errorf("restart: groups of user %q: %w", name, err)
	}
	r.Groups = nil
	for _, text := range ids {
		if id, err := strconv.ParseUint(text, 10, 32); err == nil {
			r.Groups = append(r.Groups, uint32(id))
		}
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return fmt.Errorf("restart: user %q: %w", name, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return fmt.Errorf("restart: user %q: %w", name, err)
	}
	r.UID, r.GID = uint32(uid), uint32(gid)
	return nil
}

// basePath is the PATH of a started process when we have none to hand on.
const basePath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// environment is what the started process gets to see: the least that programs
// expect, the variables that were asked for, and the mark.
func (r *restart) environment(mark string) ([]string, error) {
	path := os.Getenv("PATH")
	if path == "" {
		path = basePath
	}
	out := []string{"PATH=" + path}
	if u, err := user.LookupId(strconv.FormatUint(uint64(r.UID), 10)); err == nil {
		out = append(out, "HOME="+u.HomeDir, "USER="+u.Username, "LOGNAME="+u.Username)
	}
	for _, name := range r.Environment {
		value, err := sdk.Env("process", name)
		if err != nil {
			return nil, fmt.Errorf("restart: %w", err)
		}
		out = append(out, name+"="+value)
	}
	return append(out, markVariable+"="+mark), nil
}

// credential is the user to become; nil when we are that user already.
func (r *restart) credential() *syscall.Credential {
	if os.Geteuid() != 0 || r.UID == 0 && r.GID == uint32(os.Getegid()) {
		return nil
	}
	return &syscall.Credential{Uid: r.UID, Gid: r.GID, Groups: r.Groups}
}
