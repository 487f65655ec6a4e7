package host

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/faultline-go/faultline/engine/host/output"
	"github.com/faultline-go/faultline/sdk/wire"
)

// StartError says why a plugin could not be started, and what to do.
type StartError struct {
	Name    string
	Path    string
	Problem string // "it ended at once with exit status 3"
	Hint    string // what to do
	Printed output.Words
	Err     error // may be nil
}

func (e *StartError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "start plugin %s (%s): %s", e.Name, e.Path, e.Problem)
	if e.Hint != "" {
		fmt.Fprintf(&b, "; %s", e.Hint)
	}
	b.WriteString(e.Printed.String())
	return b.String()
}

func (e *StartError) Unwrap() error { return e.Err }

// failure finds out why a start failed: from what the kernel said, from the first
// line that the plugin printed, and from how it ended, rather than from the text of
// go-plugin's errors. The process is gone already.
func (h *Host) failure(ctx context.Context, p *Plugin, late bool, err error) error {
	e := &StartError{Name: p.Name, Path: p.Path, Printed: p.process.printed.Words(), Err: err}
	if ctx.Err() != nil {
		return fmt.Errorf("start plugin %s: %w", p.Name, context.Cause(ctx))
	}
	if !p.process.started() {
		return e.notRun(p.process.binary, err)
	}
	state, end := p.process.exit()
	line := p.process.line()
	version := protocolOf(line)
	problem, hint := misread(line, p.sockets)
	switch {
	case version >= 0 && !h.protocols.have(version):
		e.Problem, e.Hint = h.protocols.misfit(version)
		e.Err = errOtherProtocol
		e.Printed = output.Words{} // it has said all that there is to say
	case line == "" && late:
		e.Problem = fmt.Sprintf("it has said nothing for %s", h.opts.StartTimeout)
		e.Hint = "it hangs at its start, or is no faultline plugin"
		e.Err = context.DeadlineExceeded
	case line == "" && end == killed:
		e.Problem = "it closed its standard output without a word"
		e.Hint = "is it a faultline plugin?"
	case line == "":
		e.Problem = fmt.Sprintf("it ended at its start (%s)", state)
		e.Hint = "run it by hand with -describe to see what is wrong"
	case problem != "":
		e.Problem, e.Hint = problem, hint
	case late:
		e.Problem = fmt.Sprintf("it has not answered within %s", h.opts.StartTimeout)
		e.Hint = "it hangs at its start"
		e.Err = context.DeadlineExceeded
	case end != killed:
		e.Problem = fmt.Sprintf("it ended before it answered (%s)", state)
		e.Hint = "run it by hand with -describe to see what is wrong"
	case errors.Is(err, wire.ErrGone):
		e.Problem = "nobody answers at the address that it printed"
		e.Hint = "does it listen there before it prints it?"
	default:
		e.Problem = output.Printable(err.Error(), false) // go-plugin quotes the plugin
	}
	return e
}

// notRun explains what the kernel said.
func (e *StartError) notRun(b *binary, err error) error {
	switch {
	case errors.Is(err, syscall.ENOEXEC):
		e.Problem = "it cannot run here: " + b.misfit()
		e.Hint = "install the plugin for this machine"
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		e.Problem = "it may not be run (" + err.Error() + ")"
		e.Hint = "is its file executable, and its file system not mounted noexec?"
	case errors.Is(err, syscall.ENOENT) && b.script():
		e.Problem = "the interpreter that its first line names is missing"
		e.Hint = "install it"
	case errors.Is(err, syscall.ENOENT):
		e.Problem = "the dynamic loader that it needs is missing"
		e.Hint = "build the plugin statically (CGO_ENABLED=0), or install its libraries"
	case errors.Is(err, syscall.ETXTBSY):
		e.Problem = "its file is being written to"
		e.Hint = "try again when that is done"
	default:
		e.Problem = err.Error()
	}
	return e
}

// protocolOf is what the line says by which a plugin introduces itself: core version,
// protocol, network, address, kind of RPC, divided by "|". Below zero: it is another line.
func protocolOf(line string) int {
	parts := strings.Split(line, "|")
	if len(parts) >= 5 && parts[0] == "1" {
		if n, err := strconv.Atoi(parts[1]); err == nil {
			return n
		}
	}
	return -1
}

// misread says what else is wrong with that line. A plugin that others could connect to
// would do for them what it does for us.
func misread(line, sockets string) (problem, hint string) {
	const there = "let it listen in the folder that PLUGIN_UNIX_SOCKET_DIR names"
	parts := strings.Split(line, "|")
	switch {
	case line == "":
		return "", ""
	case protocolOf(line) < 0:
		return fmt.Sprintf("it printed %.80q instead of the plugin handshake", line),
			"it is no faultline plugin, or prints on its standard output before it serves"
	case parts[2] != "unix":
		return fmt.Sprintf("it listens on %.40q, not on a unix socket", parts[2]), there
	case !strings.HasPrefix(filepath.Clean(parts[3]), filepath.Clean(sockets)+"/"):
		return fmt.Sprintf("it listens at %.120q, where others may get at it", parts[3]), there
	case strings.TrimSpace(parts[4]) != "grpc":
		return fmt.Sprintf("it speaks %.40q, not gRPC", parts[4]), "build it with the faultline SDK"
	}
	return "", ""
}
