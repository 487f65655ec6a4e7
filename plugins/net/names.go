//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"

	"github.com/faultline-go/faultline/plugins/net/hold"
)

// containerPrefix begins a peer that is another container, by its name or id.
const containerPrefix = "container:"

// lookup finds the addresses of a host as the target knows it: by the files that the
// target sees, and the name servers that they name, asked from within its namespace.
func (p place) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if found, ok, err := p.Container.named(ctx, host); ok {
		return found, err
	}
	if found := hold.Hosts(p.file("hosts"), host); len(found) > 0 {
		return found, nil
	}
	servers := hold.NameServers(p.file("resolv.conf"))
	if len(servers) == 0 {
		return nil, fmt.Errorf("%s: the target has no name servers: give addresses", host)
	}
	var asked atomic.Int64 // the resolver asks for several kinds of address at once
	r := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (c net.Conn, err error) {
		server := servers[int(asked.Add(1)-1)%len(servers)]
		n, err := p.alive()
		if err != nil {
			return nil, err
		}
		defer n.Close()
		err = n.Do(func() (err error) {
			c, err = new(net.Dialer).DialContext(ctx, network, netip.AddrPortFrom(server, dnsPort).String())
			return err
		})
		return c, err
	}}
	found, err := r.LookupNetIP(ctx, "ip", strings.TrimSuffix(host, ".")+".")
	if err != nil {
		var not *net.DNSError
		if errors.As(err, &not) && not.IsNotFound {
			return nil, fmt.Errorf("%s: the target's name servers do not know this host", host)
		}
		return nil, fmt.Errorf("find the addresses of %s: %w", host, err)
	}
	return found, nil
}

// servers are the name servers that the target asks.
func (p place) servers(context.Context) ([]netip.AddrPort, error) {
	return asServers(p.Name, hold.NameServers(p.file("resolv.conf")))
}

func asServers(target string, all []netip.Addr) ([]netip.AddrPort, error) {
	if len(all) == 0 {
		return nil, fmt.Errorf("%s has no name servers in its /etc/resolv.conf: it asks nobody who could lie", target)
	}
	var out []netip.AddrPort
	for _, a := range all {
		out = append(out, netip.AddrPortFrom(a, dnsPort))
	}
	return out, nil
}
