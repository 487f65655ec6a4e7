//go:build linux

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/plugins/proxy/redirect"
	"github.com/faultline-go/faultline/plugins/proxy/relay"
	"github.com/faultline-go/faultline/plugins/proxy/toxiproxy"
	"github.com/faultline-go/faultline/plugins/proxy/web"
	"github.com/faultline-go/faultline/sdk"
)

const (
	protocolTCP  = "tcp"
	protocolHTTP = "http"
)

// listener says where a proxy is: at an address, before a server.
type listener struct {
	Name     string `json:"name"`
	Listen   string `json:"listen"`
	Upstream string `json:"upstream"`
	Protocol string `json:"protocol"`
}

// check says what is wrong with it.
func (l listener) check() error {
	for _, a := range []struct{ what, address string }{{"listen", l.Listen}, {"upstream", l.Upstream}} {
		host, port, err := net.SplitHostPort(a.address)
		if err != nil || port == "" || port == "0" || host == "" {
			return fmt.Errorf("listener %s: %s = %q is no address: write host:port", l.Name, a.what, a.address)
		}
	}
	if l.Listen == l.Upstream {
		return fmt.Errorf("listener %s: it would pass everything on to itself, %s", l.Name, l.Listen)
	}
	return nil
}

// proxy is an open listener.
type proxy struct {
	listener
	relay *relay.Proxy
	web   *web.Layer // nil: it does not look at requests
	// redirect leads connections to it; nil: clients come by themselves
	redirect *redirect.Redirect
}

// open starts a proxy.
func (l listener) open(ctx context.Context) (*proxy, error) {
	at, err := relay.Listen(ctx, l.Listen)
	if err != nil {
		return nil, fmt.Errorf("listener %s: %w", l.Name, err)
	}
	return l.serve(at, relay.To(l.Upstream)), nil
}

// serve starts a proxy on an open socket.
func (l listener) serve(at *net.TCPListener, server relay.Dial) *proxy {
	p := &proxy{listener: l}
	if l.Protocol != protocolHTTP {
		p.relay = relay.Start(at, server)
		return p
	}
	p.web = web.Start()
	p.relay = relay.Start(at, func(_ context.Context, client *net.TCPConn) (relay.Stream, error) {
		return p.toWeb(func(ctx context.Context) (net.Conn, error) { return server(ctx, client) })
	})
	return p
}

// toWeb connects a client to the layer that knows HTTP. Between the two is a pair of
// sockets, so that faults on connections work before it as they do without.
func (p *proxy) toWeb(server web.Dial) (relay.Stream, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("connect to the HTTP layer: %w", err)
	}
	ours, err := connOf(fds[0])
	theirs, other := connOf(fds[1])
	if err = errors.Join(err, other); err != nil {
		return nil, fmt.Errorf("connect to the HTTP layer: %w", err)
	}
	p.web.Serve(theirs, server)
	return ours, nil
}

func (p *proxy) close() error {
	err := p.relay.Close()
	if p.web != nil {
		err = errors.Join(err, p.web.Close())
	}
	if p.redirect != nil {
		err = errors.Join(err, p.redirect.Close())
	}
	return err
}

// proxies are the proxies of this process.
type proxies struct {
	mu       sync.Mutex
	inRun    bool
	declared []listener        // in the settings and by targets, in this order
	open     map[string]*proxy // by undo.key
	owner    *owner            // made when it is needed first
	control  *control
	api      *toxiproxy.API // nil: not asked for, or its address is taken
	apiAt    string
}

func newProxies() *proxies { return &proxies{open: map[string]*proxy{}} }

// settings are the arguments of the `plugin` block.
type settings struct {
	ToxiproxyAPI string          `hcl:"toxiproxy_api,optional" doc:"Address, host:port, at which clients of Toxiproxy 2 can make proxies and toxics of their own for the length of the run. Who can reach it can break things: leave it on 127.0.0.1. Default: none."`
	Listeners    []listenerBlock `hcl:"listener,block" doc:"A proxy that is open for the whole run."`
}

type listenerBlock struct {
	Name     string `hcl:"name" example:"db" doc:"What a target calls it."`
	Listen   string `hcl:"listen" example:"127.0.0.1:15432" doc:"Address at which clients connect, host:port."`
	Upstream string `hcl:"upstream" example:"127.0.0.1:5432" doc:"Address of the server, host:port."`
	Protocol string `hcl:"protocol,optional" default:"tcp" enum:"tcp|http" doc:"With http, requests are understood and proxy_http_… faults are possible; tcp passes bytes by the kernel."`
}

// rebind is how long an address may still be held by a plugin that is about to end.
const rebind = time.Second

// configure takes the scenario's settings. For a run it opens the listeners; one that
// cannot be opened is reported when it is needed, because a plugin that is only to
// revert needs none.
func (p *proxies) configure(ctx context.Context, s settings) error {
	var all []listener
	for _, b := range s.Listeners {
		l := listener(b)
		if err := l.check(); err != nil {
			return err
		}
		if slices.ContainsFunc(all, func(o listener) bool { return o.Name == l.Name || o.Listen == l.Listen }) {
			return fmt.Errorf("listener %s: there is another one with its name or address", l.Name)
		}
		all = append(all, l)
	}
	if s.ToxiproxyAPI != "" {
		if _, _, err := net.SplitHostPort(s.ToxiproxyAPI); err != nil {
			return fmt.Errorf("toxiproxy_api = %q is no address: write host:port", s.ToxiproxyAPI)
		}
	}
	p.mu.Lock()
	p.inRun, p.declared = sdk.Run(ctx) != "", all
	inRun := p.inRun
	p.mu.Unlock()
	if !inRun {
		return nil
	}
	for end := time.Now().Add(rebind); ; {
		err := p.ensureAPI(ctx, s.ToxiproxyAPI)
		busy := errors.Is(err, syscall.EADDRINUSE)
		if err != nil && (!busy || time.Now().After(end)) {
			slog.Warn(err.Error()) // what is to be reverted is none of its proxies
			busy = false
		}
		for _, l := range all {
			_, err := p.ensure(ctx, l)
			busy = busy || errors.Is(err, syscall.EADDRINUSE)
		}
		if !busy || time.Now().After(end) {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(rebind / 20):
		}
	}
}

// ensure returns the proxy of a listener, and opens it in a run if need be. Outside a
// run (while somebody plans) it opens nothing and returns nil.
func (p *proxies) ensure(ctx context.Context, l listener) (*proxy, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if have := p.open[l.Listen]; have != nil {
		if have.Upstream != l.Upstream || have.Protocol != l.Protocol {
			return nil, fmt.Errorf("listener %s: at %s there is one already, before %s with protocol %s", l.Name, l.Listen, have.Upstream, have.Protocol)
		}
		return have, nil
	}
	if !p.inRun {
		return nil, nil
	}
	made, err := l.open(ctx)
	if err != nil {
		return nil, err
	}
	p.open[l.Listen] = made
	return made, nil
}

// ensureAPI serves clients of Toxiproxy at an address, or nowhere.
func (p *proxies) ensureAPI(ctx context.Context, address string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.api != nil {
		if p.apiAt == address {
			return nil
		}
		_ = p.api.Close() // its listener is closed in any case
		p.api = nil
	}
	if address == "" {
		return nil
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("serve clients of Toxiproxy: %w", err)
	}
	p.api, p.apiAt = toxiproxy.Start(l), address
	return nil
}

// find returns an open proxy by its key.
func (p *proxies) find(key string) *proxy {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open[key]
}

// declare notes a listener that a target asks for; the same one again is no news.
func (p *proxies) declare(l listener) (listener, error) {
	if err := l.check(); err != nil {
		return l, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, have := range p.declared {
		if have.Listen == l.Listen {
			if have.Upstream != l.Upstream || l.Protocol != have.Protocol {
				return l, fmt.Errorf("listener %s at %s is declared before %s with protocol %s", have.Name, have.Listen, have.Upstream, have.Protocol)
			}
			return have, nil
		}
	}
	p.declared = append(p.declared, l)
	return l, nil
}

// all lists what is declared.
func (p *proxies) all() []listener {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.SortedFunc(slices.Values(p.declared), func(a, b listener) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Listen, b.Listen))
	})
}

// closeListener closes one proxy, if it is open.
func (p *proxies) closeListener(listen string) error {
	p.mu.Lock()
	have := p.open[listen]
	delete(p.open, listen)
	p.mu.Unlock()
	if have == nil {
		return nil
	}
	return have.close()
}

// close ends everything.
func (p *proxies) close() error {
	p.mu.Lock()
	open, control, api := p.open, p.control, p.api
	p.open, p.control, p.owner, p.api = map[string]*proxy{}, nil, nil, nil
	p.mu.Unlock()
	var failed []error
	for _, x := range open {
		failed = append(failed, x.close())
	}
	if control != nil {
		failed = append(failed, control.close())
	}
	if api != nil {
		failed = append(failed, api.Close())
	}
	return errors.Join(failed...)
}
