package live

import (
	"math"
	"slices"
	"strings"
	"time"
)

// course is what came of the last minutes, by the second.
type course struct {
	first int64 // Unix second of the first bin
	bins  []bin
}

type bin struct {
	good, bad int
	latencies []float64 // seconds, of successful samples; at most mostLatencies
}

const (
	longestCourse = 300 // seconds: no screen is wider
	mostLatencies = 200 // of a second; more do not change a median that anybody sees
)

// at is the bin of a moment; nil for one that is too old to be shown.
func (c *course) at(t time.Time) *bin {
	s := t.Unix()
	if len(c.bins) == 0 {
		c.first = s
	}
	if s < c.first {
		return nil
	}
	if s-c.first >= 2*longestCourse { // a gap: whatever was before is out of the picture
		c.bins, c.first = nil, s
	}
	for int64(len(c.bins)) <= s-c.first {
		c.bins = append(c.bins, bin{})
	}
	i := s - c.first
	if drop := len(c.bins) - longestCourse; drop > 0 {
		c.bins = slices.Delete(c.bins, 0, drop)
		c.first += int64(drop)
		i -= int64(drop)
	}
	if i < 0 {
		return nil
	}
	return &c.bins[i]
}

// upTo is the last n seconds before a moment's own, which is not over yet.
func (c *course) upTo(now time.Time, n int) []bin {
	out := make([]bin, n)
	last := now.Unix() - 1
	for i := range out {
		if at := last - int64(n-1-i) - c.first; at >= 0 && at < int64(len(c.bins)) {
			out[i] = c.bins[at]
		}
	}
	return out
}

func (b bin) median() float64 {
	if len(b.latencies) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(b.latencies))
	return s[(len(s)-1)/2]
}

var blocks = []rune("▁▂▃▄▅▆▇█")

// sparkline draws values between low and high; NaN is a gap. Only a value at high is as
// high as the line goes, so that one bad request of a thousand is seen.
func sparkline(values []float64, low, high float64) string {
	var b strings.Builder
	for _, v := range values {
		switch {
		case math.IsNaN(v):
			b.WriteRune(' ')
		case v >= high:
			b.WriteRune(blocks[len(blocks)-1])
		case v <= low:
			b.WriteRune(blocks[0])
		default:
			b.WriteRune(blocks[int((v-low)/(high-low)*float64(len(blocks)-1))])
		}
	}
	return b.String()
}

// goodLine is the good share of each second: a full block where all was good.
func goodLine(bins []bin) string {
	values := make([]float64, len(bins))
	for i, b := range bins {
		values[i] = math.NaN()
		if n := b.good + b.bad; n > 0 {
			values[i] = float64(b.good) / float64(n)
		}
	}
	return sparkline(values, 0, 1)
}

// latencyLine is the median latency of each second, from nothing to the highest, and
// the latest one in seconds.
func latencyLine(bins []bin) (line string, latest float64) {
	values := make([]float64, len(bins))
	high := 0.0
	latest = math.NaN()
	for i, b := range bins {
		values[i] = b.median()
		if !math.IsNaN(values[i]) {
			high, latest = max(high, values[i]), values[i]
		}
	}
	return sparkline(values, 0, max(high, 1e-9)), latest
}
