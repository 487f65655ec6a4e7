//go:build linux

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
)

const listenerKind = "proxy_listener"

// match is the match block of a proxy_listener target.
type match struct {
	Name     string `hcl:"name,optional" example:"db" doc:"Name of listeners of the plugin block; * and ? stand for any characters."`
	Listen   string `hcl:"listen,optional" doc:"Address at which clients connect, host:port. With upstream, the listener need not be declared in the plugin block."`
	Upstream string `hcl:"upstream,optional" doc:"Address of the server, host:port."`
	Protocol string `hcl:"protocol,optional" enum:"tcp|http" doc:"Of a listener that is declared here: with http, requests are understood and proxy_http_… faults are possible. Default: tcp."`
}

func listeners(p *proxies) sdk.Target[match] {
	return sdk.Target[match]{
		Type:         listenerKind,
		Capabilities: []schema.Capability{schema.CapTraffic},
		Doc: "Proxies of this plugin, as the plugin block declares them, or one that is declared here by listen and upstream. " +
			"They are opened when a run begins to plan, before anything is measured, and closed when the run ends: " +
			"clients have to connect to them instead of to the server. When the plugin dies, connections through it break and its addresses are closed, until it is started anew.",
		Interfaces: []string{listenerKind},
		Attributes: []schema.Attribute{
			{Name: "name", Type: "string", Doc: "name in the plugin block; the address for one that is declared by a target"},
			{Name: "listen", Type: "string", Doc: "address at which clients connect"},
			{Name: "upstream", Type: "string", Doc: "address of the server"},
			{Name: "protocol", Type: "string", Doc: "tcp or http"},
		},
		Discover: p.discover,
	}
}

func (p *proxies) discover(ctx context.Context, m match) ([]sdk.Candidate, error) {
	if _, err := path.Match(m.Name, ""); err != nil {
		return nil, fmt.Errorf("name = %q: %w", m.Name, err)
	}
	switch {
	case m.Listen != "" && m.Upstream != "" && m.Name == "":
		if _, err := p.declare(listener{Name: m.Listen, Listen: m.Listen, Upstream: m.Upstream, Protocol: cmp.Or(m.Protocol, protocolTCP)}); err != nil {
			return nil, err
		}
	case len(p.all()) == 0:
		return nil, errors.New("no listener is declared: give listen and upstream here, or listener blocks in the plugin block")
	}
	var out []sdk.Candidate
	for _, l := range p.all() {
		if ok, _ := path.Match(m.Name, l.Name); m.Name != "" && !ok ||
			m.Listen != "" && m.Listen != l.Listen || m.Upstream != "" && m.Upstream != l.Upstream || m.Protocol != "" && m.Protocol != l.Protocol {
			continue
		}
		if _, err := p.ensure(ctx, l); err != nil {
			return nil, err
		}
		out = append(out, l.candidate())
	}
	return out, nil
}

func (l listener) candidate() sdk.Candidate {
	return sdk.Candidate{
		ID: "proxy:" + l.Listen, Name: l.Name, Incarnation: l.Listen + " before " + l.Upstream,
		Attributes: map[string]any{"name": l.Name, "listen": l.Listen, "upstream": l.Upstream, "protocol": l.Protocol},
	}
}

// listenerOf reads a candidate.
func listenerOf(c sdk.Candidate) (listener, error) {
	text := func(name string) string { s, _ := c.Attributes[name].(string); return s }
	l := listener{
		Name: cmp.Or(text("name"), c.Name), Listen: text("listen"), Upstream: text("upstream"),
		Protocol: cmp.Or(text("protocol"), protocolTCP),
	}
	return l, l.check()
}
