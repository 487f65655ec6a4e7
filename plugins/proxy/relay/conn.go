//go:build linux

package relay

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"
)

// conn is a client's connection and the one to the server that belongs to it.
type conn struct {
	proxy  *Proxy
	client *net.TCPConn
	ctx    context.Context // ends with the connection
	cancel context.CancelFunc
	turned chan struct{} // holds a token when the faults have changed

	// Guarded by proxy.mu.
	hits  map[*active]*hit
	pumps [2]*pump

	mu     sync.Mutex
	ends   []Stream // both connections, as far as they exist
	over   bool
	resets bool
}

// hit is a fault that acts on a connection.
type hit struct {
	lanes [2]*lane
	timer *time.Timer // ends the connection; nil: the fault does not
}

// look decides whether a new fault hits the connection. The caller holds proxy.mu.
func (c *conn) look(a *active) {
	n, strikes := a.strikes()
	if !strikes {
		return
	}
	h := &hit{}
	for _, w := range []Direction{Upstream, Downstream} {
		if a.Direction.covers(w) {
			h.lanes[w] = newLane(a, n, w)
		}
	}
	switch e := a.Effect.(type) {
	case Reset:
		if e.After <= 0 { // at once: a timer would let a quick answer through
			a.did(0, 0)
			c.end(true)
			break
		}
		h.timer = time.AfterFunc(e.After, func() { a.did(0, 0); c.end(true) })
	case Timeout:
		if e.After > 0 {
			h.timer = time.AfterFunc(e.After, func() { a.did(0, 0); c.end(false) })
		}
	case Down:
		a.did(0, 0)
		c.end(false)
	}
	c.hits[a] = h
}

// forget ends a fault's hold on the connection. The caller holds proxy.mu.
func (c *conn) forget(a *active) {
	h := c.hits[a]
	if h == nil {
		return
	}
	delete(c.hits, a)
	if h.timer != nil {
		h.timer.Stop()
	}
	if e, ok := a.Effect.(Timeout); ok && e.CloseAtEnd {
		c.end(false)
	}
}

// course is what data goes through in one direction now, in the order in which the
// faults came. The caller holds proxy.mu.
func (c *conn) course(w Direction) *course {
	made := &course{}
	for _, a := range c.proxy.faults {
		if h := c.hits[a]; h != nil && h.lanes[w] != nil {
			made.add(h.lanes[w])
		}
	}
	return made
}

// turn tells the connection that its faults have changed. The caller holds proxy.mu.
func (c *conn) turn() {
	for w, p := range c.pumps {
		if p != nil {
			p.turn(c.course(Direction(w)))
		}
	}
	select {
	case c.turned <- struct{}{}:
	default:
	}
}

// serve moves the connection's data until both directions have ended.
func (c *conn) serve() {
	defer c.end(false)
	if !c.holdBack(func(e Effect) time.Duration { s, _ := e.(SlowConnect); return s.Delay }) {
		return
	}
	server, err := c.proxy.dial(c.ctx, c.client)
	if err != nil {
		c.end(true) // as the client would have been refused, or cut off
		return
	}
	if !c.own(server) {
		return
	}
	up, down := c.open(server)
	var both sync.WaitGroup
	both.Go(func() { c.move(up) })
	c.move(down)
	both.Wait()
}

// open makes the pumps.
func (c *conn) open(server Stream) (up, down *pump) {
	c.proxy.mu.Lock()
	defer c.proxy.mu.Unlock()
	up = newPump(c.client, server, c.ctx.Done(), c.course(Upstream))
	down = newPump(server, c.client, c.ctx.Done(), c.course(Downstream))
	c.pumps = [2]*pump{Upstream: up, Downstream: down}
	return up, down
}

// move runs a pump. The end of one direction leaves the other as it is; a failure
// ends both, by a reset if that is how one side ended it.
func (c *conn) move(p *pump) {
	switch err := p.run(); {
	case err == nil:
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		c.end(true)
	default:
		c.end(false)
	}
}

// holdBack waits while a fault keeps the connection from going on, from now on or
// from when the fault hit it. It returns false when the connection has ended.
func (c *conn) holdBack(delay func(Effect) time.Duration) bool {
	began := time.Now()
	for {
		d, by := c.delayed(delay)
		timer := time.NewTimer(time.Until(began.Add(d)))
		select {
		case <-timer.C:
			for _, a := range by {
				a.did(0, d)
			}
			return c.ctx.Err() == nil
		case <-c.turned:
			timer.Stop()
		case <-c.ctx.Done():
			timer.Stop()
			return false
		}
	}
}

func (c *conn) delayed(delay func(Effect) time.Duration) (d time.Duration, by []*active) {
	c.proxy.mu.Lock()
	defer c.proxy.mu.Unlock()
	for a := range c.hits {
		if more := delay(a.Effect); more > 0 {
			d += more
			by = append(by, a)
		}
	}
	return d, by
}

// own takes a connection to close with the rest; false when that has happened.
func (c *conn) own(s Stream) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		if c.resets {
			abort(s)
		}
		s.Close()
		return false
	}
	c.ends = append(c.ends, s)
	return true
}

// end closes both connections, by a reset if so wanted. It never waits.
func (c *conn) end(reset bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return
	}
	c.over, c.resets = true, reset
	c.cancel()
	for _, s := range c.ends {
		if reset {
			abort(s)
		}
		s.Close()
	}
}
