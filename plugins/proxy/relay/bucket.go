//go:build linux

package relay

import (
	"sync"
	"time"
)

// credit is how much of the time that was not used may be made good: enough that a
// goroutine that was woken late does not slow the flow down.
const credit = 50 * time.Millisecond

// bucket says when bytes may pass at a rate. It keeps the time at which everything
// taken so far has passed.
type bucket struct {
	rate float64 // bytes a second

	mu   sync.Mutex
	next time.Time
}

// take books n bytes and returns when they may pass.
func (b *bucket) take(now time.Time, n int) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.next.IsZero():
		b.next = now
	case now.Sub(b.next) > credit:
		b.next = now.Add(-credit)
	}
	at := b.next
	b.next = at.Add(time.Duration(float64(n) / b.rate * float64(time.Second)))
	return at
}

// piece is how many bytes to take at once: a hundredth of a second's, so that slow
// flows do not come in bursts.
func (b *bucket) piece() int {
	return min(max(int(b.rate/100), 1), bufferSize)
}
