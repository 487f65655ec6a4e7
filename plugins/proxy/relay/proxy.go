//go:build linux

// Package relay is a TCP proxy that can make the connections through it go wrong.
//
// While no fault is active the kernel moves the data (splice on Linux), and the proxy
// adds little but a hop. Faults come and go while connections live: those go on with
// what is active then. A change never waits for data to flow, so that it takes effect
// at once also where a client does not read; it loses and reorders no byte. The end
// of one direction is passed on as such, so that an answer can still come after it.
//
// Whatever is left to chance comes from the fault's seed and the number of the
// connection, in the order in which connections are accepted.
package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Dial makes the connection to the server for a client's connection.
type Dial func(ctx context.Context, client *net.TCPConn) (Stream, error)

// connectTime is how long a connection to the server may take.
const connectTime = 30 * time.Second

// To dials a fixed address.
func To(address string) Dial {
	d := net.Dialer{Timeout: connectTime}
	return func(ctx context.Context, _ *net.TCPConn) (Stream, error) {
		c, err := d.DialContext(ctx, "tcp", address)
		if err != nil {
			return nil, err
		}
		return c.(*net.TCPConn), nil
	}
}

// Proxy accepts connections and moves their data. Its methods may be called by
// several goroutines.
type Proxy struct {
	dial    Dial
	gate    *gate
	ctx     context.Context // ends with the proxy
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu     sync.Mutex
	conns  map[*conn]struct{}
	order  []*conn // conns, as they were accepted; compacted now and then
	faults []*active
	closed bool
}

// Start serves a listener until Close, which the caller has to call.
func Start(l *net.TCPListener, dial Dial) *Proxy {
	p := &Proxy{dial: dial, gate: newGate(l), conns: map[*conn]struct{}{}}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.running.Go(p.accept)
	return p
}

// Addr is where it listens.
func (p *Proxy) Addr() net.Addr { return p.gate.listener.Addr() }

// Close ends the listener and all connections, and waits for their goroutines.
func (p *Proxy) Close() error {
	err := p.gate.close()
	p.mu.Lock()
	p.closed = true
	for c := range p.conns {
		c.end(false)
	}
	p.mu.Unlock()
	p.cancel()
	p.running.Wait()
	return err
}

// Drain closes the listener. Connections go on until they end by themselves.
func (p *Proxy) Drain() error { return p.gate.close() }

// Wait waits until the listener is closed and all connections have ended.
func (p *Proxy) Wait() { p.running.Wait() }

// patience is how long the proxy waits when it cannot accept, for want of file
// descriptors, say.
const patience = 50 * time.Millisecond

func (p *Proxy) accept() {
	for {
		client, err := p.gate.accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			select {
			case <-p.ctx.Done():
				return
			case <-time.After(patience):
			}
			continue
		}
		c := p.admit(client)
		if c == nil {
			return
		}
		// In this goroutine: the next connection waits for this one.
		if c.holdBack(func(e Effect) time.Duration { s, _ := e.(SlowAccept); return s.Delay }) {
			p.running.Go(func() { defer p.leave(c); c.serve() })
		} else {
			p.leave(c)
		}
	}
}

// admit registers a connection and lets the faults look at it; nil when the proxy
// is closed.
func (p *Proxy) admit(client *net.TCPConn) *conn {
	c := &conn{proxy: p, client: client, turned: make(chan struct{}, 1), hits: map[*active]*hit{}, ends: []Stream{client}}
	c.ctx, c.cancel = context.WithCancel(p.ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		c.end(false)
		return nil
	}
	p.conns[c] = struct{}{}
	if p.order = append(p.order, c); len(p.order) > 2*len(p.conns)+16 {
		p.order = p.alive()
	}
	for _, a := range p.faults {
		c.look(a)
	}
	return c
}

func (p *Proxy) leave(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for a := range c.hits {
		c.forget(a)
	}
	c.end(false)
	delete(p.conns, c)
}

// alive lists the connections in the order of their acceptance. The caller holds the
// mutex.
func (p *Proxy) alive() []*conn {
	var out []*conn
	for _, c := range p.order {
		if _, ok := p.conns[c]; ok {
			out = append(out, c)
		}
	}
	return out
}

// Add makes a fault active under an id that is not taken.
func (p *Proxy) Add(id string, f Fault) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return fmt.Errorf("proxy %s: %w", p.Addr(), net.ErrClosed)
	case p.find(id) != nil:
		return fmt.Errorf("proxy %s has a fault %s already", p.Addr(), id)
	}
	a := newActive(id, f)
	p.faults = append(p.faults, a)
	if closesGate(f.Effect) {
		if err := p.gate.shut(); err != nil {
			p.faults = p.faults[:len(p.faults)-1]
			return err
		}
	}
	if _, only := f.Effect.(Refuse); only {
		return nil
	}
	for _, c := range p.alive() {
		c.look(a)
		c.turn()
	}
	return nil
}

// Remove ends a fault, at once and without waiting for anything. It returns false
// when there is none of that id.
func (p *Proxy) Remove(id string) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.find(id)
	if a == nil {
		return false, nil
	}
	kept, shut := make([]*active, 0, len(p.faults)), false
	for _, other := range p.faults {
		if other != a {
			kept = append(kept, other)
			shut = shut || closesGate(other.Effect)
		}
	}
	if !shut && !p.closed {
		if err := p.gate.reopen(); err != nil {
			return true, err
		}
	}
	p.faults = kept
	for c := range p.conns {
		if c.hits[a] != nil {
			c.forget(a)
			c.turn()
		}
	}
	return true, nil
}

// Seen says what a fault has done; false when there is none of that id.
func (p *Proxy) Seen(id string) (Seen, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a := p.find(id); a != nil {
		return a.report(), true
	}
	return Seen{}, false
}

// Connections is how many are open.
func (p *Proxy) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns)
}

// find is for callers that hold the mutex.
func (p *Proxy) find(id string) *active {
	for _, a := range p.faults {
		if a.id == id {
			return a
		}
	}
	return nil
}
