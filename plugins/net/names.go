//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// containerPrefix begins a peer that is another container, by its name or id.
const containerPrefix = "container:"

// lookup finds the addresses of a host as the target knows it: by the files that the
// target sees, and the name servers that they name, asked from within its namespace.
func (p place) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if name, ok := strings.CutPrefix(host, containerPrefix); ok {
		return p.Container.addressesOf(ctx, name)
	}
	if found := hostsFile(p.file("hosts"), host); len(found) > 0 {
		return found, nil
	}
	servers := nameServers(p.file("resolv.conf"))
	if len(servers) == 0 {
		return nil, fmt.Errorf("%s: the target has no name servers: give addresses", host)
	}
	asked := 0
	r := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (c net.Conn, err error) {
		server := servers[asked%len(servers)]
		asked++
		n, err := p.alive()
		if err != nil {
			return nil, err
		}
		defer n.Close()
		err = n.Do(func() (err error) {
			c, err = new(net.Dialer).DialContext(ctx, network, netip.AddrPortFrom(server, 53).String())
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
func (p place) servers() ([]netip.AddrPort, error) {
	file := p.file("resolv.conf")
	var out []netip.AddrPort
	for _, a := range nameServers(file) {
		out = append(out, netip.AddrPortFrom(a, 53))
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s has no name servers in its /etc/resolv.conf: it asks nobody who could lie", p.Name)
	}
	return out, nil
}

// hostsFile reads hosts(5).
func hostsFile(file, host string) []netip.Addr {
	var out []netip.Addr
	for _, words := range lines(file) {
		if a, err := netip.ParseAddr(words[0]); err == nil && slices.ContainsFunc(words[1:], func(w string) bool { return strings.EqualFold(w, host) }) {
			out = append(out, a)
		}
	}
	return out
}

// nameServers reads resolv.conf(5).
func nameServers(file string) []netip.Addr {
	var out []netip.Addr
	for _, words := range lines(file) {
		if words[0] == "nameserver" && len(words) > 1 {
			if a, err := netip.ParseAddr(words[1]); err == nil {
				out = append(out, a)
			}
		}
	}
	return out
}

// lines are the words of each line of a file, without comments; none of a file that
// cannot be read.
func lines(file string) (out [][]string) {
	f, err := os.Open(file)
	if err != nil {
		return nil
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		text, _, _ := strings.Cut(s.Text(), "#")
		if words := strings.Fields(text); len(words) > 0 {
			out = append(out, words)
		}
	}
	return out
}
