package judge

import (
	"maps"
	"math"
	"slices"
	"sort"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
)

// sampleLog keeps one probe's samples in columns, about 14 bytes a sample and one
// more for each objective, so that a run can be judged in whatever order its
// events came.
type sampleLog struct {
	probe   string
	at      []int64 // scheduled, microseconds since the Unix epoch
	latency []int32 // microseconds, -1: none
	status  []byte
	value   []float64 // NaN: none; nil as long as no sample had one
	good    map[string][]byte
	errors  map[string]int
	sorted  bool
}

// Times that JSON can say, in microseconds since the Unix epoch, and an offset
// that keeps sums of them in range: what is beyond is of a broken journal.
var (
	firstMoment = time.Date(1, 1, 2, 0, 0, 0, 0, time.UTC).UnixMicro()
	lastMoment  = time.Date(9999, 12, 30, 0, 0, 0, 0, time.UTC).UnixMicro()
)

const maxOffset = int64(1) << 60

func newSampleLog(probe string) *sampleLog {
	return &sampleLog{probe: probe, good: make(map[string][]byte), sorted: true}
}

// add takes in a batch. Columns that are shorter than the offsets, which a
// journal of ours never has, count as missing.
func (l *sampleLog) add(s *journal.Samples) {
	before := len(l.at)
	l.at, l.status, l.latency = room(l.at, len(s.Offset)), room(l.status, len(s.Offset)), room(l.latency, len(s.Offset))
	start, last := s.Start.UnixMicro(), firstMoment
	if before > 0 {
		last = l.at[before-1]
	}
	for i, off := range s.Offset {
		at := min(max(start+min(max(off, -maxOffset), maxOffset), firstMoment), lastMoment)
		l.sorted = l.sorted && last <= at
		last = at
		l.at = append(l.at, at)
		status := byte(journal.StatusMissing)
		if i < len(s.Status) {
			status = s.Status[i]
		}
		l.status = append(l.status, status)
		lat := int32(-1)
		if i < len(s.Latency) && s.Latency[i] >= 0 {
			lat = int32(min(s.Latency[i], math.MaxInt32))
		}
		l.latency = append(l.latency, lat)
	}
	l.addValues(s, before)
	for objective := range s.Good {
		if _, ok := l.good[objective]; !ok {
			l.good[objective] = slices.Repeat([]byte{journal.GoodMissing}, before)
		}
	}
	for objective, column := range l.good {
		letters := s.Good[objective]
		column = room(column, len(s.Offset))
		for i := range s.Offset {
			column = append(column, byte(outcomeAt(letters, i)))
		}
		l.good[objective] = column
	}
	for text, n := range s.Errors {
		if l.errors == nil {
			l.errors = make(map[string]int)
		}
		l.errors[text] += n
	}
}

// room makes room for n more in a column. It doubles, because what append does by itself
// copies a long column far more often.
func room[T any](column []T, n int) []T {
	if cap(column)-len(column) >= n {
		return column
	}
	return slices.Grow(column, max(n, len(column)))
}

func (l *sampleLog) addValues(s *journal.Samples, before int) {
	if l.value == nil {
		if !slices.ContainsFunc(s.Value, func(v *float64) bool { return v != nil }) {
			return
		}
		l.value = slices.Repeat([]float64{math.NaN()}, before)
	}
	l.value = room(l.value, len(s.Offset))
	for i := range s.Offset {
		v := math.NaN()
		if i < len(s.Value) && s.Value[i] != nil && !math.IsInf(*s.Value[i], 0) {
			v = *s.Value[i]
		}
		l.value = append(l.value, v)
	}
}

// sort orders the columns by scheduled time.
func (l *sampleLog) sort() {
	if l.sorted {
		return
	}
	order := make([]int, len(l.at))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case l.at[a] < l.at[b]:
			return -1
		case l.at[a] > l.at[b]:
			return 1
		}
		return 0
	})
	l.at = reorder(l.at, order)
	l.latency = reorder(l.latency, order)
	l.status = reorder(l.status, order)
	l.value = reorder(l.value, order)
	for objective, column := range l.good {
		l.good[objective] = reorder(column, order)
	}
	l.sorted = true
}

func reorder[T any](column []T, order []int) []T {
	if column == nil {
		return nil
	}
	out := make([]T, len(column))
	for i, from := range order {
		out[i] = column[from]
	}
	return out
}

// between are the samples scheduled from a moment up to before another: the
// indices lo ≤ i < hi. The log must be sorted.
func (l *sampleLog) between(from, to time.Time) (lo, hi int) {
	a, b := from.UnixMicro(), to.UnixMicro()
	lo = sort.Search(len(l.at), func(i int) bool { return l.at[i] >= a })
	hi = sort.Search(len(l.at), func(i int) bool { return l.at[i] >= b })
	return lo, max(lo, hi)
}

// outcomes is what the samples are to an objective; of one that the batches never
// spoke of, every sample is missing.
func (l *sampleLog) outcomes(objective string) []byte {
	if column, ok := l.good[objective]; ok {
		return column
	}
	return slices.Repeat([]byte{journal.GoodMissing}, len(l.at))
}

// maxSeries bounds the length of a series, so that one absurd time in a journal
// does not ask for all the memory there is: a bit more than a day of seconds.
const maxSeries = 100_000

// summary is the probe over the whole run. The log must be sorted.
func (l *sampleLog) summary() ProbeSummary {
	p := ProbeSummary{Probe: l.probe, Samples: len(l.at), Errors: l.errors}
	for _, s := range l.status {
		switch s {
		case journal.StatusOK:
		case journal.StatusFailed:
			p.Failed++
		default:
			p.Missing++
		}
	}
	if len(l.at) == 0 {
		p.Series = Series{OK: []int{}, Failed: []int{}, Missing: []int{}, Median: []float64{}, Max: []float64{}}
		return p
	}
	first := floorSecond(l.at[0])
	last := min(floorSecond(l.at[len(l.at)-1]), first+maxSeries-1)
	n := int(last - first + 1)
	s := Series{
		Start: time.Unix(first, 0).UTC(), OK: make([]int, n), Failed: make([]int, n), Missing: make([]int, n),
		Median: slices.Repeat([]float64{-1}, n), Max: slices.Repeat([]float64{-1}, n),
	}
	if l.value != nil {
		s.Value = make([]*float64, n)
	}
	var lat []int32
	for i := 0; i < len(l.at); {
		second := floorSecond(l.at[i])
		if second > last {
			break
		}
		k := int(second - first)
		lat = lat[:0]
		for ; i < len(l.at) && floorSecond(l.at[i]) == second; i++ {
			switch l.status[i] {
			case journal.StatusOK:
				s.OK[k]++
				if l.latency[i] >= 0 {
					lat = append(lat, l.latency[i])
				}
			case journal.StatusFailed:
				s.Failed[k]++
			default:
				s.Missing[k]++
			}
			if l.value != nil && !math.IsNaN(l.value[i]) {
				v := l.value[i]
				s.Value[k] = &v
			}
		}
		if len(lat) > 0 {
			slices.Sort(lat)
			s.Median[k] = float64(lat[(len(lat)-1)/2]) / 1e6
			s.Max[k] = float64(lat[len(lat)-1]) / 1e6
		}
	}
	s.Objectives = l.courses(s, first)
	p.Series = s
	return p
}

// courses are the objectives whose course is another than that of ok and failed, by
// name.
func (l *sampleLog) courses(s Series, first int64) []ObjectiveSeries {
	var out []ObjectiveSeries
	for _, objective := range slices.Sorted(maps.Keys(l.good)) {
		c := ObjectiveSeries{Objective: objective, Good: make([]int, len(s.OK)), Bad: make([]int, len(s.OK))}
		for i, o := range l.good[objective] {
			k := int(floorSecond(l.at[i]) - first)
			if k >= len(s.OK) {
				break
			}
			switch Outcome(o) {
			case Good:
				c.Good[k]++
			case Bad:
				c.Bad[k]++
			}
		}
		if !slices.Equal(c.Good, s.OK) || !slices.Equal(c.Bad, s.Failed) {
			out = append(out, c)
		}
	}
	return out
}

func floorSecond(us int64) int64 {
	s := us / 1e6
	if us < 0 && us%1e6 != 0 {
		s--
	}
	return s
}
