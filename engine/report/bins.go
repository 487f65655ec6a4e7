package report

import (
	"math"

	"github.com/faultline-go/faultline/engine/judge"
)

// bin is what a probe saw in some whole seconds. Counts are sums, so that those of
// all bins are the totals; of the medians by the second only the range is kept,
// because a median of medians is none.
type bin struct {
	Good, Bad, Missing int
	Low, High, Max     float64 // medians by the second and the slowest, in seconds; -1: none
	Least, Most        float64 // values; NaN: none
}

func (b bin) share() float64 { return float64(b.Good) / float64(b.Good+b.Bad) }

// binsOf sums a series up by steps of seconds. first is the second of the series
// (below zero: before it begins) with which the first bin begins, of seconds in all.
// objective is an index of the series' objectives, or -1 for what was ok.
func binsOf(s *judge.Series, objective, first, seconds, step int) []bin {
	bins := make([]bin, (seconds+step-1)/step)
	good, bad := s.OK, s.Failed
	if objective >= 0 {
		good, bad = s.Objectives[objective].Good, s.Objectives[objective].Bad
	}
	for i := range bins {
		b := bin{Low: -1, High: -1, Max: -1, Least: math.NaN(), Most: math.NaN()}
		for k := max(first+i*step, 0); k < min(first+min((i+1)*step, seconds), len(s.OK)); k++ {
			b.Good += good[k]
			b.Bad += bad[k]
			b.Missing += s.OK[k] + s.Failed[k] + s.Missing[k] - good[k] - bad[k]
			if m := s.Median[k]; m >= 0 {
				if b.Low < 0 || m < b.Low {
					b.Low = m
				}
				b.High = max(b.High, m)
			}
			b.Max = max(b.Max, s.Max[k])
			if k < len(s.Value) && s.Value[k] != nil {
				v := *s.Value[k]
				if math.IsNaN(b.Least) {
					b.Least, b.Most = v, v
				}
				b.Least, b.Most = min(b.Least, v), max(b.Most, v)
			}
		}
		bins[i] = b
	}
	return bins
}

// coarser is a series in steps of so many seconds, for reports that would be too
// large with one entry a second. Of medians the highest of the step is kept.
func coarser(s judge.Series, step int) judge.Series {
	if step <= 1 || len(s.OK) == 0 {
		return s
	}
	n := (len(s.OK) + step - 1) / step
	out := judge.Series{Start: s.Start, OK: sums(s.OK, step), Failed: sums(s.Failed, step), Missing: sums(s.Missing, step),
		Median: make([]float64, n), Max: make([]float64, n)}
	for _, o := range s.Objectives {
		out.Objectives = append(out.Objectives, judge.ObjectiveSeries{Objective: o.Objective, Good: sums(o.Good, step), Bad: sums(o.Bad, step)})
	}
	if s.Value != nil {
		out.Value = make([]*float64, n)
	}
	for i := range n {
		out.Median[i], out.Max[i] = -1, -1
		for k := i * step; k < min((i+1)*step, len(s.OK)); k++ {
			out.Median[i], out.Max[i] = max(out.Median[i], s.Median[k]), max(out.Max[i], s.Max[k])
			if s.Value != nil && s.Value[k] != nil {
				out.Value[i] = s.Value[k]
			}
		}
	}
	return out
}

func sums(counts []int, step int) []int {
	out := make([]int, (len(counts)+step-1)/step)
	for k, n := range counts {
		out[k/step] += n
	}
	return out
}
