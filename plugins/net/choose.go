//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/faultline-go/faultline/plugins/net/impair"
	"github.com/faultline-go/faultline/sdk"
)

// choice says which packets a fault is about: the arguments that all faults share.
type choice struct {
	To        []string `hcl:"to,optional" doc:"Peers to which packets go: addresses, networks such as 10.0.0.0/8, host names as the target knows them, or container:NAME. Without direction, only what leaves is meant."`
	From      []string `hcl:"from,optional" doc:"Peers from which packets come, written as in to. Without direction, only what arrives is meant."`
	Ports     []string `hcl:"ports,optional" example:"[\"5432\"]" doc:"Ports or ranges of ports, \"5432\" or \"8000-8100\", of TCP and UDP."`
	PortsOf   string   `hcl:"ports_of,optional" enum:"either|target|peer" default:"either" doc:"Whose ports: of the target, of the peer, or of either."`
	Protocol  string   `hcl:"protocol,optional" enum:"tcp|udp|icmp" doc:"Only packets of this protocol."`
	Interface string   `hcl:"interface,optional" doc:"Only this interface of the target; default: all but the loopback."`
}

// way is a choice with the direction that the fault takes by itself.
func (c choice) way(wanted, usual string) impair.Direction {
	switch {
	case wanted != "":
		return impair.Direction(wanted)
	case len(c.To) > 0 && len(c.From) > 0:
		return impair.Both
	case len(c.To) > 0:
		return impair.Out
	case len(c.From) > 0:
		return impair.In
	}
	return impair.Direction(usual)
}

// check looks at a choice before anybody knows the target.
func (c choice) check() error {
	if _, err := portRanges(c.Ports); err != nil {
		return err
	}
	if len(c.Ports) > 0 && c.Protocol == "icmp" {
		return sdk.At("ports", errors.New("icmp has none"))
	}
	return errors.Join(sdk.At("to", checkPeers(c.To)), sdk.At("from", checkPeers(c.From)))
}

func checkPeers(all []string) error {
	var wrong []error
	for i, peer := range all {
		at := fmt.Sprintf("[%d]", i)
		if peer == "" || peer == containerPrefix || strings.ContainsAny(peer, " \t,") {
			wrong = append(wrong, sdk.At(at, fmt.Errorf("%q is no address, network or host name", peer)))
		} else if _, err := netip.ParsePrefix(peer); err != nil && strings.Contains(peer, "/") {
			wrong = append(wrong, sdk.At(at, fmt.Errorf("%q is no network: write it as 10.0.0.0/8", peer)))
		}
	}
	return errors.Join(wrong...)
}

func portRanges(all []string) ([]impair.Ports, error) {
	var out []impair.Ports
	for i, text := range all {
		first, last, isRange := strings.Cut(text, "-")
		if !isRange {
			last = first
		}
		from, err := strconv.ParseUint(strings.TrimSpace(first), 10, 16)
		to, err2 := strconv.ParseUint(strings.TrimSpace(last), 10, 16)
		if err != nil || err2 != nil || from == 0 || from > to {
			return nil, sdk.At(fmt.Sprintf("ports[%d]", i), fmt.Errorf("%q is no port and no range of ports: write \"5432\" or \"8000-8100\"", text))
		}
		out = append(out, impair.Ports{First: uint16(from), Last: uint16(to)})
	}
	return out, nil
}

// resolver finds the addresses of a host name, as the target knows it.
type resolver func(ctx context.Context, host string) ([]netip.Addr, error)

// match turns a choice into what the kernel can look at.
func (c choice) match(ctx context.Context, way impair.Direction, percent float64, resolve resolver) (impair.Match, error) {
	m := impair.Match{Direction: way, PortsOf: impair.PortsOf(c.PortsOf), Percent: percent}
	if c.Protocol != "" {
		m.Protocols = []string{c.Protocol}
	}
	var err error
	if m.Ports, err = portRanges(c.Ports); err != nil {
		return m, err
	}
	if m.To, err = peers(ctx, c.To, resolve); err != nil {
		return m, fmt.Errorf("to: %w", err)
	}
	if m.From, err = peers(ctx, c.From, resolve); err != nil {
		return m, fmt.Errorf("from: %w", err)
	}
	return m, nil
}

func peers(ctx context.Context, all []string, resolve resolver) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, text := range all {
		if p, err := netip.ParsePrefix(text); err == nil {
			out = append(out, p.Masked())
			continue
		}
		addresses := []netip.Addr{}
		if a, err := netip.ParseAddr(text); err == nil {
			addresses = append(addresses, a)
		} else if addresses, err = resolve(ctx, text); err != nil {
			return nil, err
		}
		for _, a := range addresses {
			a = a.Unmap().WithZone("")
			out = append(out, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	return out, nil
}

// wholePercent is a share of packets that may be left out.
type wholePercent struct {
	Percent float64 `hcl:"percent,optional" unit:"percent" default:"100" min:"0" max:"100" doc:"Share of the packets, at random."`
}

func (p wholePercent) check() error {
	if p.Percent == 0 || impair.Rounds(p.Percent) {
		return errors.New("percent: so small a share means no packet at all")
	}
	return nil
}
