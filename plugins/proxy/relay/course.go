//go:build linux

package relay

import (
	"math/rand/v2"
	"time"
)

// lane is a fault's state for one direction of one connection. Only that direction's
// pump touches it.
type lane struct {
	*active
	rng    *rand.Rand
	bucket *bucket // of a Bandwidth
	passed int64   // of a Limit: bytes so far
}

func newLane(a *active, connection int, w Direction) *lane {
	l := &lane{active: a, rng: rand.New(rand.NewPCG(a.Seed, uint64(connection)<<1|uint64(w)|1<<63))}
	if b, ok := a.Effect.(Bandwidth); ok {
		if l.bucket = a.shared[w]; l.bucket == nil {
			l.bucket = &bucket{rate: b.Rate}
		}
	}
	return l
}

// around draws evenly from middle ± spread.
func around[T ~int | ~int64](r *rand.Rand, middle, spread T) T {
	if spread <= 0 {
		return middle
	}
	return middle - spread + T(r.Int64N(2*int64(spread)+1))
}

// course is everything that data of one direction of a connection goes through. It
// is made anew when the faults change, and never changed.
type course struct {
	delays  []*lane
	slicers []*lane
	rates   []*lane
	limits  []*lane
	closes  []*lane
	holds   []*lane
}

// add puts a lane where it belongs.
func (c *course) add(l *lane) {
	switch l.Effect.(type) {
	case Delay:
		c.delays = append(c.delays, l)
	case Slicer:
		c.slicers = append(c.slicers, l)
	case Bandwidth:
		c.rates = append(c.rates, l)
	case Limit:
		c.limits = append(c.limits, l)
	case SlowClose:
		c.closes = append(c.closes, l)
	case Timeout:
		c.holds = append(c.holds, l)
	}
}

// plain says that data passes untouched. How the end is passed on does not matter
// for that.
func (c *course) plain() bool {
	return len(c.delays)+len(c.slicers)+len(c.rates)+len(c.limits)+len(c.holds) == 0
}

// draw is how long data that was just read is held back.
func (c *course) draw() (d time.Duration) {
	for _, l := range c.delays {
		e := l.Effect.(Delay)
		d += max(0, around(l.rng, e.Delay, e.Jitter))
	}
	return d
}

// longest is more than draw ever returns.
func (c *course) longest() (d time.Duration) {
	for _, l := range c.delays {
		e := l.Effect.(Delay)
		d += e.Delay + e.Jitter
	}
	return d
}

// slice says how many of n bytes to write at once, and how long to wait before what
// follows them.
func (c *course) slice(n int) (size int, pause time.Duration) {
	size = n
	for _, l := range c.slicers {
		e := l.Effect.(Slicer)
		size = min(size, max(1, around(l.rng, e.Size, e.Variation)))
		pause += e.Delay
	}
	return size, pause
}

// lingers is how long the end of the data is held back.
func (c *course) lingers() (d time.Duration) {
	for _, l := range c.closes {
		d += l.Effect.(SlowClose).Delay
	}
	return d
}
