//go:build linux

package toxiproxy

import (
	"bytes"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"time"

	"github.com/faultline-go/faultline/plugins/proxy/relay"
)

// toxic is a fault as clients name it.
type toxic struct {
	Name       string                     `json:"name"`
	Type       string                     `json:"type"`
	Stream     string                     `json:"stream"`
	Toxicity   float32                    `json:"toxicity"` // share of the connections
	Attributes map[string]json.RawMessage `json:"attributes"`

	id   string // in the relay
	seed uint64
}

func (t *toxic) clone() *toxic {
	c := *t
	c.Attributes = maps.Clone(t.Attributes)
	return &c
}

// complete fills in what may be left out, and checks everything.
func (t *toxic) complete() error {
	if t.Stream == "" {
		t.Stream = "downstream"
	}
	if t.Name == "" {
		t.Name = t.Type + "_" + t.Stream
	}
	if t.seed == 0 {
		t.seed = rand.Uint64()
	}
	if t.Attributes == nil {
		t.Attributes = map[string]json.RawMessage{}
	}
	_, err := t.fault()
	return err
}

// The attributes of the types, in the units of the API: milliseconds, microseconds for
// the slicer's delay, kilobytes a second.
type (
	latency struct {
		Latency int64 `json:"latency"`
		Jitter  int64 `json:"jitter"`
	}
	bandwidth struct {
		Rate int64 `json:"rate"`
	}
	slowClose struct {
		Delay int64 `json:"delay"`
	}
	timeout struct {
		Timeout int64 `json:"timeout"`
	}
	slicer struct {
		Size      int   `json:"average_size"`
		Variation int   `json:"size_variation"`
		Delay     int64 `json:"delay"`
	}
	limit struct {
		Bytes int64 `json:"bytes"`
	}
)

// longest is the longest time that a toxic may name, in any unit: what is longer is a
// mistake, or would overflow.
const longest = int64(24 * time.Hour / time.Millisecond)

// fault is what the relay does for the toxic.
func (t *toxic) fault() (relay.Fault, error) {
	f := relay.Fault{Percent: float64(t.Toxicity) * 100, Seed: t.seed}
	if !(t.Toxicity >= 0 && t.Toxicity <= 1) {
		return f, bad("toxicity %v is not between 0 and 1", t.Toxicity)
	}
	switch t.Stream {
	case "upstream":
		f.Direction = relay.Upstream
	case "downstream":
		f.Direction = relay.Downstream
	default:
		return f, errNoStream
	}
	var err error
	f.Effect, err = t.effect()
	return f, err
}

func (t *toxic) effect() (relay.Effect, error) {
	switch t.Type {
	case "latency":
		a, err := attributes[latency](t)
		return relay.Delay{Delay: ms(a.Latency), Jitter: ms(a.Jitter)}, first(err, t.time("latency", a.Latency), t.time("jitter", a.Jitter))
	case "bandwidth":
		a, err := attributes[bandwidth](t)
		return relay.Bandwidth{Rate: float64(a.Rate) * 1000}, first(err, t.atLeast("rate", a.Rate, 1))
	case "slow_close":
		a, err := attributes[slowClose](t)
		return relay.SlowClose{Delay: ms(a.Delay)}, first(err, t.time("delay", a.Delay))
	case "timeout":
		a, err := attributes[timeout](t)
		return relay.Timeout{After: ms(a.Timeout), CloseAtEnd: true}, first(err, t.time("timeout", a.Timeout))
	case "reset_peer":
		a, err := attributes[timeout](t)
		return relay.Reset{After: ms(a.Timeout)}, first(err, t.time("timeout", a.Timeout))
	case "slicer":
		a, err := attributes[slicer](t)
		e := relay.Slicer{Size: a.Size, Variation: a.Variation, Delay: time.Duration(a.Delay) * time.Microsecond}
		err = first(err, t.atLeast("average_size", int64(a.Size), 1), t.atLeast("size_variation", int64(a.Variation), 0), t.time("delay", a.Delay))
		if err == nil && a.Variation >= a.Size {
			err = bad("slicer: size_variation %d has to be less than average_size %d", a.Variation, a.Size)
		}
		return e, err
	case "limit_data":
		a, err := attributes[limit](t)
		return relay.Limit{Bytes: a.Bytes}, first(err, t.atLeast("bytes", a.Bytes, 0))
	}
	return nil, bad("invalid toxic type %q", t.Type)
}

// attributes reads a toxic's attributes; it takes no others.
func attributes[A any](t *toxic) (a A, err error) {
	raw, err := json.Marshal(t.Attributes)
	if err != nil {
		return a, bad("%s: %v", t.Type, err)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&a); err != nil {
		return a, bad("%s: attributes: %v", t.Type, err)
	}
	return a, nil
}

func (t *toxic) atLeast(name string, v, least int64) error {
	if v < least {
		return bad("%s: %s is %d, and has to be at least %d", t.Type, name, v, least)
	}
	return nil
}

func (t *toxic) time(name string, v int64) error {
	if v > longest {
		return bad("%s: %s is %d, and may be at most %d", t.Type, name, v, longest)
	}
	return t.atLeast(name, v, 0)
}

func ms(n int64) time.Duration { return time.Duration(min(n, longest)) * time.Millisecond }

// first is the first error that is one.
func first(all ...error) error {
	for _, err := range all {
		if err != nil {
			return err
		}
	}
	return nil
}
