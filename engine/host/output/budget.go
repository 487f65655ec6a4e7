package output

import (
	"strconv"
	"time"
)

// How much a plugin may print: so much at once, and so much a second in the long run.
const (
	burstLines = 1000
	lineRate   = 200
	burstBytes = 256 << 10
	byteRate   = 16 << 10
)

// budget says which lines are passed on. The zero value is full.
type budget struct {
	lines, bytes float64 // spent, and not yet earned back
	at           time.Time
	leftOut      int
}

// spend returns false for a line that is too much. Once one was, none is passed on until
// a tenth of everything is there again: whole stretches are left out, not every other
// line.
func (b *budget) spend(now time.Time, size int) bool {
	if past := now.Sub(b.at).Seconds(); !b.at.IsZero() && past > 0 {
		b.lines = max(0, b.lines-past*lineRate)
		b.bytes = max(0, b.bytes-past*byteRate)
	}
	b.at = now
	room := 1.0
	if b.leftOut > 0 {
		room = 0.9
	}
	if b.lines+1 > room*burstLines || b.bytes+float64(size) > room*burstBytes {
		b.leftOut++
		return false
	}
	b.lines++
	b.bytes += float64(size) + 1
	return true
}

func (b *budget) takeLeftOut() int {
	n := b.leftOut
	b.leftOut = 0
	return n
}

func leftOut(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	if n == 1 {
		return "… 1 line left out"
	}
	return "… " + digits + " lines left out"
}
