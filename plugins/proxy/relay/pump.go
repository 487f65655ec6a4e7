//go:build linux

package relay

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

const (
	// bufferSize is the most that is read or written at once while a fault acts.
	bufferSize = 64 << 10
	// delayed is the most that one direction holds back: beyond it the sender has to
	// wait, as it does for a network of that capacity.
	delayed = 16 << 20
)

// errLimit ends a connection whose limit of bytes is reached.
var errLimit = errors.New("the limit of bytes is reached")

// chunk is data that was read and waits to be written.
type chunk struct {
	data []byte
	read time.Time
	due  time.Time
}

// pump moves the data of one direction. While its course is plain it leaves that to
// the kernel; otherwise it reads, holds back and writes.
//
// One goroutine runs it. Others change its course by turn, which wakes it wherever it
// waits for data or time. A write is never interrupted, as nobody would know how much
// of it was done; but nobody waits for the pump either, so that a client that does not
// read holds up nothing but its own connection.
type pump struct {
	src, dst Stream
	ended    <-chan struct{} // closed when the connection has ended
	course   atomic.Pointer[course]
	woken    chan struct{}

	queue  []chunk
	queued int // bytes
	buf    []byte
	last   time.Time // due time of the latest chunk
	now    *course   // the course that the queue was made for
	end    time.Time // when the end of the data was read

	// What of the first chunk is paid for at the buckets, and when it may pass.
	paid  int
	ready time.Time
}

func newPump(src, dst Stream, ended <-chan struct{}, c *course) *pump {
	p := &pump{src: src, dst: dst, ended: ended, woken: make(chan struct{}, 1)}
	p.course.Store(c)
	return p
}

// turn changes the course. The order matters: a pump that has set its own deadline
// afterwards looks at the course again before it reads.
func (p *pump) turn(c *course) {
	p.course.Store(c)
	_ = p.src.SetReadDeadline(time.Unix(1, 0)) // fails only for a closed connection
	select {
	case p.woken <- struct{}{}:
	default:
	}
}

// run moves data until its end, which it passes on, or an error.
func (p *pump) run() error {
	for {
		select {
		case <-p.ended:
			return net.ErrClosed
		default:
		}
		c := p.course.Load()
		if c != p.now {
			p.adapt(c)
		}
		switch {
		case len(c.holds) > 0:
			if err := p.hold(c); err != nil {
				return err
			}
		case !p.end.IsZero() && len(p.queue) == 0:
			if done, err := p.finish(c); done {
				return err
			}
		case c.plain() && len(p.queue) == 0:
			if err := p.pass(c); err != nil {
				return err
			}
		default:
			if err := p.step(c); err != nil {
				return err
			}
		}
	}
}

// adapt makes what is queued fit a new course: nothing waits longer than it would
// have to now.
func (p *pump) adapt(c *course) {
	p.now, p.paid = c, 0
	if len(c.slicers) > 0 {
		return
	}
	most := c.longest()
	for i := range p.queue {
		if due := p.queue[i].read.Add(most); due.Before(p.queue[i].due) {
			p.queue[i].due = due
		}
		p.last = p.queue[i].due
	}
}

// pass leaves the data to the kernel until it ends or the course changes. io.Copy
// between sockets is splice(2) on Linux. A deadline ends it only where it reads, when
// everything that it has read is written.
func (p *pump) pass(c *course) error {
	if !p.reads(c, time.Time{}) {
		return nil
	}
	_, err := io.Copy(p.dst, p.src)
	switch {
	case err == nil:
		p.end = time.Now()
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = nil
	}
	return err
}

// reads sets the deadline of the next read; false when the course has changed.
func (p *pump) reads(c *course, until time.Time) bool {
	_ = p.src.SetReadDeadline(until) // fails only for a closed connection
	return p.course.Load() == c
}

// hold waits for the end of a black hole. It waits for data first, to know whether
// there is anything that the fault keeps; the data stays where it is.
func (p *pump) hold(c *course) error {
	if p.end.IsZero() && len(p.queue) == 0 {
		if !p.reads(c, time.Time{}) {
			return nil
		}
		if err := awaitData(p.src); errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		} else if err != nil {
			return err
		}
	}
	for _, l := range c.holds {
		l.did(0, 0)
	}
	p.wait(time.Time{})
	return nil
}

// step writes what is due and reads what has come.
func (p *pump) step(c *course) error {
	next, full, err := p.release(c)
	if err != nil {
		return err
	}
	if p.course.Load() != c || len(p.queue) == 0 && (!p.end.IsZero() || c.plain()) {
		return nil
	}
	if full || p.queued >= delayed || !p.end.IsZero() {
		p.wait(next)
		return nil
	}
	until := next
	if !next.IsZero() {
		switch soon, readable, err := awaitSoon(p.src, next); {
		case err != nil:
			return err
		case soon && !readable:
			return nil // it is time
		case !soon:
			until = next.Add(-fine)
		}
	}
	if !p.reads(c, until) {
		return nil
	}
	return p.read(c)
}

// read reads what has come, or waits for it until the deadline.
func (p *pump) read(c *course) error {
	if p.buf == nil {
		p.buf = make([]byte, bufferSize)
	}
	n, err := p.src.Read(p.buf)
	at := time.Now()
	if n > 0 {
		p.push(c, p.buf[:n], at)
	}
	switch {
	case errors.Is(err, io.EOF):
		p.end = at
	case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
		return err
	}
	return nil
}

// push queues data with the times at which it is due.
func (p *pump) push(c *course, data []byte, at time.Time) {
	due := at.Add(c.draw())
	if due.Before(p.last) {
		due = p.last // nothing overtakes
	}
	data = append([]byte(nil), data...)
	p.queued += len(data)
	for len(data) > 0 {
		size, pause := c.slice(len(data))
		p.queue = append(p.queue, chunk{data: data[:size:size], read: at, due: due})
		p.last = due
		if data = data[size:]; len(c.slicers) > 0 {
			due = due.Add(pause) // also before the slice of the next read
			p.last = due
		}
	}
}

// release writes everything that may be written. It returns when the next may (zero:
// nothing is queued), and whether it is too early to read more, because a rate is
// what holds it up.
func (p *pump) release(c *course) (next time.Time, full bool, err error) {
	for len(p.queue) > 0 {
		if p.course.Load() != c {
			return time.Time{}, false, nil
		}
		head, now := &p.queue[0], time.Now()
		if head.due.After(now) {
			return head.due, false, nil
		}
		p.pay(c, head, now)
		if p.ready.After(now) {
			return p.ready, true, nil
		}
		if err := p.write(c, head, now); err != nil {
			return time.Time{}, false, err
		}
	}
	p.queue = nil
	return time.Time{}, false, nil
}

// pay books the next bytes of a chunk at all rates, once.
func (p *pump) pay(c *course, head *chunk, now time.Time) {
	if p.paid > 0 {
		return
	}
	p.paid, p.ready = len(head.data), time.Time{}
	for _, l := range c.rates {
		p.paid = min(p.paid, l.bucket.piece())
	}
	for _, l := range c.rates {
		at := l.bucket.take(now, p.paid)
		if at.After(p.ready) {
			p.ready = at
		}
		l.did(p.paid, max(0, at.Sub(now)))
	}
}

// write writes what is paid for of the first chunk, up to a limit.
func (p *pump) write(c *course, head *chunk, now time.Time) error {
	size := p.paid
	for _, l := range c.limits {
		size = min(size, int(max(0, l.Effect.(Limit).Bytes-l.passed)))
	}
	// Counted before anybody can see it.
	held := now.Sub(head.read)
	for _, all := range [][]*lane{c.delays, c.slicers} {
		for _, l := range all {
			l.did(size, held)
		}
	}
	if size > 0 {
		if _, err := p.dst.Write(head.data[:size]); err != nil {
			return err
		}
	}
	for _, l := range c.limits {
		l.passed += int64(size)
		if l.passed >= l.Effect.(Limit).Bytes {
			l.did(int(l.passed), 0)
			return errLimit
		}
	}
	p.queued -= size
	p.paid = 0
	if head.data = head.data[size:]; len(head.data) == 0 {
		p.queue[0] = chunk{}
		p.queue = p.queue[1:]
	}
	return nil
}

// finish passes the end of the data on, late where a fault says so.
func (p *pump) finish(c *course) (done bool, err error) {
	if late := p.end.Add(c.lingers()); late.After(time.Now()) {
		p.wait(late)
		return false, nil
	}
	for _, l := range c.closes {
		l.did(0, time.Since(p.end))
	}
	return true, p.dst.CloseWrite()
}

// wait waits for a time, for a new course, or for the end of the connection.
func (p *pump) wait(until time.Time) {
	var due <-chan time.Time
	if !until.IsZero() {
		timer := time.NewTimer(time.Until(until))
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-due:
	case <-p.woken:
	case <-p.ended:
	}
}
