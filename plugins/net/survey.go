//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/faultline-go/faultline/plugins/net/impair"
	"github.com/faultline-go/faultline/sdk"
)

// ground is what Prepare sees of a place: it looks, and touches nothing.
type ground struct {
	can     impair.Abilities
	resolve resolver
	servers func() ([]netip.AddrPort, error) // the target's name servers
	// devices finds the interfaces that a fault works on; named is the one of the
	// scenario, if it gives one.
	devices func(named string, s impair.Spec) ([]impair.Device, error)
}

func survey(_ context.Context, at place) (ground, error) {
	can, err := impair.Able()
	if err != nil {
		return ground{}, err
	}
	return ground{can: can, resolve: at.lookup, servers: at.servers, devices: func(named string, s impair.Spec) (out []impair.Device, err error) {
		n, err := at.alive()
		if err != nil {
			return nil, err
		}
		defer n.Close()
		err = n.Do(func() error { out, err = devices(named, s); return err })
		return out, err
	}}, nil
}

// devices finds the interfaces of the caller's namespace that a fault works on.
func devices(named string, s impair.Spec) ([]impair.Device, error) {
	names, err := carriers()
	if named != "" {
		names, err = []string{named}, nil
	}
	if err != nil {
		return nil, err
	}
	if named == "" && !s.Action.Queued() {
		return nil, nil // the rules are for all of them
	}
	var out []impair.Device
	for _, name := range sorted(names) {
		var d impair.Device
		if s.Action.Queued() && s.Match.Direction != impair.In {
			d, err = impair.LookAt(name)
		} else {
			d, err = impair.Device{Name: name}, impair.Carries(name)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	if named != "" && s.Match.Direction != impair.In {
		return out, carriesAll(named, s.Match.To)
	}
	return out, nil
}

// carriesAll refuses an interface that packets to the given peers do not take.
func carriesAll(device string, to []netip.Prefix) error {
	for _, p := range to {
		routes, err := netlink.RouteGet(p.Addr().AsSlice())
		if err != nil || len(routes) == 0 {
			return fmt.Errorf("to = %s: the target has no route there: %w", p, errors.Join(err))
		}
		link, err := netlink.LinkByIndex(routes[0].LinkIndex)
		if err != nil {
			return fmt.Errorf("to = %s: %w", p, err)
		}
		if link.Attrs().Name != device {
			return fmt.Errorf("interface %s does not carry the traffic to %s: it takes %s", device, p, link.Attrs().Name)
		}
	}
	return nil
}

// keeper holds faults in places of one sort.
type keeper interface {
	in(ctx context.Context, l sdk.Lease, u undo) error
	look(ctx context.Context, u undo) (impair.State, error)
	out(ctx context.Context, u undo) (changed bool, err error)
	renew(ctx context.Context, u undo, ttl time.Duration) error
}
