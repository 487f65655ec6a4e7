package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/faultline-go/faultline/sdk/schema"
	"github.com/faultline-go/faultline/sdk/wire/internal/pb"
)

// randomSamples makes what a probe can send: fields of one type each, numbers that
// may be absent.
func randomSamples(r *rand.Rand) []schema.Sample {
	number := func() float64 {
		switch r.IntN(4) {
		case 0:
			return math.NaN()
		case 1:
			return math.Inf(1)
		}
		return r.NormFloat64()
	}
	start := time.Unix(0, r.Int64N(1<<60))
	withValues, withExtra, withErrors := r.IntN(2) == 0, r.IntN(2) == 0, r.IntN(2) == 0
	out := make([]schema.Sample, r.IntN(40))
	for i := range out {
		s := schema.Sample{
			Scheduled: start.Add(time.Duration(r.Int64N(1 << 40))).UTC(), // not in order
			Status:    schema.Status(r.IntN(3)), Latency: number(), Value: math.NaN(),
		}
		if withValues {
			s.Value = number()
		}
		if withErrors {
			s.Error = []string{"", "timeout", "connection refused"}[r.IntN(3)]
		}
		if withExtra {
			s.Extra = map[string]any{"body": fmt.Sprint(r.IntN(3)), "cached": r.IntN(2) == 0}
			if code := number(); !math.IsNaN(code) {
				s.Extra["code"] = code
			}
		}
		out[i] = s
	}
	return out
}

// legible makes NaN equal to itself.
func legible(samples []schema.Sample) string {
	var b strings.Builder
	for _, s := range samples {
		fmt.Fprintf(&b, "%+v\n", s)
	}
	return b.String()
}

func TestSamplesRoundTrip(t *testing.T) {
	for seed := range uint64(500) {
		samples := randomSamples(rand.New(rand.NewPCG(seed, 1)))
		raw, err := proto.Marshal(samplesTo(samples))
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		var m pb.SampleBatch
		if err := proto.Unmarshal(raw, &m); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		back, err := samplesFrom(&m)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if got, want := legible(back), legible(samples); got != want {
			t.Fatalf("seed %d:\n got %s\nwant %s", seed, got, want)
		}
	}
}

func TestSamplesOfSparseFields(t *testing.T) {
	samples := []schema.Sample{
		{Value: math.NaN()},
		{Value: 3, Extra: map[string]any{"n": 4, "s": "x", "b": true}, Error: "broken \xff text"},
		{Value: math.NaN(), Extra: map[string]any{"bad\xff": "v\xff"}},
	}
	back, err := samplesFrom(samplesTo(samples))
	if err != nil {
		t.Fatal(err)
	}
	if back[0].Extra["s"] != "" || back[0].Extra["b"] != false || back[0].Extra["n"] != nil {
		t.Errorf("absent fields: %v", back[0].Extra)
	}
	if back[1].Extra["n"] != 4.0 || back[1].Value != 3 || back[1].Error != "broken \uFFFD text" {
		t.Errorf("present fields: %+v", back[1])
	}
	if back[2].Extra["bad\uFFFD"] != "v\uFFFD" {
		t.Errorf("broken texts: %v", back[2].Extra)
	}
}

func TestBrokenBatchesAreRefused(t *testing.T) {
	good := func() *pb.SampleBatch {
		return samplesTo([]schema.Sample{
			{Value: 1, Error: "x", Extra: map[string]any{"n": 1.0, "s": "x", "b": true}}, {Value: 2},
		})
	}
	if _, err := samplesFrom(good()); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*pb.SampleBatch){
		"statuses":       func(m *pb.SampleBatch) { m.Status = m.Status[:1] },
		"no statuses":    func(m *pb.SampleBatch) { m.Status = nil },
		"latencies":      func(m *pb.SampleBatch) { m.LatencyS = append(m.LatencyS, 1) },
		"values":         func(m *pb.SampleBatch) { m.Value = m.Value[:1] },
		"error indexes":  func(m *pb.SampleBatch) { m.ErrorIndex = m.ErrorIndex[:1] },
		"error texts":    func(m *pb.SampleBatch) { m.Error = nil },
		"offsets":        func(m *pb.SampleBatch) { m.OffsetNs = m.OffsetNs[:1] },
		"column":         func(m *pb.SampleBatch) { column(m, "n").Numbers = []float64{1} },
		"text column":    func(m *pb.SampleBatch) { column(m, "s").Strings = []string{"a", "b", "c"} },
		"bool column":    func(m *pb.SampleBatch) { column(m, "b").Bools = []bool{true} },
		"unknown status": func(m *pb.SampleBatch) { m.Status[1] = 3 },
	} {
		m := good()
		spoil(m)
		if _, err := samplesFrom(m); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func column(m *pb.SampleBatch, name string) *pb.Column {
	for _, c := range m.Extra {
		if c.Name == name {
			return c
		}
	}
	return nil
}

func FuzzSamplesFrom(f *testing.F) {
	raw, err := proto.Marshal(samplesTo(randomSamples(rand.New(rand.NewPCG(7, 7)))))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		var m pb.SampleBatch
		if proto.Unmarshal(raw, &m) != nil {
			return
		}
		if samples, err := samplesFrom(&m); err == nil && len(samples) != len(m.OffsetNs) {
			t.Error("samples were lost")
		}
	})
}

func TestPlain(t *testing.T) {
	custom := errors.New("custom")
	for _, c := range []struct {
		in   error
		is   error
		text string
	}{
		{nil, nil, ""},
		{io.EOF, io.EOF, "EOF"},
		{custom, custom, "custom"},
		{status.Error(codes.Unavailable, "connection reset"), ErrGone, "the plugin is gone (connection reset)"},
		{status.Error(codes.DeadlineExceeded, "context deadline exceeded"), context.DeadlineExceeded, "context deadline exceeded"},
		{status.Error(codes.DeadlineExceeded, "stream terminated"), context.DeadlineExceeded, "context deadline exceeded"},
		{status.Error(codes.DeadlineExceeded, "lock fault f: context deadline exceeded"), context.DeadlineExceeded, "lock fault f: context deadline exceeded"},
		{status.Error(codes.Canceled, "context canceled"), context.Canceled, "context canceled"},
		{status.Error(codes.Unknown, "no such lamp"), nil, "no such lamp"},
		{status.Error(codes.Unimplemented, "unknown method"), nil, "unknown method"},
	} {
		got := plain(c.in)
		if c.in == nil {
			if got != nil {
				t.Errorf("nil became %v", got)
			}
			continue
		}
		if got.Error() != c.text || c.is != nil && !errors.Is(got, c.is) {
			t.Errorf("%v became %v", c.in, got)
		}
	}
}

func TestAnswer(t *testing.T) {
	for _, c := range []struct {
		in   error
		code codes.Code
	}{
		{nil, codes.OK},
		{errors.New("x"), codes.Unknown},
		{fmt.Errorf("dial: %w", context.DeadlineExceeded), codes.DeadlineExceeded},
		{fmt.Errorf("dial: %w", context.Canceled), codes.Canceled},
		{status.Error(codes.Unavailable, "another service"), codes.Unknown},
	} {
		if got := status.Code(answer(c.in)); got != c.code {
			t.Errorf("%v became %s, want %s", c.in, got, c.code)
		}
	}
}

func TestUndosAndLeases(t *testing.T) {
	undos := []Undo{{Target: "a", Undo: []byte(`{"x":1}`)}, {Target: "b"}}
	if got := undosFrom(undosTo(undos)); !reflect.DeepEqual(got, undos) {
		t.Errorf("undos %+v", got)
	}
	l := Lease{Run: "r", Fault: "f", Epoch: 3}
	if got := leaseFrom(leaseTo(l)); got != l {
		t.Errorf("lease %+v", got)
	}
	if got := leaseFrom(nil); got != (Lease{}) {
		t.Errorf("no lease became %+v", got)
	}
}
