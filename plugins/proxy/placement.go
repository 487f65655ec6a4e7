//go:build linux

package main

import (
	"fmt"
	"net"
	"time"

	"github.com/faultline-go/faultline/plugins/proxy/relay"
	"github.com/faultline-go/faultline/plugins/proxy/web"
	"github.com/faultline-go/faultline/sdk"
)

// placement is a fault as a proxy takes it: one on its connections or one on HTTP
// requests.
type placement struct {
	stream  *relay.Fault
	web     *web.Fault
	refuses bool // new connections: whoever tries one can see it
}

// fits says why a listener cannot have the fault; nil when it can.
func (f placement) fits(l listener) error {
	if f.web != nil && l.Protocol != protocolHTTP {
		return fmt.Errorf("the listener at %s passes bytes and does not look at requests: give it protocol = %q", l.Listen, protocolHTTP)
	}
	return nil
}

// add makes the fault active.
func (f placement) add(p *proxy, id string) error {
	if f.web != nil {
		return p.web.Add(id, *f.web)
	}
	return p.relay.Add(id, *f.stream)
}

// remove ends a fault, wherever it is; false when there is none.
func (p *proxy) remove(id string) (bool, error) {
	if p.web != nil && p.web.Remove(id) {
		return true, nil
	}
	return p.relay.Remove(id)
}

// has says whether a fault is active.
func (p *proxy) has(id string) bool {
	_, stream := p.relay.Seen(id)
	if stream || p.web == nil {
		return stream
	}
	_, request := p.web.Seen(id)
	return request
}

// effect says what a fault has done so far.
func (f placement) effect(p *proxy, id string) sdk.Effect {
	if f.web != nil {
		s, ok := p.web.Seen(id)
		if !ok {
			return gone(p)
		}
		e := sdk.Effect{
			Bites:    s.Acted > 0,
			Detail:   fmt.Sprintf("acted on %d of %d requests that match of %s", s.Hit, s.Requests, p.Listen),
			Measures: map[string]float64{"requests": float64(s.Requests), "requests_hit": float64(s.Hit)},
		}
		return withDelay(e, s.Typical)
	}
	s, ok := p.relay.Seen(id)
	if !ok {
		return gone(p)
	}
	if f.refuses {
		return refusal(p)
	}
	e := sdk.Effect{
		Bites:  s.Acted > 0,
		Detail: fmt.Sprintf("hit %d of %d connections of %s, acted %d times", s.Hit, s.Connections, p.Listen, s.Acted),
		Measures: map[string]float64{
			"connections": float64(s.Connections), "connections_hit": float64(s.Hit), "acted": float64(s.Acted),
		},
	}
	if s.Bytes > 0 {
		e.Measures["bytes"] = float64(s.Bytes)
	}
	return withDelay(e, s.Typical)
}

func gone(p *proxy) sdk.Effect {
	return sdk.Effect{Detail: "the fault is not in the proxy of " + p.Listen}
}

func withDelay(e sdk.Effect, d time.Duration) sdk.Effect {
	if d > 0 {
		e.Measures["delay_p50_s"] = d.Seconds()
		e.Detail += fmt.Sprintf(", held back for %s at the median", d.Round(time.Microsecond))
	}
	return e
}

// refusal tries a connection, or counts those that were led to the proxy.
func refusal(p *proxy) sdk.Effect {
	if p.redirect != nil {
		n, err := p.redirect.Led()
		if err != nil {
			return sdk.Effect{Detail: err.Error()}
		}
		return sdk.Effect{
			Bites: n > 0, Detail: fmt.Sprintf("%d connections of %s were refused", n, p.Listen),
			Measures: map[string]float64{"connections": float64(n)},
		}
	}
	c, err := net.DialTimeout("tcp", p.relay.Addr().String(), time.Second)
	if err == nil {
		c.Close()
		return sdk.Effect{Detail: "a connection to " + p.Listen + " is accepted"}
	}
	return sdk.Effect{Bites: true, Detail: fmt.Sprintf("a connection to %s fails: %v", p.Listen, err)}
}
