package simulation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/faultline-go/faultline/engine/run"
	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
	"github.com/faultline-go/faultline/sdk/wire"
)

// process is a plugin's process: the real SDK over lamps, and the end of its
// connection that its parent holds. Nothing that a dead one does has any effect; one
// that hangs does nothing until it goes on.
type process struct {
	w      *world
	name   string
	run    string
	parent *life
	path   string // of the state folder, for this process alone
	server wire.Server
	closer interface{ Close(context.Context) error }
	done   chan struct{} // closed when it is dead

	ended map[string]time.Time // when a revert of a fault last came here

	mu   sync.Mutex
	hung chan struct{} // closed when it goes on; nil: it does not hang
	cut  []context.CancelFunc
}

// born starts a plugin for a life, configured for a run.
func (w *world) born(parent *life, runID string) (*process, error) {
	p := &process{w: w, run: runID, parent: parent, done: make(chan struct{}), ended: map[string]time.Time{}}
	server, err := sdk.NewServer(p.plugin())
	if err != nil {
		return nil, err
	}
	p.server, p.closer = server, server.(interface{ Close(context.Context) error })
	p.path = w.alias()
	if err := server.Configure(context.Background(), wire.Configure{Run: runID, RunDir: p.path + "/runs/" + runID}); err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.processes = append(w.processes, p)
	p.name = fmt.Sprintf("plugin %d (of the %s)", len(w.processes), parent.kind)
	w.mu.Unlock()
	// A plugin whose engine is gone puts back what it holds, and ends.
	parent.whenDead(func() {
		p.breakSessions()
		w.working.Go(p.finish)
	})
	return p, nil
}

// finish is the end of a plugin whose engine has closed its standard input, or is gone.
func (p *process) finish() {
	_ = p.closer.Close(context.Background())
	p.dies("at its end")
}

// close ends a plugin as the host does: it asks, and kills what does not listen.
func (p *process) close() {
	p.breakSessions()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_ = p.closer.Close(ctx)
	p.dies("at its end")
}

func (p *process) isDead() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// dies ends the process as SIGKILL does.
func (p *process) dies(why string) {
	p.mu.Lock()
	if p.isDead() {
		p.mu.Unlock()
		return
	}
	close(p.done)
	_ = os.Remove(p.path)
	p.mu.Unlock()
	p.w.say("%s dies %s", p.name, why)
	p.breakSessions()
}

// hangs stops the process as SIGSTOP does. It takes no lock while it hangs: the SDK's
// own code goes on here, and must not find the folder.
func (p *process) hangs() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hung == nil && !p.isDead() {
		p.hung = make(chan struct{})
		_ = os.Rename(p.path, p.path+asleep)
	}
}

const asleep = "-asleep"

func (p *process) goesOn() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hung != nil {
		close(p.hung)
		p.hung = nil
		if !p.isDead() {
			_ = os.Rename(p.path+asleep, p.path)
		}
	}
}

func (p *process) isHung() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hung != nil
}

func (p *process) breakSessions() {
	p.mu.Lock()
	cut := p.cut
	p.cut = nil
	p.mu.Unlock()
	for _, c := range cut {
		c()
	}
}

// works says whether the process can do anything now. One that hangs does not answer
// until it goes on, or until the caller's patience ends.
func (p *process) works(ctx context.Context) error {
	p.mu.Lock()
	hung := p.hung
	p.mu.Unlock()
	if hung != nil {
		select {
		case <-hung:
		case <-p.done:
		case <-ctx.Done():
		}
	}
	switch {
	case p.isDead() && !p.w.isOver():
		return errDead
	case hung != nil && ctx.Err() != nil:
		return ctx.Err()
	}
	return nil
}

// ask makes a call of the parent's. It ends as a call over the wire does: with the
// answer, with the context, or with either process.
func ask[T any](p *process, ctx context.Context, what string, f func(context.Context, func(T) error) error) ([]T, error) {
	type answer struct {
		out []T
		err error
	}
	if err := p.parent.awake(); err != nil {
		return nil, err
	}
	if err := p.parent.at("before it asks to " + what); err != nil {
		return nil, err
	}
	if p.isDead() {
		return nil, wire.ErrGone
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	got := make(chan answer, 1)
	p.w.working.Go(func() {
		if err := p.works(ctx); err != nil {
			got <- answer{err: err}
			return
		}
		var a answer
		a.err = f(ctx, func(t T) error {
			a.out = append(a.out, t)
			return nil
		})
		got <- a
	})
	var a answer
	select {
	case a = <-got:
	case <-p.done:
		a.err = wire.ErrGone
	case <-ctx.Done():
		a.err = ctx.Err()
	}
	if p.isDead() && a.err != nil {
		a.err = wire.ErrGone
	}
	if err := p.parent.awake(); err != nil {
		return nil, err
	}
	if err := p.parent.at("after it asked to " + what); err != nil {
		return nil, err
	}
	return a.out, a.err
}

func one[T any](out []T, err error) (T, error) {
	var zero T
	if len(out) == 0 {
		return zero, err
	}
	return out[0], err
}

func (p *process) Prepare(ctx context.Context, q wire.Prepare) ([]wire.Prepared, error) {
	return ask(p, ctx, "prepare", func(ctx context.Context, send func(wire.Prepared) error) error { return p.server.Prepare(ctx, q, send) })
}

func (p *process) Inject(ctx context.Context, q wire.Inject) ([]wire.Injected, error) {
	p.w.mustBeOnDisk(p, q)
	if p.w.strikes(injectArrives, 0.5) {
		return p.injectLater(ctx, q)
	}
	return ask(p, ctx, "inject", func(ctx context.Context, send func(wire.Injected) error) error { return p.server.Inject(ctx, q, send) })
}

// injectLater has a call come through only after its caller has given up, and has asked
// to revert, as far as the plugin then still lives: one that was suspended reads its
// socket in any order.
func (p *process) injectLater(ctx context.Context, q wire.Inject) ([]wire.Injected, error) {
	_, err := ask(p, ctx, "inject", func(ctx context.Context, _ func(wire.Injected) error) error { <-ctx.Done(); return ctx.Err() })
	p.w.working.Go(func() {
		_ = pass(context.Background(), p.w.within("arriving", 3*time.Second))
		if p.works(context.Background()) == nil {
			_ = p.server.Inject(context.Background(), q, func(wire.Injected) error { return nil })
		}
	})
	return nil, err
}

func (p *process) Observe(ctx context.Context, q wire.Observe) ([]wire.Observed, error) {
	return ask(p, ctx, "observe", func(ctx context.Context, send func(wire.Observed) error) error { return p.server.Observe(ctx, q, send) })
}

func (p *process) Revert(ctx context.Context, q wire.Revert) ([]wire.Reverted, error) {
	p.w.say("the %s asks %s to revert %s", p.parent.kind, p.name, q.Lease.Fault)
	p.w.mu.Lock()
	if f := p.w.faults[q.Lease.Run+"/"+q.Lease.Fault]; f != nil && f.revertAsked.IsZero() {
		f.revertAsked = time.Now()
	}
	p.w.mu.Unlock()
	return ask(p, ctx, "revert", func(ctx context.Context, send func(wire.Reverted) error) error {
		p.w.mu.Lock()
		p.ended[q.Lease.Fault] = time.Now()
		p.w.mu.Unlock()
		return p.server.Revert(ctx, q, send)
	})
}

func (p *process) Scan(ctx context.Context, known []wire.Known) ([]wire.Finding, error) {
	return ask(p, ctx, "scan", func(ctx context.Context, send func(wire.Finding) error) error { return p.server.Scan(ctx, known, send) })
}

func (p *process) Probe(ctx context.Context, q wire.Probe, take func(wire.Batch) error) error {
	_, err := ask(p, ctx, "probe", func(ctx context.Context, _ func(struct{}) error) error {
		return p.server.Probe(ctx, q, func(b wire.Batch) error {
			if p.parent.awake() != nil {
				return errDead
			}
			if p.w.since(dataIsMissing, p.w.fate.silent) && p.works(ctx) == nil {
				p.w.happens(string(dataIsMissing))
				return nil
			}
			return take(b)
		})
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (p *process) Act(context.Context, string, json.RawMessage) (string, error) {
	return "", errors.New("this plugin has no actions")
}

func (p *process) Describe(ctx context.Context) (*schema.Description, error) {
	return one(ask(p, ctx, "describe", func(ctx context.Context, send func(*schema.Description) error) error {
		d, err := p.server.Describe(ctx)
		return errors.Join(send(d), err)
	}))
}

func (p *process) Done() <-chan struct{} { return p.done }
func (p *process) Err() error            { return errors.New("killed") }

func (p *process) Kill() {
	if p.parent.awake() == nil {
		p.dies("by its engine")
	}
}

// Close is that of a recovery.
func (p *process) Close(context.Context) error {
	if !p.parent.isDead() {
		p.close()
	}
	return nil
}

func (p *process) Session(ctx context.Context) (run.Session, error) {
	if err := p.parent.at("before it opens a session"); err != nil {
		return nil, err
	}
	if p.isDead() {
		return nil, wire.ErrGone
	}
	ctx, cancel := context.WithCancel(ctx)
	p.mu.Lock()
	p.cut = append(p.cut, cancel)
	p.mu.Unlock()
	s := &session{p: p, ctx: ctx, renewals: make(chan wire.Renewal, 16), events: make(chan wire.LeaseEvent, 16), over: make(chan struct{})}
	first := true
	p.w.working.Go(func() {
		defer close(s.over)
		_ = p.server.Session(ctx, func() (wire.Renewal, error) {
			if p.works(ctx) != nil {
				return wire.Renewal{}, io.EOF
			}
			if first {
				first = false
				return wire.Renewal{}, nil
			}
			select {
			case r := <-s.renewals:
				return r, p.works(ctx)
			case <-ctx.Done():
				return wire.Renewal{}, io.EOF
			}
		}, func(e wire.LeaseEvent) error {
			if p.w.since(acksAreLost, p.w.fate.deaf) && e.Sequence != 0 {
				p.w.happens(string(acksAreLost))
				return nil
			}
			select {
			case s.events <- e:
			case <-ctx.Done():
			}
			return nil
		})
	})
	if _, err := s.Next(); err != nil {
		return nil, err
	}
	return s, p.parent.at("after it opened a session")
}

// session is the engine's end of a session.
type session struct {
	p        *process
	ctx      context.Context
	renewals chan wire.Renewal
	events   chan wire.LeaseEvent
	over     chan struct{}
}

func (s *session) Renew(r wire.Renewal) error {
	if err := s.p.parent.awake(); err != nil {
		return err
	}
	if err := s.p.parent.at("before it renews"); err != nil {
		return err
	}
	select {
	case s.renewals <- r:
		return nil
	case <-s.ctx.Done():
		return io.EOF
	}
}

func (s *session) Next() (e wire.LeaseEvent, err error) {
	select {
	case e = <-s.events:
	case <-s.over:
		err = errors.New("the stream broke")
	case <-s.ctx.Done():
		<-s.over
		err = errors.New("the stream broke")
	}
	if dead := s.p.parent.awake(); dead != nil {
		return e, dead
	}
	return e, err
}
