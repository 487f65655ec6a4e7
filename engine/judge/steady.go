package judge

import (
	"slices"
	"sort"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
)

// SteadyWindow is the least time over which a system is called steady.
const SteadyWindow = 5 * time.Second

// Steady follows one objective and tells when it first broke and since when it is
// steady again.
//
// It looks at trailing windows: the last 5 s, and more where that is less than the
// claim's MinSamples. The system is steady from the start of the first full window
// whose share meets the target and that is not missing too much. It is broken
// (again) by the first window that the exact test calls broken; a window a little
// below the target is chance. All of it restarts after a break.
//
// Samples may come in any order, as slow answers do; times are scheduled times.
type Steady struct {
	claim Claim
	from  int64 // microseconds since the Unix epoch, as all times here

	at       []int64     // sorted
	outcome  []byte      // an Outcome each
	critical map[int]int // of windows by their n

	scan scan // how far the samples were looked at
}

// scan is the state of one pass over the samples.
type scan struct {
	next         int // first sample not looked at
	left         int // first sample of the trailing window
	n, bad, miss int // in the window

	steady   bool
	since    int64 // valid when steady
	sinceIdx int
	broken   bool // the last window
	everBad  bool
	firstBad int // index of the first bad sample of the first broken window
}

// SteadyAfter is how long a system that is well must be watched until it is called
// steady.
func SteadyAfter(o journal.ObjectiveSpec) time.Duration {
	return max(SteadyWindow, timeFor(ClaimOf(o, journal.After, true).MinSamples, o.Rate))
}

// NewSteady begins to follow a claim from a moment on; earlier samples are
// ignored.
func NewSteady(c Claim, from time.Time) *Steady {
	return &Steady{claim: c.normal(), from: from.UnixMicro(), critical: make(map[int]int)}
}

// steadyOf follows a claim over samples that are at hand: sorted, and none of them before
// from. They are shared, not copied.
func steadyOf(c Claim, from time.Time, at []int64, outcome []byte) *Steady {
	s := NewSteady(c, from)
	// Without spare capacity, whatever is added later goes into a copy.
	s.at, s.outcome = slices.Clip(at), slices.Clip(outcome)
	return s
}

// Add feeds one sample by its scheduled time.
func (s *Steady) Add(at time.Time, o Outcome) { s.add(at.UnixMicro(), o) }

func (s *Steady) add(us int64, o Outcome) {
	if us < s.from {
		return
	}
	if n := len(s.at); n == 0 || s.at[n-1] <= us {
		s.at = append(s.at, us)
		s.outcome = append(s.outcome, byte(o))
		return
	}
	i := sort.Search(len(s.at), func(i int) bool { return s.at[i] > us })
	s.at = append(s.at, 0)
	copy(s.at[i+1:], s.at[i:])
	s.at[i] = us
	s.outcome = append(s.outcome, 0)
	copy(s.outcome[i+1:], s.outcome[i:])
	s.outcome[i] = byte(o)
	if i < s.scan.next {
		s.scan = scan{} // it belongs into a window that was looked at without it
	}
}

// Since is the moment since which the system is steady, and whether it is.
func (s *Steady) Since() (time.Time, bool) {
	s.look()
	return time.UnixMicro(s.scan.since).UTC(), s.scan.steady
}

// perhapsBy says whether the system would be steady by then if every missing sample had
// been good: where only what is missing speaks against it, nothing is known to be broken.
func (s *Steady) perhapsBy(then time.Time) bool {
	best := slices.Clone(s.outcome)
	for i, o := range best {
		if Outcome(o) == Missing {
			best[i] = byte(Good)
		}
	}
	since, steady := steadyOf(s.claim, time.UnixMicro(s.from), s.at, best).Since()
	return steady && !since.After(then)
}

// SinceInterval is the moment since which the system is steady as an interval:
// the last bad sample before it (or the beginning), and the first of the window.
func (s *Steady) SinceInterval() (from, to time.Time, ok bool) {
	s.look()
	if !s.scan.steady {
		return from, to, false
	}
	last := s.from
	for i := s.scan.sinceIdx - 1; i >= 0; i-- {
		if Outcome(s.outcome[i]) == Bad {
			last = s.at[i]
			break
		}
	}
	return time.UnixMicro(last).UTC(), time.UnixMicro(s.scan.since).UTC(), true
}

// Broke is when the system first broke, as an interval: the last good sample (or
// the beginning) and the first bad one of the window that was broken.
func (s *Steady) Broke() (from, to time.Time, ok bool) {
	s.look()
	if !s.scan.everBad {
		return from, to, false
	}
	last := s.from
	for i := s.scan.firstBad - 1; i >= 0; i-- {
		if Outcome(s.outcome[i]) == Good {
			last = s.at[i]
			break
		}
	}
	return time.UnixMicro(last).UTC(), time.UnixMicro(s.at[s.scan.firstBad]).UTC(), true
}

// BrokenNow says whether the last window is broken.
func (s *Steady) BrokenNow() bool {
	s.look()
	return s.scan.broken
}

// Seen is how many samples that were not missing were fed, and the scheduled time
// of the last sample.
func (s *Steady) Seen() (n int, last time.Time) {
	for _, o := range s.outcome {
		if Outcome(o) != Missing {
			n++
		}
	}
	if len(s.at) > 0 {
		last = time.UnixMicro(s.at[len(s.at)-1]).UTC()
	}
	return n, last
}

// look takes in the samples that were not looked at yet.
func (s *Steady) look() {
	const window = int64(SteadyWindow / time.Microsecond)
	c := &s.scan
	for ; c.next < len(s.at); c.next++ {
		c.count(Outcome(s.outcome[c.next]), 1)
		now := s.at[c.next]
		// Drop what is older than the window, as long as enough remains.
		for s.at[c.left] < now-window {
			if Outcome(s.outcome[c.left]) != Missing && c.n-1 < s.claim.MinSamples {
				break
			}
			c.count(Outcome(s.outcome[c.left]), -1)
			c.left++
		}
		c.broken = s.brokenWindow(c.n, c.bad)
		if c.broken {
			if !c.everBad {
				c.everBad = true
				c.firstBad = s.firstBadIn(c.left, c.next)
			}
			c.steady = false
			continue
		}
		if c.steady || c.n < s.claim.MinSamples || now-s.from < window {
			continue
		}
		if float64(c.bad) <= s.claim.allowed()*float64(c.n) && float64(c.miss) <= MaxMissing*float64(c.n+c.miss) {
			c.steady, c.since, c.sinceIdx = true, s.at[c.left], c.left
		}
	}
}

func (c *scan) count(o Outcome, by int) {
	switch o {
	case Good:
		c.n += by
	case Bad:
		c.n += by
		c.bad += by
	default:
		c.miss += by
	}
}

// brokenWindow says whether bad of n are broken. A window with fewer samples than
// MinSamples is taken as if the rest were good: a first bad sample alone is chance.
// The critical counts are kept because the windows of a steady rate have few
// different sizes.
func (s *Steady) brokenWindow(n, bad int) bool {
	if bad == 0 || float64(bad) <= s.claim.allowed()*float64(n) {
		return false
	}
	n = max(n, s.claim.MinSamples)
	crit, ok := s.critical[n]
	if !ok {
		crit = s.claim.critical(n, 1)
		s.critical[n] = crit
	}
	return bad >= crit
}

func (s *Steady) firstBadIn(from, to int) int {
	for i := from; i <= to; i++ {
		if Outcome(s.outcome[i]) == Bad {
			return i
		}
	}
	return to
}
