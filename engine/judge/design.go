package judge

import "time"

// What a design effect needs before it is measured and not assumed.
const (
	designBins = 20
	designBad  = 10
)

// Bins counts samples in bins of one second, to see whether bad ones come in
// bursts. The zero value is empty and ready.
type Bins struct {
	origin  int64         // start of bin 0, microseconds since the Unix epoch
	seen    map[int64]int // bad samples by bin, of the bins that had any sample
	bad     int
	squares int   // sum of the squares of the bad counts
	last    int64 // the bin of the last sample
}

// Add counts one sample, scheduled at the given time. The first sample's time is
// where the bins begin.
func (b *Bins) Add(at time.Time, bad bool) {
	b.add(at.UnixMicro(), bad)
}

func (b *Bins) add(us int64, bad bool) {
	if b.seen == nil {
		b.seen = make(map[int64]int)
		b.origin = us
	}
	k := (us - b.origin) / 1e6
	if us < b.origin {
		k-- // division rounds towards zero
	}
	if !bad && k == b.last && len(b.seen) > 0 {
		return // the bin is known, and nothing changes in it
	}
	b.last = k
	was := b.seen[k]
	if !bad {
		b.seen[k] = was
		return
	}
	b.seen[k] = was + 1
	b.bad++
	b.squares += 2*was + 1
}

// Effect is the design effect D: the variance-to-mean ratio of the bad counts in
// the seconds that had samples, which is about 1 when errors are independent and
// about the size of a burst when they are not. It is at least 1, as more than the
// samples' own information cannot be had. With fewer than 20 seconds or 10 bad
// samples it cannot be measured: then it is 1 and measured is false.
func (b *Bins) Effect() (d float64, measured bool) {
	if len(b.seen) < designBins || b.bad < designBad {
		return 1, false
	}
	return b.ratio(), true
}

// early is a rough design effect from as little as there is, for those who look
// before it can be measured and would rather wait than be wrong.
func (b *Bins) early() float64 {
	if len(b.seen) < 2 || b.bad == 0 {
		return 1
	}
	return b.ratio()
}

// ratio is the variance-to-mean ratio of the bad counts, at least 1.
func (b *Bins) ratio() float64 {
	n := float64(len(b.seen))
	mean := float64(b.bad) / n
	return max((float64(b.squares)-n*mean*mean)/(n-1)/mean, 1)
}
