package host

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	goplugin "github.com/hashicorp/go-plugin"

	"github.com/faultline-go/faultline/engine/trust"
	"github.com/faultline-go/faultline/sdk/schema"
	"github.com/faultline-go/faultline/sdk/wire"
)

// Plugin is a plugin's running process, and the client that talks to it. Its methods
// may be called by several goroutines.
type Plugin struct {
	*wire.Client

	Name        string
	Version     string
	SHA256      string      // of the binary that runs
	Path        string      // of that binary: the copy in the state folder, for a run
	Trust       trust.Basis // on what ground it was started
	Environment []string    // names of the variables that it may inherit beside the base
	Description *schema.Description
	Protocol    int  // that both sides speak
	Attached    bool // it runs already: somebody else has started it, and ends it

	process  *process // nil when it is attached
	attached *attached
	client   *goplugin.Client
	rpc      goplugin.ClientProtocol
	sockets  string
	patience time.Duration

	closing atomic.Bool
	toKill  atomic.Bool   // Kill was called: that it was killed is no news
	closed  chan struct{} // closed when nothing of it is left
	result  error         // of Close; read after closed
}

// Done is closed when the process has ended, by itself or not. What it held is freed
// by Close.
func (p *Plugin) Done() <-chan struct{} {
	if p.Attached {
		return p.attached.done
	}
	return p.process.done
}

// PID is the number of the process, and of its group.
func (p *Plugin) PID() int {
	if p.Attached {
		return p.attached.pid
	}
	p.process.mu.Lock()
	defer p.process.mu.Unlock()
	return p.process.pid
}

// Err says how the process ended, with its last words, when it ended by itself. It is nil while it runs, and after an end that Close or Kill brought.
func (p *Plugin) Err() error {
	if p.Attached {
		return p.attached.err()
	}
	select {
	case <-p.process.done:
	default:
		return nil
	}
	state, end := p.process.exit()
	if end != byItself {
		return nil
	}
	return fmt.Errorf("plugin %s ended by itself (%s)%s", p.Name, state, p.process.printed.Words())
}

// Close ends the plugin: it asks over the wire, closes the plugin's standard input,
// and waits; when ctx ends (by itself, after Options.CloseTimeout) it kills the
// process group. The plugin puts back what it still holds before it ends, so that a
// fault should be reverted by a call of its own first. After Close nothing of the
// plugin is left: no process, goroutine, descriptor or folder. The error says that
// it had to be killed.
//
// One that is attached is only left alone, by Kill, too: it puts back what it holds,
// because the connection ends.
func (p *Plugin) Close(ctx context.Context) error {
	if p.Attached {
		p.attached.detach()
		return nil
	}
	if p.closing.Swap(true) {
		<-p.closed
		return p.result
	}
	defer close(p.closed)
	defer os.RemoveAll(p.sockets)
	if !p.process.started() {
		return nil
	}
	began := time.Now()
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.patience)
		defer cancel()
	}
	p.process.want(asked)
	stop := context.AfterFunc(ctx, p.process.kill)
	defer stop()
	if p.rpc != nil {
		_ = p.rpc.Close() // a plugin that is gone, or hangs, gives an error that says nothing new
	}
	p.process.stdin.Close()
	<-p.process.done
	p.client.Kill() // go-plugin's own goroutines and folder; the process is gone
	if _, end := p.process.exit(); end == killed && !p.toKill.Load() {
		p.result = fmt.Errorf("plugin %s did not end within %s and was killed%s", p.Name, time.Since(began).Round(time.Millisecond), p.process.printed.Words())
	}
	return p.result
}

// Kill ends the plugin's process group at once, and frees what it held. What the
// plugin held broken stays broken until somebody else reverts it.
func (p *Plugin) Kill() {
	if p.Attached {
		p.attached.detach()
		return
	}
	p.toKill.Store(true)
	p.process.want(asked)
	p.process.kill()
	_ = p.Close(context.Background())
}
