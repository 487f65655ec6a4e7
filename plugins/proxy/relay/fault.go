//go:build linux

package relay

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Direction is a way through a proxy.
type Direction int

const (
	Upstream   Direction = iota // from the client to the server
	Downstream                  // from the server to the client
	Both                        // either way; only in a Fault
)

// covers says whether a fault with direction d is about the way w.
func (d Direction) covers(w Direction) bool { return d == Both || d == w }

// Fault is one thing that goes wrong with connections of a proxy.
type Fault struct {
	Effect    Effect
	Direction Direction // of the data that it works on; Down, Refuse, Reset, SlowAccept and SlowConnect have none
	Percent   float64   // of the connections, 0 to 100
	First     int       // only so many connections, in the order in which they were accepted; 0: no limit
	Seed      uint64    // same seed, same connections hit, same jitter and slices
}

// Effect is what a Fault does: one of the types below.
type Effect interface{ effect() }

type (
	// Delay holds data back, each read for Delay ± Jitter. What was read first is
	// written first.
	Delay struct{ Delay, Jitter time.Duration }
	// Bandwidth lets Rate bytes a second pass in each direction, of each connection or
	// of all together. What was not used of the last 50 ms may be made good.
	Bandwidth struct {
		Rate   float64
		Shared bool
	}
	// Slicer writes data in slices of Size ± Variation bytes with Delay between them.
	Slicer struct {
		Size, Variation int
		Delay           time.Duration
	}
	// Limit closes a connection when so many bytes have passed in a direction.
	Limit struct{ Bytes int64 }
	// SlowClose passes the end of the data on only after Delay.
	SlowClose struct{ Delay time.Duration }
	// Timeout lets no data pass. Nothing is lost: it is left with the sender, and flows
	// when the fault ends. After the time After, if there is one, the connection is
	// closed; with CloseAtEnd, it is when the fault ends.
	Timeout struct {
		After      time.Duration
		CloseAtEnd bool
	}
	// Reset ends a connection with a TCP reset, After it was accepted or the fault
	// began.
	Reset struct{ After time.Duration }
	// Down closes all connections and refuses new ones.
	Down struct{}
	// Refuse refuses new connections; the others go on.
	Refuse struct{}
	// SlowAccept makes each acceptance take Delay, one after the other, so that
	// connections queue as before an overloaded server.
	SlowAccept struct{ Delay time.Duration }
	// SlowConnect makes the connection to the server Delay later than it could be.
	SlowConnect struct{ Delay time.Duration }
)

func (Delay) effect()       {}
func (Bandwidth) effect()   {}
func (Slicer) effect()      {}
func (Limit) effect()       {}
func (SlowClose) effect()   {}
func (Timeout) effect()     {}
func (Reset) effect()       {}
func (Down) effect()        {}
func (Refuse) effect()      {}
func (SlowAccept) effect()  {}
func (SlowConnect) effect() {}

// closesGate says whether an effect refuses new connections.
func closesGate(e Effect) bool {
	switch e.(type) {
	case Down, Refuse:
		return true
	}
	return false
}

// Seen is what a fault has done so far.
type Seen struct {
	Connections int64         // it has looked at
	Hit         int64         // that it was to act on
	Acted       int64         // times that it really did something: data held back, a connection reset
	Bytes       int64         // of the data that it acted on
	Typical     time.Duration // median of the latest times that it held something back; 0: none
}

// active is a fault in a proxy.
type active struct {
	Fault
	id     string
	seen   int        // connections, guarded by Proxy.mu
	shared [2]*bucket // of a shared Bandwidth
	looked atomic.Int64
	hit    atomic.Int64
	acted  atomic.Int64
	bytes  atomic.Int64
	times  recent
}

func newActive(id string, f Fault) *active {
	a := &active{Fault: f, id: id}
	if b, ok := f.Effect.(Bandwidth); ok && b.Shared {
		a.shared = [2]*bucket{{rate: b.Rate}, {rate: b.Rate}}
	}
	return a
}

// strikes decides whether the next connection is hit, and numbers it. The caller
// holds Proxy.mu.
func (a *active) strikes() (n int, hit bool) {
	n = a.seen
	a.seen++
	a.looked.Add(1)
	if a.First > 0 && n >= a.First {
		return n, false
	}
	// A generator of its own for each connection: what one draws changes nothing for
	// the next.
	hit = rand.New(rand.NewPCG(a.Seed, uint64(n))).Float64()*100 < a.Percent
	if hit {
		a.hit.Add(1)
	}
	return n, hit
}

// did notes that the fault acted on data, and held it back for some time.
func (a *active) did(bytes int, held time.Duration) {
	a.acted.Add(1)
	a.bytes.Add(int64(bytes))
	if held > 0 {
		a.times.add(held)
	}
}

func (a *active) report() Seen {
	return Seen{
		Connections: a.looked.Load(), Hit: a.hit.Load(), Acted: a.acted.Load(), Bytes: a.bytes.Load(),
		Typical: a.times.median(),
	}
}

// recent keeps the latest durations.
type recent struct {
	mu  sync.Mutex
	all [512]time.Duration
	n   int
}

func (r *recent) add(d time.Duration) {
	r.mu.Lock()
	r.all[r.n%len(r.all)] = d
	r.n++
	r.mu.Unlock()
}

func (r *recent) median() time.Duration {
	r.mu.Lock()
	some := slices.Clone(r.all[:min(r.n, len(r.all))])
	r.mu.Unlock()
	if len(some) == 0 {
		return 0
	}
	slices.Sort(some)
	return some[len(some)/2]
}
