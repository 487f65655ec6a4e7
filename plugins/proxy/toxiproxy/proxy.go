//go:build linux

package toxiproxy

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/faultline-go/faultline/plugins/proxy/relay"
)

// spec is what a client says of a proxy.
type spec struct {
	Name     string `json:"name"`
	Listen   string `json:"listen"`
	Upstream string `json:"upstream"`
	Enabled  bool   `json:"enabled"`
}

func (s spec) check() error {
	for _, field := range []struct{ name, value string }{{"name", s.Name}, {"upstream", s.Upstream}} {
		if field.value == "" {
			return bad("missing required field: %s", field.name)
		}
	}
	return nil
}

// proxy is a proxy as clients see it, with the one that does the work.
type proxy struct {
	spec
	Toxics []*toxic `json:"toxics"`

	relay *relay.Proxy
	added int // toxics so far, for their ids
}

// disabled is the id of the fault that makes a proxy a disabled one.
const disabled = "disabled"

func start(s spec) (*proxy, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	if s.Listen == "" {
		s.Listen = "localhost:0"
	}
	l, err := relay.Listen(context.Background(), s.Listen)
	if err != nil {
		return nil, fmt.Errorf("proxy %s: %w", s.Name, err)
	}
	p := &proxy{spec: s, Toxics: []*toxic{}, relay: relay.Start(l, relay.To(s.Upstream))}
	p.Listen, p.Enabled = l.Addr().String(), true
	return p, p.enable(s.Enabled)
}

func (p *proxy) close() error { return p.relay.Close() }

// enable enables or disables the proxy. A disabled one keeps its port, closes its
// connections and refuses new ones.
func (p *proxy) enable(on bool) error {
	if on == p.Enabled {
		return nil
	}
	var err error
	if on {
		_, err = p.relay.Remove(disabled)
	} else {
		err = p.relay.Add(disabled, relay.Fault{Effect: relay.Down{}, Direction: relay.Both, Percent: 100})
	}
	if err == nil {
		p.Enabled = on
	}
	return err
}

func (p *proxy) show(*http.Request) (any, error) { return p, nil }

// change updates a proxy; at another address or before another server it is a new one
// with the same toxics.
func (p *proxy) change(r *http.Request) (any, error) {
	in := p.spec
	if err := body(r, &in); err != nil {
		return nil, err
	}
	in.Name = p.Name
	if err := in.check(); err != nil {
		return nil, err
	}
	if in.Listen != p.Listen || in.Upstream != p.Upstream {
		if err := p.move(in); err != nil {
			return nil, err
		}
	}
	if err := p.enable(in.Enabled); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *proxy) move(to spec) error {
	if err := p.close(); err != nil {
		return err
	}
	fresh, err := start(to)
	if err != nil {
		old, again := start(p.spec) // as it was
		if again == nil {
			p.relay = old.relay
			_ = p.infect() // they were there before
		}
		return err
	}
	p.spec, p.relay = fresh.spec, fresh.relay
	return p.infect()
}

// infect gives a new relay the toxics.
func (p *proxy) infect() error {
	for _, t := range p.Toxics {
		if err := p.apply(t); err != nil {
			return err
		}
	}
	return nil
}

func (p *proxy) listToxics(*http.Request) (any, error) { return p.Toxics, nil }

func (p *proxy) index(name string) int {
	return slices.IndexFunc(p.Toxics, func(t *toxic) bool { return t.Name == name })
}

func (p *proxy) showToxic(r *http.Request) (any, error) {
	if i := p.index(r.PathValue("toxic")); i >= 0 {
		return p.Toxics[i], nil
	}
	return nil, errNoToxic
}

func (p *proxy) addToxic(r *http.Request) (any, error) {
	t := &toxic{Toxicity: 1}
	if err := body(r, t); err != nil {
		return nil, err
	}
	if err := t.complete(); err != nil {
		return nil, err
	}
	if p.index(t.Name) >= 0 {
		return nil, errToxicIs
	}
	if err := p.apply(t); err != nil {
		return nil, err
	}
	p.Toxics = append(p.Toxics, t)
	return t, nil
}

// changeToxic gives a toxic other attributes or another toxicity; what is not
// mentioned stays.
func (p *proxy) changeToxic(r *http.Request) (any, error) {
	i := p.index(r.PathValue("toxic"))
	if i < 0 {
		return nil, errNoToxic
	}
	old := p.Toxics[i]
	fresh := old.clone()
	if err := body(r, fresh); err != nil {
		return nil, err
	}
	fresh.Name, fresh.Type, fresh.Stream = old.Name, old.Type, old.Stream
	if err := fresh.complete(); err != nil {
		return nil, err
	}
	if err := p.apply(fresh); err != nil {
		return nil, err
	}
	p.Toxics[i] = fresh
	if _, err := p.relay.Remove(old.id); err != nil {
		return nil, err
	}
	return fresh, nil
}

func (p *proxy) removeToxic(r *http.Request) (any, error) {
	i := p.index(r.PathValue("toxic"))
	if i < 0 {
		return nil, errNoToxic
	}
	return nil, p.drop(i)
}

// drop removes the toxic with an index.
func (p *proxy) drop(i int) error {
	if _, err := p.relay.Remove(p.Toxics[i].id); err != nil {
		return err
	}
	p.Toxics = slices.Delete(p.Toxics, i, i+1)
	return nil
}

// apply makes a toxic active.
func (p *proxy) apply(t *toxic) error {
	f, err := t.fault()
	if err != nil {
		return err
	}
	p.added++
	t.id = fmt.Sprintf("toxic %d", p.added)
	return p.relay.Add(t.id, f)
}
