//go:build linux

package main

import (
	"context"
	"time"

	"github.com/faultline-go/faultline/plugins/net/impair"
	"github.com/faultline-go/faultline/sdk"
)

// keeperOf says who holds a fault.
func keeperOf(u undo) keeper {
	if u.Place.Container != nil && u.Place.Container.Helper {
		return away
	}
	if u.Late != nil || u.Lie != nil {
		return ours
	}
	return direct{}
}

// direct enters the target's namespace by itself. What it puts in is held by nobody but
// the kernel.
type direct struct{}

func (direct) in(_ context.Context, l sdk.Lease, u undo) error {
	n, err := u.Place.alive()
	if err != nil {
		return err
	}
	return within(n, func(s *impair.Site) error { return s.In(u.Spec, l.TTL) })
}

func (direct) renew(_ context.Context, u undo, ttl time.Duration) error {
	n, err := u.Place.remains()
	if err != nil {
		return err
	}
	return within(n, func(s *impair.Site) error { return s.Renew(u.Spec, ttl) })
}

func (direct) look(_ context.Context, u undo) (is impair.State, err error) {
	n, err := u.Place.remains()
	if err != nil {
		return is, err
	}
	err = within(n, func(s *impair.Site) (err error) { is, err = s.Look(u.Spec); return err })
	return is, err
}

func (direct) out(_ context.Context, u undo) (changed bool, err error) {
	n, err := u.Place.remains()
	if err != nil {
		return false, err
	}
	err = within(n, func(s *impair.Site) (err error) {
		if changed, err = s.Out(u.Spec); err != nil {
			return err
		}
		return s.Gone(u.Spec)
	})
	return changed, err
}
