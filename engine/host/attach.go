package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/faultline-go/faultline/engine/trust"
	"github.com/faultline-go/faultline/sdk/schema"
	"github.com/faultline-go/faultline/sdk/wire"
)

// attached is the connection to a plugin's process that somebody else has started, and
// perhaps holds in a debugger. It is never signalled.
type attached struct {
	name string
	conn *grpc.ClientConn
	pid  int
	proc *os.File      // a descriptor of the process, readable when it has ended
	done chan struct{} // closed when it has ended, or we have let go of it

	mu    sync.Mutex
	ended bool // by itself
	gone  bool // done is closed
}

// attach connects to the plugin and asks it what it is, as long as ctx allows: a person
// may have stopped it.
func (h *Host) attach(ctx context.Context, name string, at wire.Reattach) (*Plugin, error) {
	fail := func(err error) (*Plugin, error) {
		return nil, fmt.Errorf("attach plugin %s (process %d): %w", name, at.PID, err)
	}
	if !localName.MatchString(name) {
		return fail(fmt.Errorf("%q is no name of a plugin", name))
	}
	basis, err := h.decide(trust.Binary{Name: name, Attached: true})
	if err != nil {
		return nil, err
	}
	if !h.protocols.have(at.Protocol) {
		problem, hint := h.protocols.misfit(at.Protocol)
		return fail(fmt.Errorf("%s: %s", problem, hint))
	}
	pid, err := servedBy(ctx, at.Address)
	if err != nil {
		return fail(err)
	}
	a := &attached{name: name, pid: pid, done: make(chan struct{})}
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return fail(fmt.Errorf("watch it: %w", err))
	}
	a.proc = os.NewFile(uintptr(fd), "process "+strconv.Itoa(pid))
	a.conn, err = grpc.NewClient("unix:"+at.Address, append(append(door(), mourner{a.done, a.ownEnd}.options()...),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithIdleTimeout(0),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return dialOwn(ctx, at.Address) }),
	)...)
	if err != nil {
		a.proc.Close()
		return fail(err)
	}
	go a.watch()
	p := &Plugin{
		Client: wire.NewWatchedClient(a.conn, h.traces(name)), Name: name,
		Protocol: at.Protocol, Trust: basis, Attached: true, attached: a,
	}
	if p.Description, err = p.Describe(ctx); err == nil {
		err = check(p.Description, name)
	}
	if err != nil {
		a.detach()
		return fail(err)
	}
	p.Version = p.Description.Version
	return p, nil
}

func (h *Host) describeAttached(ctx context.Context, name string, at wire.Reattach) (*schema.Description, error) {
	ctx, cancel := context.WithTimeout(ctx, PausePatience)
	defer cancel()
	p, err := h.attach(ctx, name, at)
	if err != nil {
		return nil, err
	}
	return p.Description, p.Close(ctx)
}

// PausePatience is how long a plugin that somebody holds in a debugger may take to answer.
const PausePatience = time.Hour

// startAttached is Start for a plugin that runs already. For a run, a copy of its
// program is kept as for any other: should the process be gone, recovery starts that.
func (h *Host) startAttached(ctx context.Context, name string, at wire.Reattach, q wire.Configure) (*Plugin, error) {
	ctx, cancel := context.WithTimeout(ctx, PausePatience)
	defer cancel()
	p, err := h.attach(ctx, name, at)
	if err != nil {
		return nil, err
	}
	if q.RunDir != "" && h.opts.StateDir != "" && at.Binary != "" {
		if err := h.keepAttached(p, at.Binary); err != nil {
			p.Kill()
			return nil, err
		}
	}
	if err := p.Configure(ctx, q); err != nil {
		p.Kill()
		return nil, fmt.Errorf("configure plugin %s (attached): %w", name, err)
	}
	return p, nil
}

// keepAttached keeps a copy of what the process executes, whatever was built since.
func (h *Host) keepAttached(p *Plugin, path string) error {
	b, err := openBinary(p.Name, path)
	if err != nil || !b.script() { // a script's process executes its interpreter
		if err == nil {
			b.close()
		}
		if b, err = openBinary(p.Name, filepath.Join("/proc", strconv.Itoa(p.PID()), "exe")); err != nil {
			return err
		}
	}
	defer b.close()
	if err := b.hash(); err != nil {
		return err
	}
	b.basis = p.Trust
	kept, err := h.store(b)
	if err != nil {
		return err
	}
	defer kept.close()
	p.Path, p.SHA256 = kept.path, kept.sum
	return nil
}

// watch waits for the end of the process, or until it is let go.
func (a *attached) watch() {
	raw, err := a.proc.SyscallConn()
	if err != nil {
		return
	}
	err = raw.Read(func(fd uintptr) bool {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(poll, 0)
		return n > 0 || err != nil && !errors.Is(err, unix.EINTR)
	})
	a.let(err == nil)
}

// detach lets go of it.
func (a *attached) detach() { a.let(false) }

func (a *attached) let(ended bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.gone {
		return
	}
	a.gone, a.ended = true, ended
	a.conn.Close()
	a.proc.Close()
	close(a.done)
}

func (a *attached) err() error {
	if end := a.ownEnd(); end != "" {
		return fmt.Errorf("plugin %s", end)
	}
	return nil
}

// ownEnd says that the process has ended by itself; nobody here knows how.
func (a *attached) ownEnd() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.ended {
		return ""
	}
	return fmt.Sprintf("%s (attached, process %d) has ended; its terminal says why", a.name, a.pid)
}

// servedBy says which process serves the socket.
func servedBy(ctx context.Context, address string) (int, error) {
	c, err := dialOwn(ctx, address)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	peer, err := peerOf(c)
	if err != nil {
		return 0, err
	}
	return int(peer.Pid), nil
}

// dialOwn connects to a socket that only the same user can have made: neither its folder
// nor who listens there may be another's.
func dialOwn(ctx context.Context, address string) (net.Conn, error) {
	folder := filepath.Dir(address)
	info, err := os.Lstat(folder)
	if err != nil {
		return nil, fmt.Errorf("it is not served any more (serve it again, or unset %s): %w", wire.ReattachVariable, err)
	}
	if !info.IsDir() || info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("others may enter the folder of its socket, %s", folder)
	}
	c, err := (&net.Dialer{}).DialContext(ctx, "unix", address)
	if err != nil {
		return nil, fmt.Errorf("it is not served any more (serve it again, or unset %s): %w", wire.ReattachVariable, err)
	}
	peer, err := peerOf(c)
	if err == nil && peer.Uid != 0 && int(peer.Uid) != os.Getuid() {
		err = fmt.Errorf("it is served by user %d, not by this one", peer.Uid)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func peerOf(c net.Conn) (peer *unix.Ucred, err error) {
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err == nil {
		var inner error
		if err = raw.Control(func(fd uintptr) {
			peer, inner = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		}); err == nil {
			err = inner
		}
	}
	if err != nil {
		return nil, fmt.Errorf("look at who serves it: %w", err)
	}
	return peer, nil
}
