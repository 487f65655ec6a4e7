package report

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
)

// Samples writes the samples of a run as CSV, a row each, in the order in which they
// were put on record; it holds one batch in memory. The columns are
//
//	time        when it was scheduled, RFC 3339 in UTC with microseconds
//	probe
//	experiment  whose phase it was scheduled in, and
//	phase       that phase: baseline, during or after; both empty outside of all
//	status      ok, failed or missing
//	latency_s   in seconds; empty: none
//	value       empty: none
//	good:NAME   for each objective, 1 good or 0 bad; empty: it is not of this probe, or
//	            the sample says nothing about it
func Samples(w io.Writer, r *judge.Result, events iter.Seq2[journal.Event, error]) error {
	t := sampleTable{w: bufio.NewWriterSize(w, 256<<10), spans: spansOf(r), names: map[string]string{}}
	started := false
	for e, err := range events {
		if err != nil {
			_ = t.w.Flush()
			return fmt.Errorf("write samples: %w", err)
		}
		switch d := e.Data.(type) {
		case *journal.RunStarted:
			if !started {
				started = true
				t.begin(d.Experiments)
			}
		case *journal.Samples:
			t.batch(d)
		}
		if t.err != nil {
			return fmt.Errorf("write samples: %w", t.err)
		}
	}
	return t.w.Flush()
}

// named is a phase of an experiment in microseconds since the Unix epoch, from
// inclusive, to exclusive.
type namedSpan struct {
	from, to   int64
	experiment string
	phase      string
}

// spansOf are the phases of all experiments, by their beginnings.
func spansOf(r *judge.Result) []namedSpan {
	var spans []namedSpan
	for _, e := range r.Experiments {
		for _, p := range e.Phases {
			if p.From.Before(p.To) {
				spans = append(spans, namedSpan{p.From.UnixMicro(), p.To.UnixMicro(), e.Name, string(p.Phase)})
			}
		}
	}
	slices.SortStableFunc(spans, func(a, b namedSpan) int { return int(min(max(a.from-b.from, -1), 1)) })
	return spans
}

type sampleTable struct {
	w          *bufio.Writer
	err        error
	spans      []namedSpan
	objectives []string
	names      map[string]string // as a cell of CSV
	row        []byte
	second     int64 // the one that prefix is of
	prefix     []byte
}

func (t *sampleTable) begin(experiments []journal.ExperimentSpec) {
	for _, e := range experiments {
		for _, o := range e.Objectives {
			if !slices.Contains(t.objectives, o.Name) {
				t.objectives = append(t.objectives, o.Name)
			}
		}
	}
	head := []string{"time", "probe", "experiment", "phase", "status", "latency_s", "value"}
	for _, o := range t.objectives {
		head = append(head, "good:"+o)
	}
	c := csv.NewWriter(t.w)
	if t.err = c.Write(head); t.err == nil {
		c.Flush()
		t.err = c.Error()
	}
}

// cell is a name as it stands in CSV.
func (t *sampleTable) cell(name string) string {
	s, ok := t.names[name]
	if !ok {
		var b bytes.Buffer
		c := csv.NewWriter(&b)
		_ = c.Write([]string{name, ""}) // alone, an empty one would be quoted
		c.Flush()
		s = string(bytes.TrimSuffix(b.Bytes(), []byte(",\n")))
		t.names[name] = s
	}
	return s
}

func (t *sampleTable) batch(s *journal.Samples) {
	letters := make([]string, len(t.objectives))
	for i, o := range t.objectives {
		letters[i] = s.Good[o]
	}
	probe, start := t.cell(s.Probe), s.Start.UnixMicro()
	var span namedSpan
	for i, off := range s.Offset {
		at := start + off
		if at < span.from || at >= span.to {
			span = t.spanAt(at)
		}
		row := t.appendTime(t.row[:0], at)
		row = append(append(row, ','), probe...)
		row = append(append(row, ','), span.experiment...)
		row = append(append(row, ','), span.phase...)
		row = append(append(row, ','), statusAt(s.Status, i)...)
		row = append(row, ',')
		if i < len(s.Latency) && s.Latency[i] >= 0 {
			row = appendMicros(row, s.Latency[i])
		}
		row = append(row, ',')
		if i < len(s.Value) && s.Value[i] != nil {
			row = strconv.AppendFloat(row, *s.Value[i], 'g', -1, 64)
		}
		for _, l := range letters {
			row = append(row, ',')
			if i < len(l) && (l[i] == journal.GoodYes || l[i] == journal.GoodNo) {
				row = append(row, l[i])
			}
		}
		t.row = append(row, '\n')
		if _, t.err = t.w.Write(t.row); t.err != nil {
			return
		}
	}
}

// spanAt is the phase that a moment is in; the last that began, should several be.
func (t *sampleTable) spanAt(at int64) namedSpan {
	for _, s := range slices.Backward(t.spans) {
		if s.from <= at && at < s.to {
			s.experiment = t.cell(s.experiment)
			return s
		}
	}
	return namedSpan{}
}

// appendTime writes a moment; what is common to a second is made once.
func (t *sampleTable) appendTime(row []byte, us int64) []byte {
	second, rest := us/1e6, us%1e6
	if rest < 0 {
		second, rest = second-1, rest+1e6
	}
	if t.prefix == nil || second != t.second {
		t.second, t.prefix = second, time.Unix(second, 0).UTC().AppendFormat(t.prefix[:0], "2006-01-02T15:04:05.")
	}
	return append(appendSixDigits(append(row, t.prefix...), rest), 'Z')
}

// appendMicros writes microseconds as seconds.
func appendMicros(row []byte, us int64) []byte {
	return appendSixDigits(append(strconv.AppendInt(row, us/1e6, 10), '.'), us%1e6)
}

func appendSixDigits(row []byte, n int64) []byte {
	for unit := int64(100_000); unit > 0; unit /= 10 {
		row = append(row, byte('0'+n/unit%10))
	}
	return row
}

func statusAt(letters string, i int) string {
	if i < len(letters) {
		switch letters[i] {
		case journal.StatusOK:
			return "ok"
		case journal.StatusFailed:
			return "failed"
		}
	}
	return "missing"
}
