package judge

import (
	"math"
	"sort"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// Latencies are kept from a microsecond to an hour with three significant digits.
const (
	minLatency    = 1
	maxLatency    = int64(time.Hour / time.Microsecond)
	latencyDigits = 3
)

// Quantiles that reports show.
var Quantiles = []float64{0.5, 0.95, 0.99}

// quantileMiss is the chance left on each side of a quantile's interval.
const quantileMiss = 0.025

// QuantileRanks are the order statistics l and u, counted from 1, between which
// the true q-quantile of n independent values lies with at least 95 %:
// P(l ≤ Bin(n, q) < u) ≥ 0.95, with at most 2.5 % on either side. ok is false
// when n is too small for such an interval.
func QuantileRanks(q float64, n int) (l, u int, ok bool) {
	if n < QuantileNeeds(q) || n == 0 {
		return 0, 0, false
	}
	fn := float64(n)
	// l: the largest with P(Bin < l) ≤ miss; u: the smallest with P(Bin ≥ u) ≤ miss.
	l = sort.Search(n, func(i int) bool { return 1-Tail(fn, float64(i+1), q) > quantileMiss })
	u = 1 + sort.Search(n-1, func(i int) bool { return Tail(fn, float64(i+1), q) <= quantileMiss })
	return l, u, l >= 1 && u <= n
}

// QuantileNeeds is the smallest n with a defined interval for the q-quantile:
// neither the smallest nor the largest value may be the likely side. 368 for p99.
func QuantileNeeds(q float64) int {
	if !(q > 0 && q < 1) {
		return math.MaxInt
	}
	return int(math.Ceil(math.Log(quantileMiss) / math.Log(max(q, 1-q))))
}

// Latencies is a mergeable histogram of latencies with fixed memory.
type Latencies struct{ h *hdr.Histogram }

// NewLatencies is an empty histogram.
func NewLatencies() *Latencies {
	return &Latencies{h: hdr.New(minLatency, maxLatency, latencyDigits)}
}

// Record adds one latency. What is outside of a microsecond to an hour counts as
// the nearer of the two.
func (l *Latencies) Record(d time.Duration) { l.record(d.Microseconds()) }

func (l *Latencies) record(us int64) {
	// The value is within the range that the histogram was made for, which is the
	// only reason for which recording fails.
	_ = l.h.RecordValue(min(max(us, minLatency), maxLatency))
}

// Merge adds what another histogram has recorded.
func (l *Latencies) Merge(other *Latencies) { l.h.Merge(other.h) }

// N is how many latencies were recorded.
func (l *Latencies) N() int { return int(l.h.TotalCount()) }

// at is the latency of a rank, counted from 1.
func (l *Latencies) at(rank int) time.Duration {
	us := l.h.ValueAtPercentile(100 * float64(rank) / float64(l.h.TotalCount()))
	return time.Duration(us) * time.Microsecond
}

// QuantileOf is a quantile with its 95 % interval, in seconds. Where n samples do
// not define it, Defined is false and Needs says how many would.
type QuantileOf struct {
	Q       float64 `json:"q"`
	Defined bool    `json:"defined"`
	Value   float64 `json:"value_s,omitempty"`
	Low     float64 `json:"low_s,omitempty"`
	High    float64 `json:"high_s,omitempty"`
	Needs   int     `json:"needs"`
}

// Quantile is the q-quantile of what was recorded, with its interval.
func (l *Latencies) Quantile(q float64) QuantileOf {
	r := QuantileOf{Q: q, Needs: QuantileNeeds(q)}
	n := l.N()
	lo, hi, ok := QuantileRanks(q, n)
	if !ok {
		return r
	}
	r.Defined = true
	r.Value = l.at(min(max(int(math.Ceil(q*float64(n))), 1), n)).Seconds()
	r.Low, r.High = l.at(lo).Seconds(), l.at(hi).Seconds()
	return r
}
