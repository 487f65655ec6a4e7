package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
)

// EventsFormat names the form of Events and its version, which rises when a field
// changes its meaning; new fields and types of events may come without.
const EventsFormat = "faultline.events/v1"

// event is a line of Events.
type event struct {
	Format string    `json:"format"`
	Run    string    `json:"run"`
	Seq    int64     `json:"seq"`
	Time   time.Time `json:"time"`
	Epoch  int       `json:"epoch"`
	Type   string    `json:"type"`
	Data   any       `json:"data"`
}

// The public forms of what a journal also keeps for recovery. A field of the same name
// as one of the embedded type hides it, and is left out as long as it is nil.
type (
	publicRun struct {
		*journal.RunStarted
		Plan    *struct{}      `json:"plan,omitempty"` // of the version that made it alone
		Plugins []publicPlugin `json:"plugins"`
	}
	publicPlugin struct {
		Name    string `json:"name"`
		Version string `json:"version"`
		SHA256  string `json:"sha256"`
		Trust   string `json:"trust,omitempty"`
	}
	publicIntent struct {
		*journal.FaultIntent
		Targets []publicTarget `json:"targets"`
	}
	publicTarget struct {
		journal.TargetIntent
		Undo *struct{} `json:"undo,omitempty"` // the plugin's alone
	}
)

func public(d journal.Data) any {
	switch d := d.(type) {
	case *journal.RunStarted:
		p := publicRun{RunStarted: d, Plugins: []publicPlugin{}}
		for _, x := range d.Plugins {
			p.Plugins = append(p.Plugins, publicPlugin{x.Name, x.Version, x.SHA256, x.Trust})
		}
		return p
	case *journal.FaultIntent:
		p := publicIntent{FaultIntent: d, Targets: []publicTarget{}}
		for _, x := range d.Targets {
			p.Targets = append(p.Targets, publicTarget{TargetIntent: x})
		}
		return p
	}
	return d
}

// Events writes the events of a run as newline-delimited JSON, one a line, as they are
// read: it holds one of them in memory. What a journal keeps for recovery alone (undo
// records, the encoded plan, plugins' settings and paths) is left out.
func Events(w io.Writer, events iter.Seq2[journal.Event, error]) error {
	out := bufio.NewWriterSize(w, 64<<10)
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	run := ""
	for e, err := range events {
		if err != nil {
			_ = out.Flush() // what was read is worth having
			return fmt.Errorf("write events: %w", err)
		}
		if d, ok := e.Data.(*journal.RunStarted); ok && run == "" {
			run = d.Run
		}
		line.Reset()
		v := event{EventsFormat, run, e.Seq, e.Time.UTC(), e.Epoch, e.Data.EventType(), public(e.Data)}
		if s, ok := e.Data.(*journal.Samples); ok {
			// Nearly all of a long run, and therefore written by hand: see appendSamples.
			v.Data = struct{}{}
			err = enc.Encode(v)
			line.Truncate(max(line.Len()-len("{}}\n"), 0))
			line.Write(append(appendSamples(line.AvailableBuffer(), s), "}\n"...))
		} else {
			err = enc.Encode(v)
		}
		if err == nil {
			_, err = out.Write(line.Bytes())
		}
		if err != nil {
			return fmt.Errorf("write events: %w", err)
		}
	}
	return out.Flush()
}

// appendSamples writes a batch as encoding/json does, in a third of the time.
func appendSamples(b []byte, s *journal.Samples) []byte {
	b = appendText(append(b, `{"probe":`...), s.Probe)
	b = append(s.Start.AppendFormat(append(b, `,"start":"`...), time.RFC3339Nano), '"')
	b = appendInts(append(b, `,"offset_us":`...), s.Offset)
	b = appendText(append(b, `,"status":`...), s.Status)
	b = appendInts(append(b, `,"latency_us":`...), s.Latency)
	if len(s.Value) > 0 {
		values, _ := json.Marshal(s.Value) // numbers from JSON: they can be said in it
		b = append(append(b, `,"value":`...), values...)
	}
	if len(s.Good) > 0 {
		b = appendMembers(append(b, `,"good":`...), s.Good, appendText)
	}
	if len(s.Errors) > 0 {
		b = appendMembers(append(b, `,"errors":`...), s.Errors, func(b []byte, n int) []byte { return strconv.AppendInt(b, int64(n), 10) })
	}
	return append(b, '}')
}

func appendMembers[V any](b []byte, members map[string]V, value func([]byte, V) []byte) []byte {
	begin := byte('{')
	for _, key := range slices.Sorted(maps.Keys(members)) {
		b = append(b, begin)
		b = value(append(appendText(b, key), ':'), members[key])
		begin = ','
	}
	return append(b, '}')
}

func appendInts(b []byte, all []int64) []byte {
	if all == nil {
		return append(b, "null"...)
	}
	b = append(b, '[')
	for i, n := range all {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, n, 10)
	}
	return append(b, ']')
}

func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] >= 0x7f || s[i] == '"' || s[i] == '\\' {
			var quoted bytes.Buffer
			enc := json.NewEncoder(&quoted)
			enc.SetEscapeHTML(false)
			_ = enc.Encode(s) // a string always can be
			return append(b, bytes.TrimSuffix(quoted.Bytes(), []byte("\n"))...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}
