//go:build linux

package main

import (
	"context"
	"net/netip"
	"time"

	"github.com/faultline-go/faultline/plugins/net/impair"
	"github.com/faultline-go/faultline/sdk"
)

// ground is what Prepare sees of a place: it looks, and touches nothing.
type ground struct {
	can     impair.Abilities
	resolve resolver
	servers func(context.Context) ([]netip.AddrPort, error) // the target's name servers
	// devices finds the interfaces that a fault works on; named is the one of the
	// scenario, if it gives one.
	devices func(ctx context.Context, named string, s impair.Spec) ([]impair.Device, error)
	end     func() // lets go of whatever was needed to look
}

func survey(ctx context.Context, at place) (ground, error) {
	if at.Container != nil && at.Container.Helper {
		return surveyAway(ctx, at)
	}
	can, err := impair.Able()
	if err != nil {
		return ground{}, err
	}
	return ground{can: can, resolve: at.lookup, servers: at.servers, end: func() {}, devices: func(_ context.Context, named string, s impair.Spec) (out []impair.Device, err error) {
		n, err := at.alive()
		if err != nil {
			return nil, err
		}
		defer n.Close()
		err = n.Do(func() error { out, err = impair.Choose(named, s); return err })
		return out, err
	}}, nil
}

// keeper holds faults in places of one sort.
type keeper interface {
	in(ctx context.Context, l sdk.Lease, u undo) error
	look(ctx context.Context, u undo) (impair.State, error)
	out(ctx context.Context, u undo) (changed bool, err error)
	renew(ctx context.Context, u undo, ttl time.Duration) error
}
