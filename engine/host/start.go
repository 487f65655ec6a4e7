package host

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"

	"github.com/faultline-go/faultline/engine/host/output"
	"github.com/faultline-go/faultline/engine/trust"
	"github.com/faultline-go/faultline/sdk/wire"
)

// Start starts a plugin and configures it. For a run (RunDir is set) it runs from a
// copy under the binary's checksum in the state folder; Path and SHA256 say which.
// A binary that may not start (Options.Trust) is not started, and not copied.
// The caller closes the plugin, also after it has ended by itself.
//
// It inherits the variables that options name. One of faultline's own plugins also gets
// those that its description declares: what these mean is known, and checked.
func (h *Host) Start(ctx context.Context, name string, q wire.Configure, options ...StartOption) (*Plugin, error) {
	if at, ok := h.opts.Reattach[name]; ok {
		return h.startAttached(ctx, name, at, q)
	}
	path, err := h.Find(name)
	if err != nil {
		return nil, err
	}
	b, err := openBinary(name, path)
	if err != nil {
		return nil, err
	}
	defer b.close()
	if q.RunDir != "" && h.opts.StateDir != "" {
		if b, err = h.keep(b); err != nil {
			return nil, err
		}
		defer b.close()
	} else if err := b.hash(); err != nil {
		return nil, err
	} else if err := h.allow(b); err != nil {
		return nil, err
	}
	if b.basis == trust.BuiltIn {
		d, err := h.ask(ctx, b)
		if err != nil {
			return nil, err
		}
		for _, v := range d.Description.Environment {
			options = append(options, Inherit(v.Name))
		}
	}
	return h.run(ctx, b, q, options)
}

// StartBinary starts the very binary that an earlier run used, by Plugin.Path and
// Plugin.SHA256; with another content it is refused. The file's name says which
// plugin it is. That the run was allowed to start it, and what is being undone with it,
// outweighs what Options.Trust would say by now: it is not asked.
//
// Its variables are those that options name, for a run all of Plugin.Environment.
func (h *Host) StartBinary(ctx context.Context, path, sum string, q wire.Configure, options ...StartOption) (*Plugin, error) {
	name, ok := strings.CutPrefix(filepath.Base(path), Prefix)
	if !ok || !localName.MatchString(name) {
		return nil, fmt.Errorf("start plugin: %s is not called %sNAME", path, Prefix)
	}
	b, err := openHashed(name, path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: it was kept for recovery; put %s%s with SHA-256 %s back there", err, Prefix, name, sum)
	}
	if err != nil {
		return nil, err
	}
	defer b.close()
	if len(sum) != 2*sha256.Size || b.sum != sum {
		return nil, fmt.Errorf("start plugin %s: %s is not the binary that the run used: its SHA-256 is %s, not %s", name, path, b.sum, sum)
	}
	b.basis = ofRun
	return h.run(ctx, b, q, options)
}

// run launches and configures.
func (h *Host) run(ctx context.Context, b *binary, q wire.Configure, options []StartOption) (*Plugin, error) {
	var o startOptions
	for _, set := range options {
		set(&o)
	}
	slices.Sort(o.inherit)
	p, err := h.launch(ctx, b, slices.Compact(o.inherit)...)
	if err != nil {
		return nil, err
	}
	limit, cancel := context.WithTimeout(ctx, h.opts.StartTimeout)
	defer cancel()
	err = p.Configure(limit, q)
	if err == nil {
		return p, nil
	}
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case errors.Is(err, context.DeadlineExceeded):
		err = fmt.Errorf("it has not answered within %s; are its settings right?", h.opts.StartTimeout)
	case errors.Is(err, wire.ErrGone):
		select {
		case <-p.Done():
			err = p.Err()
		case <-limit.Done():
		}
	}
	p.Kill()
	return nil, fmt.Errorf("configure plugin %s: %w", b.name, err)
}

// launch starts the process, which inherits the variables of these names, and asks it
// what it is.
func (h *Host) launch(ctx context.Context, b *binary, inherit ...string) (*Plugin, error) {
	if b.basis == "" {
		return nil, fmt.Errorf("start plugin %s: nobody has allowed %s to start", b.name, b.path)
	}
	if err := b.seal(); err != nil {
		return nil, err
	}
	sockets, err := socketFolder()
	if err != nil {
		return nil, fmt.Errorf("start plugin %s: %w", b.name, err)
	}
	out := output.New(func(line string) {
		h.opts.Stderr(b.name, line)
		h.record(b.name, line)
	})
	proc := newProcess(b, out, sockets)
	var synced [2]io.Writer // what go-plugin makes of os.Stdout and os.Stderr, before the SDK undoes it
	for i := range synced {
		synced[i] = &output.Lines{Take: out.Line}
	}
	client := goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig:  goplugin.HandshakeConfig{MagicCookieKey: wire.CookieKey, MagicCookieValue: wire.CookieValue},
		VersionedPlugins: h.protocols.sets(h.traces(b.name)),
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		Logger:           hclog.New(&hclog.LoggerOptions{Level: hclog.Off, Output: io.Discard}),
		SyncStdout:       synced[0],
		SyncStderr:       synced[1],
		StartTimeout:     h.opts.StartTimeout + time.Minute, // ours comes first
		SkipHostEnv:      true,
		UnixSocketConfig: &goplugin.UnixSocketConfig{TempDir: sockets},
		RunnerFunc: func(_ hclog.Logger, cmd *exec.Cmd, _ string) (runner.Runner, error) {
			inherited := environment(h.opts.Environ(), slices.Concat(h.opts.Inherit, inherit))
			proc.env = slices.Concat(inherited, cmd.Env, h.logVariable())
			if b.served {
				proc.env = append(proc.env, wire.SharedVariable+"=1")
			}
			return proc, nil
		},
		GRPCDialOptions: append(append(door(), mourner{proc.done, proc.ownEnd}.options()...), grpc.WithIdleTimeout(0)),
	})
	p := &Plugin{
		Name: b.name, SHA256: b.sum, Path: b.path, Trust: b.basis, Environment: inherit,
		process: proc, client: client, sockets: sockets, patience: h.opts.CloseTimeout, closed: make(chan struct{}),
	}

	limit, cancel := context.WithTimeout(ctx, h.opts.StartTimeout)
	defer cancel()
	stop := context.AfterFunc(limit, proc.kill)
	err = p.connect(limit, !b.served)
	if !stop() && err == nil { // killed at the last moment
		err = limit.Err()
	}
	if err == nil {
		if b.any && p.Description != nil {
			p.Name = p.Description.Name
		}
		if err = check(p.Description, p.Name); err == nil {
			p.Version, p.Protocol = p.Description.Version, client.NegotiatedVersion()
			h.remember(Described{b.sum, p.Protocol, p.Description})
			return p, nil
		}
		p.Kill()
		return nil, err
	}
	p.Kill()
	return nil, h.failure(ctx, p, limit.Err() != nil, err)
}

// connect makes the first calls. When they have been answered the socket's file is
// not needed any more, unless others are to connect: removed now, nothing is left of it
// however the engine ends, and nobody else can connect.
func (p *Plugin) connect(ctx context.Context, alone bool) error {
	rpc, err := p.client.Client()
	if err != nil {
		return err
	}
	p.rpc = rpc
	raw, err := rpc.Dispense(wire.ServiceName)
	if err != nil {
		return err
	}
	p.Client = raw.(*wire.Client)
	if p.Description, err = p.Describe(ctx); err != nil {
		return fmt.Errorf("describe: %w", err)
	}
	if !alone {
		return nil
	}
	return os.RemoveAll(p.sockets)
}

// service makes go-plugin hand out a wire.Client.
type service struct {
	goplugin.NetRPCUnsupportedPlugin
	watch func(wire.Call)
}

func (service) GRPCServer(*goplugin.GRPCBroker, *grpc.Server) error {
	return errors.New("the engine serves nothing")
}

func (s service) GRPCClient(_ context.Context, _ *goplugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	return wire.NewWatchedClient(c, s.watch), nil
}

// longestBase leaves room in the 108 bytes of a unix socket's path for the two
// names that go-plugin adds.
const longestBase = 60

// socketFolder makes a private folder with a short path.
func socketFolder() (string, error) {
	base := os.TempDir()
	if len(base) > longestBase-len("/faultline-0123456789") {
		base = "/tmp"
	}
	dir, err := os.MkdirTemp(base, "faultline-")
	if err != nil {
		return "", fmt.Errorf("make a folder for its socket: %w; set TMPDIR to a folder that you may write to", err)
	}
	return dir, nil
}
