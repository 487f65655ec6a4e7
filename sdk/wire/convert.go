package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/faultline-go/faultline/sdk/schema"
	"github.com/faultline-go/faultline/sdk/wire/internal/pb"
)

// ErrGone says that the plugin's process or connection is gone: what was asked may
// have happened or not.
var ErrGone = errors.New("the plugin is gone")

// plain turns a gRPC error into one that reads well: the text alone for what the
// plugin said, ErrGone for a broken connection, the context's errors for those.
func plain(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	s, ok := status.FromError(err)
	if !ok {
		return err
	}
	switch s.Code() {
	case codes.Unavailable:
		return fmt.Errorf("%w (%s)", ErrGone, s.Message())
	case codes.DeadlineExceeded:
		return because(s.Message(), context.DeadlineExceeded)
	case codes.Canceled:
		return because(s.Message(), context.Canceled)
	default:
		return errors.New(s.Message())
	}
}

// because keeps what the plugin said of a call that ended with its context.
func because(text string, cause error) error {
	said, ok := strings.CutSuffix(text, ": "+cause.Error())
	if !ok {
		return cause // gRPC's own words
	}
	return fmt.Errorf("%s: %w", said, cause)
}

// answer makes the error of a plugin's own code travel as such. Without it, the
// status of a gRPC service that the plugin is a client of would be taken for one of
// the plugin's: "unavailable", say, for the plugin being gone.
func answer(err error) error {
	if err == nil {
		return nil
	}
	code := codes.Unknown
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		code = codes.DeadlineExceeded
	case errors.Is(err, context.Canceled):
		code = codes.Canceled
	}
	return status.Error(code, text(err.Error()))
}

// text makes a string fit for the wire, which takes no broken UTF-8: what a plugin
// says may quote what a server or a program said.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func texts(all []string) []string {
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = text(s)
	}
	return out
}

func leaseTo(l Lease) *pb.Lease {
	return &pb.Lease{Run: l.Run, Fault: l.Fault, Epoch: int64(l.Epoch)}
}

func leaseFrom(l *pb.Lease) Lease {
	return Lease{Run: l.GetRun(), Fault: l.GetFault(), Epoch: int(l.GetEpoch())}
}

func undosTo(all []Undo) []*pb.Undo {
	out := make([]*pb.Undo, len(all))
	for i, u := range all {
		out[i] = &pb.Undo{Target: u.Target, UndoJson: u.Undo}
	}
	return out
}

func undosFrom(all []*pb.Undo) []Undo {
	out := make([]Undo, len(all))
	for i, u := range all {
		out[i] = Undo{Target: u.Target, Undo: u.UndoJson}
	}
	return out
}

// samplesTo packs samples into columns. Extra values of a name have one type.
func samplesTo(samples []schema.Sample) *pb.SampleBatch {
	m := &pb.SampleBatch{}
	if len(samples) == 0 {
		return m
	}
	start := samples[0].Scheduled
	m.StartUnixNs = start.UnixNano()
	columns := map[string]*pb.Column{}
	index := map[string]uint32{}
	for i, s := range samples {
		m.OffsetNs = append(m.OffsetNs, int64(s.Scheduled.Sub(start)))
		m.Status = append(m.Status, byte(s.Status))
		m.LatencyS = append(m.LatencyS, s.Latency)
		if !math.IsNaN(s.Value) && m.Value == nil {
			m.Value = nans(i)
		}
		if m.Value != nil {
			m.Value = append(m.Value, s.Value)
		}
		if s.Error != "" {
			if index[s.Error] == 0 {
				m.Error = append(m.Error, text(s.Error))
				index[s.Error] = uint32(len(m.Error))
			}
			if m.ErrorIndex == nil {
				m.ErrorIndex = make([]uint32, len(samples))
			}
			m.ErrorIndex[i] = index[s.Error]
		}
		for name, v := range s.Extra {
			c := columns[name]
			if c == nil {
				c = &pb.Column{Name: text(name)}
				columns[name] = c
				m.Extra = append(m.Extra, c)
			}
			put(c, i, len(samples), v)
		}
	}
	return m
}

func nans(n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = math.NaN()
	}
	return out
}

// put stores the value of sample i in the list that fits it. A number that is not
// there is NaN; a string or bool that is not there is the zero value.
func put(c *pb.Column, i, n int, v any) {
	switch v := v.(type) {
	case float64:
		if c.Numbers == nil {
			c.Numbers = nans(n)
		}
		c.Numbers[i] = v
	case int:
		put(c, i, n, float64(v))
	case string:
		if c.Strings == nil {
			c.Strings = make([]string, n)
		}
		c.Strings[i] = text(v)
	case bool:
		if c.Bools == nil {
			c.Bools = make([]bool, n)
		}
		c.Bools[i] = v
	}
}

// samplesFrom unpacks a batch; a batch whose columns differ in length is refused.
func samplesFrom(m *pb.SampleBatch) ([]schema.Sample, error) {
	n := len(m.OffsetNs)
	fits := func(l int) bool { return l == 0 || l == n }
	ok := len(m.Status) == n && len(m.LatencyS) == n && fits(len(m.Value)) && fits(len(m.ErrorIndex))
	for _, c := range m.Extra {
		ok = ok && fits(len(c.Numbers)) && fits(len(c.Strings)) && fits(len(c.Bools))
	}
	if !ok {
		return nil, errors.New("the plugin sent a batch of samples whose columns differ in length")
	}
	out := make([]schema.Sample, n)
	for i := range out {
		s := schema.Sample{
			Scheduled: time.Unix(0, m.StartUnixNs+m.OffsetNs[i]).UTC(),
			Status:    schema.Status(m.Status[i]),
			Latency:   m.LatencyS[i],
			Value:     math.NaN(),
		}
		if s.Status > schema.Missing {
			return nil, fmt.Errorf("the plugin sent a sample of unknown status %d", s.Status)
		}
		if m.Value != nil {
			s.Value = m.Value[i]
		}
		if m.ErrorIndex != nil {
			switch x := int(m.ErrorIndex[i]); {
			case x > len(m.Error):
				return nil, fmt.Errorf("the plugin sent a sample whose error text %d is not in its batch", x)
			case x > 0:
				s.Error = m.Error[x-1]
			}
		}
		if len(m.Extra) > 0 {
			s.Extra = make(map[string]any, len(m.Extra))
			for _, c := range m.Extra {
				switch {
				case c.Numbers != nil:
					if !math.IsNaN(c.Numbers[i]) {
						s.Extra[c.Name] = c.Numbers[i]
					}
				case c.Strings != nil:
					s.Extra[c.Name] = c.Strings[i]
				case c.Bools != nil:
					s.Extra[c.Name] = c.Bools[i]
				}
			}
		}
		out[i] = s
	}
	return out, nil
}
