//go:build linux

package main

import (
	"context"
	cryptorand "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
)

// config is the body of a fault.
type config interface {
	// seed is what the scenario says; 0: nothing.
	seed() uint64
	// place makes the fault with a seed, or says what is wrong with the configuration.
	place(seed uint64) (placement, error)
	// leads is about containers and processes.
	leads() led
}

// undo names a fault and the process in whose memory it lives. That is all there is
// to undo.
type undo struct {
	Fault    string   `json:"fault"` // random: no other fault ever has it
	Seed     uint64   `json:"seed"`
	Listener listener `json:"listener"`
	Owner    owner    `json:"owner"`
	// Subject is set for a container or process, whose connections are led to a proxy
	// that the fault has to itself.
	Subject *subject `json:"subject,omitempty"`
}

// key is what a proxy is known by.
func (u undo) key() string {
	if u.Subject != nil {
		return u.Fault
	}
	return u.Listener.Listen
}

const (
	// answerTime bounds a question to another process, which has only to look into its
	// memory.
	answerTime = 3 * time.Second
	revertTime = 10 * time.Second
)

// fault makes a fault type of a configuration. They all live and end in the same way.
func fault[C config](p *proxies, typ, doc string) sdk.FaultType {
	return sdk.Fault[C, undo]{
		Type: typ, Doc: doc,
		Accepts: []schema.Accept{
			{Interface: listenerKind, Attributes: []string{"listen", "upstream"}},
			{Interface: "container", Attributes: []string{"id"}},
			{Interface: "process", Attributes: []string{"pid", "start_ticks"}},
		},
		Hold:          sdk.HoldKernel, // the fault is memory of a process
		Reversibility: sdk.Reversible,
		Requires:      []string{"Linux", "root for containers and processes"},
		Capabilities:  []schema.Capability{schema.CapTraffic, schema.CapNetAdmin, schema.CapRoot, schema.CapDocker},
		Settle:        time.Second,
		RevertTime:    revertTime,
		Check: func(c C) error {
			_, err := c.place(1)
			_, other := c.leads().numbers()
			return errors.Join(err, other)
		},
		Prepare: func(ctx context.Context, t sdk.PrepareTarget, c C) (sdk.Prepared[undo], error) {
			return p.prepare(ctx, t, c)
		},
		Inject: func(ctx context.Context, c C, u undo) error { return p.inject(ctx, c, u) },
		Observe: func(ctx context.Context, c C, u undo) (sdk.Effect, error) {
			return p.observe(ctx, c, u)
		},
		Revert: p.revert,
		Scan:   p.scan,
	}
}

// prepare chooses the fault's name and seed. In a run its listener is open by now,
// unless the plugin had to be started anew.
func (p *proxies) prepare(ctx context.Context, t sdk.PrepareTarget, c config) (out sdk.Prepared[undo], err error) {
	f, err := c.place(1)
	if err != nil {
		return out, err
	}
	us, err := p.self()
	if err != nil {
		return out, err
	}
	u := undo{Fault: cryptorand.Text(), Seed: c.seed(), Owner: us}
	if u.Seed == 0 {
		u.Seed = 1 + rand.Uint64N(1<<53-1) // as large as a scenario can write it
	}
	// No resource is occupied: faults of one proxy, also two of one type, stand beside
	// each other and end in any order.
	if !isListener(t.Candidate) {
		s, err := subjectOf(ctx, t.Candidate, c.leads())
		if err != nil {
			return out, err
		}
		u.Subject, u.Listener = &s, s.listener(f)
		return sdk.Prepared[undo]{Undo: u, Incarnation: s.incarnation()}, nil
	}
	if u.Listener, err = listenerOf(t.Candidate); err == nil {
		err = f.fits(u.Listener)
	}
	if err == nil && len(c.leads().Ports) > 0 {
		err = errors.New("ports are for containers and processes; a proxy_listener has the one that it listens at")
	}
	if err == nil {
		_, err = p.ensure(ctx, u.Listener)
	}
	return sdk.Prepared[undo]{Undo: u, Incarnation: fmt.Sprintf("%s in %s", u.Listener.Listen, us)}, err
}

// self describes this process, and makes it reachable for others.
func (p *proxies) self() (owner, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.owner != nil {
		return *p.owner, nil
	}
	c, socket, err := startControl(p)
	if err != nil {
		return owner{}, err
	}
	us, err := thisProcess(socket)
	if err != nil {
		return owner{}, err
	}
	p.control, p.owner = c, &us
	return us, nil
}

// ours says whether a fault lives in this process.
func (p *proxies) ours(u undo) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.owner != nil && *p.owner == u.Owner
}

func (p *proxies) inject(ctx context.Context, c config, u undo) error {
	if !p.ours(u) {
		return fmt.Errorf("the proxy was prepared in %s, which is another one: nothing was injected", u.Owner)
	}
	f, err := c.place(u.Seed)
	if err != nil {
		return err
	}
	if u.Subject != nil {
		return p.lead(ctx, f, u)
	}
	x := p.find(u.key())
	if x == nil {
		return fmt.Errorf("listener %s at %s is not open: %w", u.Listener.Name, u.Listener.Listen, sdk.ErrGone)
	}
	if err := f.fits(x.listener); err != nil {
		return err
	}
	return f.add(x, u.Fault)
}

func (p *proxies) observe(ctx context.Context, c config, u undo) (sdk.Effect, error) {
	f, err := c.place(u.Seed)
	if err != nil {
		return sdk.Effect{}, err
	}
	if !p.ours(u) {
		return elsewhere(ctx, u)
	}
	x := p.find(u.key())
	if x == nil {
		return sdk.Effect{Detail: "the proxy of " + u.Listener.Listen + " is not open"}, nil
	}
	e := f.effect(x, u.Fault)
	if c.seed() == 0 && (f.stream != nil && f.stream.Percent < 100 || f.web != nil && f.web.Percent < 100) {
		e.Detail += fmt.Sprintf(" (seed %d)", u.Seed)
	}
	return e, nil
}

// elsewhere is Observe of a fault that another process holds: it knows whether it is
// there, which is all that is asked after a change of hands.
func elsewhere(ctx context.Context, u undo) (sdk.Effect, error) {
	alive, err := u.Owner.lives()
	if err != nil || !alive {
		return sdk.Effect{Detail: u.Owner.String() + ", which held the fault, has ended"}, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	found, err := u.Owner.ask(ctx, http.MethodGet, u.key(), u.Fault)
	return sdk.Effect{Bites: found, Detail: fmt.Sprintf("the fault is in %s: %t", u.Owner, found)}, err
}

// revert ends the fault. In another process than the one that injected, it asks that
// one to; if it has ended, the fault has with it.
func (p *proxies) revert(ctx context.Context, u undo) (sdk.Reverted, error) {
	if p.ours(u) {
		x := p.find(u.key())
		if x == nil {
			return sdk.Reverted{Outcome: sdk.AlreadyGone, Proof: "the proxy of " + u.Listener.Listen + " is not open"}, nil
		}
		found, err := p.end(u.key(), u.Fault)
		return removed(u, found), err
	}
	alive, err := u.Owner.lives()
	if err != nil {
		return sdk.Reverted{}, err
	}
	if !alive {
		if u.Subject == nil {
			// Clients have to find the listener again for what is left of the run.
			_, _ = p.ensure(ctx, u.Listener) // who needs it is told
		}
		return sdk.Reverted{Outcome: sdk.AlreadyGone, Proof: u.Owner.String() + ", which held the fault in its memory, has ended"}, nil
	}
	asked, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	found, err := u.Owner.ask(asked, http.MethodDelete, u.key(), u.Fault)
	switch {
	case err == nil:
		return removed(u, found), nil
	case asked.Err() == nil || ctx.Err() != nil:
		return sdk.Reverted{}, err
	}
	return u.Owner.end(ctx)
}

func removed(u undo, found bool) sdk.Reverted {
	if found {
		return sdk.Reverted{Outcome: sdk.PutBack, Proof: "the proxy of " + u.Listener.Listen + " has let go of the fault"}
	}
	return sdk.Reverted{Outcome: sdk.AlreadyGone, Proof: "the proxy of " + u.Listener.Listen + " has no such fault"}
}

// end kills a plugin that hangs with a fault in its memory, as its engine would have.
func (o owner) end(ctx context.Context) (sdk.Reverted, error) {
	fd, err := unix.PidfdOpen(o.PID, 0)
	if err != nil && err != unix.ESRCH {
		return sdk.Reverted{}, fmt.Errorf("%s does not answer, and cannot be ended: %w", o, err)
	}
	if err == nil {
		defer unix.Close(fd)
		// The descriptor is of whatever has the id now: only then is it looked at.
		if alive, err := o.lives(); err != nil || !alive {
			return sdk.Reverted{Outcome: sdk.AlreadyGone, Proof: o.String() + ", which held the fault in its memory, has ended"}, err
		}
		if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && err != unix.ESRCH {
			return sdk.Reverted{}, fmt.Errorf("%s does not answer, and cannot be ended: %w", o, err)
		}
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		alive, err := o.lives()
		if err != nil {
			return sdk.Reverted{}, err
		}
		if !alive {
			return sdk.Reverted{Outcome: sdk.PutBack, Proof: o.String() + " did not answer and was killed; the fault was in its memory"}, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return sdk.Reverted{}, fmt.Errorf("%s was killed and is still there: %w", o, ctx.Err())
		}
	}
}

// scan asks the processes that held the faults.
func (p *proxies) scan(ctx context.Context, known []sdk.Known[undo]) ([]sdk.Residue, error) {
	var out []sdk.Residue
	for _, k := range known {
		found := false
		if p.ours(k.Undo) {
			x := p.find(k.Undo.key())
			found = x != nil && x.has(k.Undo.Fault)
		} else {
			e, err := elsewhere(ctx, k.Undo)
			if err != nil {
				return out, err
			}
			found = e.Bites
		}
		if found {
			out = append(out, sdk.Residue{
				Fault: k.Fault, Target: k.Target, Kind: sdk.ResidueMarked,
				Detail: fmt.Sprintf("the fault is in the proxy of %s, in %s", k.Undo.Listener.Listen, k.Undo.Owner),
			})
		}
	}
	return out, nil
}
