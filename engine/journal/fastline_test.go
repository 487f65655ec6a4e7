package journal

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

func slowSamples(line []byte) (head, *Samples, error) {
	var whole struct {
		head
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(line, &whole); err != nil {
		return head{}, nil, err
	}
	s := new(Samples)
	err := json.Unmarshal(whole.Data, s)
	return whole.head, s, err
}

// checkFast fails when a line is taken apart in another way than encoding/json does.
func checkFast(t *testing.T, line []byte) (fast bool) {
	t.Helper()
	h, data, ok := decodeUsual(line)
	if !ok {
		return false
	}
	if !json.Valid(line) {
		t.Fatalf("taken, but no JSON: %s", line)
	}
	wantHead, want, err := slowSamples(line)
	if err != nil {
		t.Fatalf("taken, but encoding/json says %v: %s", err, line)
	}
	if !reflect.DeepEqual(h, wantHead) || !reflect.DeepEqual(data, want) {
		t.Fatalf("%s\nis\n%+v %+v\nand to encoding/json\n%+v %+v", line, h, data, wantHead, want)
	}
	return true
}

func usualSamples() []*Samples {
	v, small := 1.5, -2e-9
	at := time.Date(2026, 11, 2, 9, 0, 0, 123456789, time.UTC)
	return []*Samples{
		{Probe: "http.checkout", Start: at, Offset: []int64{0, 10_000, 1 << 40}, Status: "ofm", Latency: []int64{5, -1, -1},
			Good: map[string]string{"a": "10?", "b.c": "111"}, Errors: map[string]int{"connection refused": 2}},
		{Probe: "prometheus.x", Start: at, Offset: []int64{-5, 0, 7}, Status: "oom", Latency: []int64{0, 1, 2}, Value: []*float64{&v, nil, &small}},
		{Probe: "http.x", Start: at, Offset: []int64{}, Latency: []int64{}, Value: []*float64{}},
		{Probe: "http.ü\t\x7f", Start: at.Truncate(time.Second), Offset: []int64{1}, Status: "f", Latency: []int64{-1}, Good: map[string]string{`q"\`: "0"},
			Errors: map[string]int{"Get \"http://x\": <dial> \u2028 \x01 日本": 1, "": 0}},
	}
}

// What a Writer writes is read the quick way, whatever is in it.
func TestSamplesAreReadFast(t *testing.T) {
	for i, s := range usualSamples() {
		line, _, err := encodeLine(Event{Seq: int64(i + 1), Time: time.Now().UTC().Round(0), Epoch: 3, Data: s}, "0123456789abcdef")
		if err != nil {
			t.Fatal(err)
		}
		if !checkFast(t, line) {
			t.Errorf("not read the quick way: %s", line)
		}
	}
}

// Whatever is a little different means what encoding/json says it means.
func FuzzFastSamples(f *testing.F) {
	for _, s := range usualSamples() {
		line, _, err := encodeLine(Event{Seq: 7, Time: time.Now().UTC().Round(0), Epoch: 1, Data: s}, "")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(line)
	}
	usual := `{"v":1,"seq":%s,"t":"2026-11-02T09:00:00Z","epoch":1,"type":"samples","data":{"probe":%s,"start":%s,"offset_us":%s,"status":"o","latency_us":[1]%s},"sum":"0123456789abcdef"}`
	for _, odd := range [][]string{
		{"01", `"p"`, `"2026-11-02T09:00:00Z"`, "[0]", ""}, {"-0", `"p"`, `"2026-11-02T09:00:00Z"`, "[0]", ""}, {"1e3", `"p"`, `"2026-11-02T09:00:00Z"`, "[0]", ""},
		{"9223372036854775807", `"p"`, `"2026-11-02T09:00:00Z"`, "[0]", ""}, {"99999999999999999999", `"p"`, `"2026-11-02T09:00:00Z"`, "[0]", ""},
		{"1", `"\ud800"`, `"2026-11-02T09:00:00Z"`, "[0]", ""}, {"1", "\"\xff\"", `"2026-11-02T09:00:00Z"`, "[0]", ""}, {"1", "\"\n\"", `"2026-11-02T09:00:00Z"`, "[0]", ""},
		{"1", `null`, `"2026-11-02T09:00:00Z"`, "[0]", ""}, {"1", `"p"`, `"2026-11-02 09:00"`, "[0]", ""}, {"1", `"p"`, `"2026-11-02T9:00:00Z"`, "[0]", ""},
		{"1", `"p"`, `"2026-11-02T09:00:00+01:00"`, "[0]", ""}, {"1", `"p"`, `"2026-11-02T09:00:00Z"`, "[0,]", ""}, {"1", `"p"`, `"2026-11-02T09:00:00Z"`, "[ 0]", ""},
		{"1", `"p"`, `"2026-11-02T09:00:00Z"`, "null", ""}, {"1", `"p"`, `"2026-11-02T09:00:00Z"`, "[0]", `,"value":[1.0,01,.5,1e999, 2]`},
		{"1", `"p"`, `"2026-11-02T09:00:00Z"`, "[0]", `,"value":[0x1p3]`}, {"1", `"p"`, `"2026-11-02T09:00:00Z"`, "[0]", `,"value":[1 ]`},
		{"1", `"p"`, `"2026-11-02T09:00:00Z"`, "[0]", `,"good":{"a":"1","a":"0"},"errors":{"x":1,"x":2}`}, {"1", `"p"`, `"2026-11-02T09:00:00Z"`, "[0]", `,"errors":{},"good":{}`},
		{"1", `"p"`, `"2026-11-02T09:00:00Z"`, "[0]", `,"start":"2027-11-02T09:00:00Z"`},
	} {
		f.Add(fmt.Appendf(nil, usual, odd[0], odd[1], odd[2], odd[3], odd[4]))
	}
	f.Add([]byte(strings.Repeat("[", 1000)))
	f.Fuzz(func(t *testing.T, line []byte) { checkFast(t, line) })
}
