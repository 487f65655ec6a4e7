package run_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/faultline-go/faultline/engine/run"
	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/arbiter"
	"github.com/faultline-go/faultline/sdk/schema"
	"github.com/faultline-go/faultline/sdk/wire"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // the plugin's own warnings
	goleak.VerifyTestMain(m)
}

// The world of these tests is a row of lamps and a plugin that switches them off. The
// plugin is the real SDK, without its process: its leases are real, its time is not.
type world struct {
	t     *testing.T
	start time.Time
	diary *diary

	mu        sync.Mutex
	lamps     map[string]*lamp
	lines     []string // the trace
	processes []*process
	working   sync.WaitGroup

	asking sync.Mutex // one sample at a time

	// What a test can change. All of it runs outside mu.
	inject  func(ctx context.Context, id string) error // before a lamp is switched off
	revert  func(ctx context.Context, id string) error // before it is switched on again
	late    func(id string) time.Duration              // the switch acts that much later, for 0 at once
	sample  func(w *world) (sdk.Sample, time.Duration) // an answer, and how long it takes
	prepare func(ctx context.Context, id string) error
	act     func(ctx context.Context) error
	scan    func() []sdk.Residue // on top of the lamps that are off
	restart func() error         // starting a plugin anew
}

// lamp is a target.
type lamp struct {
	gone     bool      // it does not exist any more
	off      bool      // as the fault leaves it
	offSince time.Time //
	wasOff   bool      // it has been switched off, at some time
	switched int       // how often it was switched off
}

func newWorld(t *testing.T, lamps ...string) *world {
	w := &world{t: t, start: time.Now(), lamps: map[string]*lamp{}}
	for _, id := range lamps {
		w.lamps[id] = &lamp{}
	}
	w.diary = &diary{world: w}
	return w
}

// say adds a line to the trace.
func (w *world) say(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, fmt.Sprintf("%8.3f  %s", time.Since(w.start).Seconds(), fmt.Sprintf(format, args...)))
}

func (w *world) trace() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.lines, "\n") + "\n"
}

// with works on a lamp.
func (w *world) with(id string, f func(*lamp)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(w.lamps[id])
}

// off lists the lamps that are off, sorted.
func (w *world) off() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, id := range slices.Sorted(maps.Keys(w.lamps)) {
		if w.lamps[id].off {
			out = append(out, id)
		}
	}
	return out
}

// after runs f at a time after the world's start.
func (w *world) after(d time.Duration, f func()) {
	w.working.Go(func() {
		pass(context.Background(), d-time.Since(w.start))
		f()
	})
}

// pass lets time pass; it is the bubble's time, nobody waits for it.
func pass(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

type (
	lampConfig struct{}
	lampUndo   struct{ ID string }
)

// plugin is what a process serves. Nothing that a dead process does has any effect.
func (w *world) plugin(p *process) sdk.Plugin {
	return sdk.Plugin{
		Name: "lamp", Version: "1.0.0",
		Faults: []sdk.FaultType{sdk.Fault[lampConfig, lampUndo]{
			Type: "lamp_off", Doc: "Switches lamps off.", Accepts: []schema.Accept{{Interface: "lamp"}},
			Hold: sdk.HoldProcess, Reversibility: sdk.Reversible, RevertTime: time.Second, Settle: 2 * time.Second,
			Prepare: func(ctx context.Context, t sdk.PrepareTarget, _ lampConfig) (sdk.Prepared[lampUndo], error) {
				if w.prepare != nil {
					if err := w.prepare(ctx, t.ID); err != nil {
						return sdk.Prepared[lampUndo]{}, err
					}
				}
				gone := false
				w.with(t.ID, func(l *lamp) { gone = l.gone })
				if gone {
					return sdk.Prepared[lampUndo]{}, fmt.Errorf("look at lamp %s: %w", t.ID, sdk.ErrGone)
				}
				return sdk.Prepared[lampUndo]{Undo: lampUndo{t.ID}, Incarnation: "1", Resources: []string{"lamp:" + t.ID}}, nil
			},
			Inject:  func(ctx context.Context, _ lampConfig, u lampUndo) error { return w.switchOff(ctx, p, u.ID) },
			Observe: func(_ context.Context, _ lampConfig, u lampUndo) (sdk.Effect, error) { return w.look(u.ID), nil },
			Revert:  func(ctx context.Context, u lampUndo) (sdk.Reverted, error) { return w.switchOn(ctx, p, u.ID) },
			Scan: func(_ context.Context, known []sdk.Known[lampUndo]) (out []sdk.Residue, err error) {
				for _, k := range known {
					w.with(k.Undo.ID, func(l *lamp) {
						if l.off {
							out = append(out, sdk.Residue{Fault: k.Fault, Target: k.Target, Kind: sdk.ResidueMatches, Detail: "it is off"})
						}
					})
				}
				if w.scan != nil {
					out = append(out, w.scan()...)
				}
				return out, nil
			},
		}},
		Probes: []sdk.ProbeType{sdk.Probe[struct{}]{
			Type: "lamp", Doc: "Looks for light.",
			Open: func(context.Context, struct{}) (func(context.Context) sdk.Sample, func(), error) {
				return func(ctx context.Context) sdk.Sample {
					w.asking.Lock()
					s, takes := w.sample(w)
					w.asking.Unlock()
					if pass(ctx, takes) != nil {
						return sdk.Bad("timeout")
					}
					return s
				}, nil, nil
			},
		}},
		Actions: []sdk.ActionType{sdk.Action[struct{}]{
			Type: "lamp_note", Doc: "Does something once.",
			Do: func(ctx context.Context, _ struct{}) (string, error) {
				if w.act == nil {
					return "noted", nil
				}
				return "noted", w.act(ctx)
			},
		}},
	}
}

func (w *world) switchOff(ctx context.Context, p *process, id string) error {
	if w.inject != nil {
		if err := w.inject(ctx, id); err != nil {
			return err
		}
	}
	off := func() {
		if p.dead() {
			return
		}
		w.with(id, func(l *lamp) { l.off, l.wasOff, l.offSince = true, true, time.Now(); l.switched++ })
		w.say("    %s off", id)
	}
	gone := false
	w.with(id, func(l *lamp) { gone = l.gone })
	switch {
	case gone:
		return fmt.Errorf("switch %s off: %w", id, sdk.ErrGone)
	case w.late != nil && w.late(id) > 0:
		d := w.late(id)
		w.working.Go(func() {
			_ = pass(context.Background(), d)
			off()
		})
	default:
		off()
	}
	return nil
}

func (w *world) look(id string) (e sdk.Effect) {
	w.with(id, func(l *lamp) {
		e = sdk.Effect{Bites: l.wasOff && !l.gone, Ended: l.wasOff && !l.off, Detail: "on"}
		if l.off {
			e.Detail = "off"
		}
	})
	return e
}

func (w *world) switchOn(ctx context.Context, p *process, id string) (sdk.Reverted, error) {
	if p.dead() {
		return sdk.Reverted{Outcome: sdk.AlreadyGone}, nil
	}
	if w.revert != nil {
		if err := w.revert(ctx, id); err != nil {
			return sdk.Reverted{}, err
		}
	}
	r := sdk.Reverted{Outcome: sdk.AlreadyGone, Proof: "it was on"}
	w.with(id, func(l *lamp) {
		if l.off {
			l.off = false
			r = sdk.Reverted{Outcome: sdk.PutBack, Proof: "it is on"}
		}
	})
	if r.Outcome == sdk.PutBack {
		w.say("    %s on", id)
	}
	return r, nil
}

// process is a plugin's process, and the engine's end of its connection.
type process struct {
	world  *world
	server wire.Server
	done   chan struct{} // closed when it is dead

	mu       sync.Mutex
	why      error
	hung     chan struct{} // closed when it goes on; nil: it does not hang
	cut      []context.CancelFunc
	deafness bool // it acknowledges nothing
	silent   bool // it answers no call

	beforeRevert func() // a call of the engine's is on its way; nil: it takes no time
}

func (w *world) process() *process {
	p := &process{world: w, done: make(chan struct{})}
	server, err := sdk.NewServer(w.plugin(p))
	if err != nil {
		w.t.Fatal(err)
	}
	p.server = server
	w.mu.Lock()
	w.processes = append(w.processes, p)
	w.mu.Unlock()
	return p
}

// keepsOutcomes gives the plugin a run folder, as the host does.
func (d *day) keepsOutcomes() {
	dir := arbiter.Dir(d.t.TempDir())
	if err := errors.Join(dir.Make(), dir.SetEpoch(1)); err != nil {
		d.t.Fatal(err)
	}
	if err := d.process.server.Configure(context.Background(), wire.Configure{Run: "r1", RunDir: string(dir)}); err != nil {
		d.t.Fatal(err)
	}
}

func (p *process) dead() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// dies ends the process as SIGKILL does: nothing of it acts any more.
func (p *process) dies() {
	p.world.say("  the plugin dies")
	p.kill()
	p.breakSessions()
}

func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.dead() {
		p.why = errors.New("killed")
		close(p.done)
	}
}

// end ends the process as the host does: it asks, and kills what does not listen.
func (p *process) end() {
	p.breakSessions()
	closer := p.server.(interface{ Close(context.Context) error })
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	listened := closer.Close(ctx) == nil
	p.kill()
	if listened {
		return
	}
	if err := closer.Close(context.Background()); err != nil {
		p.world.t.Error(err)
	}
}

func (p *process) breakSessions() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, cut := range p.cut {
		cut()
	}
	p.cut = nil
}

func (p *process) Done() <-chan struct{} { return p.done }

func (p *process) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.why
}

// ask makes a call. It ends as a call over the wire does: with the answer, with the
// context, or with the process; the plugin's own work goes on until its context ends.
func ask[T any](p *process, ctx context.Context, f func(context.Context, func(T) error) error) ([]T, error) {
	type answer struct {
		out []T
		err error
	}
	if p.dead() {
		return nil, wire.ErrGone
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	got := make(chan answer, 1)
	p.mu.Lock()
	silent := p.silent
	p.mu.Unlock()
	if silent {
		f = func(ctx context.Context, _ func(T) error) error { <-ctx.Done(); return ctx.Err() }
	}
	p.world.working.Go(func() {
		var a answer
		a.err = f(ctx, func(t T) error {
			a.out = append(a.out, t)
			return nil
		})
		got <- a
	})
	select {
	case a := <-got:
		return a.out, a.err
	case <-p.done:
		return nil, wire.ErrGone
	case <-ctx.Done():
		if p.dead() {
			return nil, wire.ErrGone
		}
		return nil, ctx.Err()
	}
}

func (p *process) Prepare(ctx context.Context, q wire.Prepare) ([]wire.Prepared, error) {
	return ask(p, ctx, func(ctx context.Context, send func(wire.Prepared) error) error { return p.server.Prepare(ctx, q, send) })
}

func targetsOf(all []wire.Undo) string {
	var ids []string
	for _, u := range all {
		ids = append(ids, u.Target)
	}
	return strings.Join(ids, ",")
}

func (p *process) Inject(ctx context.Context, q wire.Inject) ([]wire.Injected, error) {
	p.world.say("  inject %s %s", q.Lease.Fault, targetsOf(q.Targets))
	p.world.diary.mustKnow(q)
	return ask(p, ctx, func(ctx context.Context, send func(wire.Injected) error) error { return p.server.Inject(ctx, q, send) })
}

func (p *process) Observe(ctx context.Context, q wire.Observe) ([]wire.Observed, error) {
	return ask(p, ctx, func(ctx context.Context, send func(wire.Observed) error) error { return p.server.Observe(ctx, q, send) })
}

func (p *process) Revert(ctx context.Context, q wire.Revert) ([]wire.Reverted, error) {
	again := ""
	if q.Again {
		again = " again"
	}
	p.world.say("  revert %s %s%s", q.Lease.Fault, targetsOf(q.Targets), again)
	if p.beforeRevert != nil {
		p.beforeRevert()
	}
	return ask(p, ctx, func(ctx context.Context, send func(wire.Reverted) error) error { return p.server.Revert(ctx, q, send) })
}

func (p *process) Scan(ctx context.Context, known []wire.Known) ([]wire.Finding, error) {
	return ask(p, ctx, func(ctx context.Context, send func(wire.Finding) error) error { return p.server.Scan(ctx, known, send) })
}

func (p *process) Probe(ctx context.Context, q wire.Probe, take func(wire.Batch) error) error {
	_, err := ask(p, ctx, func(ctx context.Context, _ func(struct{}) error) error { return p.server.Probe(ctx, q, take) })
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (p *process) Act(ctx context.Context, typ string, config json.RawMessage) (string, error) {
	p.world.say("  act")
	out, err := ask(p, ctx, func(ctx context.Context, send func(string) error) error {
		detail, err := p.server.Act(ctx, typ, config)
		return errors.Join(send(detail), err)
	})
	if len(out) == 0 {
		return "", err
	}
	return out[0], err
}

func (p *process) Describe(ctx context.Context) (*schema.Description, error) {
	out, err := ask(p, ctx, func(ctx context.Context, send func(*schema.Description) error) error {
		d, err := p.server.Describe(ctx)
		return errors.Join(send(d), err)
	})
	if len(out) == 0 {
		return nil, err
	}
	return out[0], err
}

func (p *process) Kill() { p.dies() }

// hangs stops the process as SIGSTOP does, as far as its session goes.
func (p *process) hangs() (goOn func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	gate := make(chan struct{})
	p.hung = gate
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		close(gate)
		p.hung = nil
	}
}

func (p *process) Session(ctx context.Context) (run.Session, error) {
	if p.dead() {
		return nil, wire.ErrGone
	}
	ctx, cancel := context.WithCancel(ctx)
	p.mu.Lock()
	p.cut = append(p.cut, cancel)
	p.mu.Unlock()
	s := &session{ctx: ctx, renewals: make(chan wire.Renewal, 16), events: make(chan wire.LeaseEvent, 16), over: make(chan struct{})}
	first := true
	p.world.working.Go(func() {
		defer close(s.over)
		_ = p.server.Session(ctx, func() (wire.Renewal, error) {
			p.mu.Lock()
			hung := p.hung
			p.mu.Unlock()
			if hung != nil {
				select {
				case <-hung:
				case <-ctx.Done():
				}
			}
			if first {
				first = false
				return wire.Renewal{}, nil
			}
			select {
			case r := <-s.renewals:
				return r, nil
			case <-ctx.Done():
				return wire.Renewal{}, io.EOF
			}
		}, func(e wire.LeaseEvent) error {
			p.mu.Lock()
			deaf := p.deafness
			p.mu.Unlock()
			if !deaf {
				s.events <- e
			}
			return nil
		})
	})
	if _, err := s.Next(); err != nil {
		return nil, err
	}
	return s, nil
}

// session is the engine's end of a session.
type session struct {
	ctx      context.Context
	renewals chan wire.Renewal
	events   chan wire.LeaseEvent
	over     chan struct{}
}

func (s *session) Renew(r wire.Renewal) error {
	select {
	case s.renewals <- r:
		return nil
	case <-s.ctx.Done():
		return io.EOF
	}
}

func (s *session) Next() (wire.LeaseEvent, error) {
	select {
	case e := <-s.events:
		return e, nil
	case <-s.over:
		return wire.LeaseEvent{}, errors.New("the stream broke")
	case <-s.ctx.Done():
		<-s.over
		return wire.LeaseEvent{}, errors.New("the stream broke")
	}
}
