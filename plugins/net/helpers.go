//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/docker/docker/client"

	"github.com/faultline-go/faultline/plugins/net/helper"
	"github.com/faultline-go/faultline/plugins/net/hold"
	"github.com/faultline-go/faultline/plugins/net/impair"
	"github.com/faultline-go/faultline/sdk"
)

// helpers keep the faults of containers whose network we cannot enter by ourselves: one
// helper container a target, for as long as there is a fault. Only the process that
// started a helper can talk to it; every other one, after a crash say, removes it.
type helpers struct {
	mu  sync.Mutex
	all map[string]*beside // by container id
}

// beside is the helper of one container.
type beside struct {
	mu     sync.Mutex // one order at a time, and no end meanwhile
	link   *hold.Link // nil: it does not run
	client *client.Client
	faults map[string]bool // by mark
}

// away are the helpers of this process.
var away = &helpers{all: map[string]*beside{}}

func (h *helpers) of(c *container) *beside {
	h.mu.Lock()
	defer h.mu.Unlock()
	b := h.all[c.ID]
	if b == nil {
		b = &beside{faults: map[string]bool{}}
		h.all[c.ID] = b
	}
	return b
}

// start starts a helper beside the container, or alone for an empty id.
func (e engine) start(ctx context.Context, target string, l sdk.Lease) (*hold.Link, *client.Client, error) {
	c, err := e.dial()
	if err != nil {
		return nil, nil, err
	}
	x, err := helper.Start(ctx, c, target, l.Run, l.Fault)
	if err != nil {
		return nil, nil, errors.Join(err, c.Close())
	}
	return hold.NewLink(x.In, x.Out, x.End), c, nil
}

// still fails when the container is not the incarnation any more that Prepare saw.
func (c *container) still(ctx context.Context) error {
	seen, err := c.Engine.look(ctx, c.ID)
	if err != nil {
		return err
	}
	if !seen.State.Running || seen.State.StartedAt != c.StartedAt {
		return fmt.Errorf("container %.12s has ended, or was started anew: %w", c.ID, sdk.ErrGone)
	}
	return nil
}

func (h *helpers) in(ctx context.Context, l sdk.Lease, u undo) error {
	c := u.Place.Container
	if err := c.still(ctx); err != nil {
		return err
	}
	b := h.of(c)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.link == nil {
		var err error
		if b.link, b.client, err = c.Engine.start(ctx, c.ID, l); err != nil {
			return err
		}
	}
	b.faults[u.Spec.Mark] = true
	_, err := b.link.Ask(ctx, u.order("in", l.TTL))
	return err
}

// mine asks the helper of this process that keeps the fault; false when there is none.
func (h *helpers) mine(ctx context.Context, u undo, o hold.Order) (hold.Answer, bool, error) {
	b := h.of(u.Place.Container)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.link == nil || !b.faults[u.Spec.Mark] {
		return hold.Answer{}, false, nil
	}
	a, err := b.link.Ask(ctx, o)
	return a, true, err
}

func (h *helpers) renew(ctx context.Context, u undo, ttl time.Duration) error {
	_, ok, err := h.mine(ctx, u, u.order("renew", ttl))
	if !ok {
		return errors.New("the helper container that keeps the fault is not ours")
	}
	if err != nil {
		return errors.Join(err, u.Place.Container.still(ctx))
	}
	return nil
}

func (h *helpers) look(ctx context.Context, u undo) (impair.State, error) {
	if a, ok, err := h.mine(ctx, u, u.order("look", 0)); ok && err == nil {
		return a.State, nil
	}
	there, err := u.Place.Container.helpers(ctx)
	if err != nil {
		return impair.State{}, err
	}
	if err := u.Place.Container.still(ctx); err != nil {
		return impair.State{}, err
	}
	if len(there) == 0 && !u.Spec.Action.Queued() {
		return impair.State{}, nil // what it kept went with it
	}
	a, err := u.Place.Container.visit(ctx, u.order("look", 0))
	return a.State, err
}

// helpers lists the helpers beside the container, whoever has started them.
func (c *container) helpers(ctx context.Context) ([]string, error) {
	cli, err := c.Engine.dial()
	if err != nil {
		return nil, err
	}
	defer cli.Close()
	return helper.Of(ctx, cli, c.ID)
}

// visit starts a helper for one order.
func (c *container) visit(ctx context.Context, o hold.Order) (hold.Answer, error) {
	link, cli, err := c.Engine.start(ctx, c.ID, sdk.Lease{})
	if err != nil {
		return hold.Answer{}, err
	}
	defer cli.Close()
	a, err := link.Ask(ctx, o)
	return a, errors.Join(err, link.Close())
}

func (h *helpers) out(ctx context.Context, u undo) (changed bool, err error) {
	if done, err := h.letGo(ctx, u); done {
		return true, err
	}
	c := u.Place.Container
	cli, err := c.Engine.dial()
	if err != nil {
		return false, err
	}
	defer cli.Close()
	there, err := helper.Of(ctx, cli, c.ID)
	if err != nil {
		return false, err
	}
	for _, id := range there {
		if err := helper.Remove(ctx, cli, id); err != nil {
			return changed, err
		}
		changed = true
	}
	if err := c.still(ctx); err != nil {
		return changed, err
	}
	if !u.Spec.Action.Queued() {
		return changed, nil // its table belonged to the helper
	}
	a, err := c.visit(ctx, u.order("out", 0))
	return changed || a.Changed, err
}

// letGo has the helper of this process remove a fault, and ends it with the last one.
func (h *helpers) letGo(ctx context.Context, u undo) (done bool, err error) {
	b := h.of(u.Place.Container)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.link == nil || !b.faults[u.Spec.Mark] {
		return false, nil
	}
	_, err = b.link.Ask(ctx, u.order("out", 0))
	delete(b.faults, u.Spec.Mark)
	if err == nil && len(b.faults) > 0 {
		return true, nil
	}
	// With the last fault, and when it does not do what it is told.
	ended := errors.Join(b.link.Close(), b.client.Close())
	b.link, b.client, b.faults = nil, nil, map[string]bool{}
	if err != nil {
		return false, nil // the rest is for whoever has no helper
	}
	return true, ended
}

// abilities of engines that were asked already.
var abilities struct {
	sync.Mutex
	of map[engine]impair.Abilities
}

// able asks a helper of its own, in a network of its own, what the engine's kernel can.
func (e engine) able(ctx context.Context) (impair.Abilities, error) {
	abilities.Lock()
	defer abilities.Unlock()
	if can, ok := abilities.of[e]; ok {
		return can, nil
	}
	link, cli, err := e.start(ctx, "", sdk.Lease{})
	if err != nil {
		return impair.Abilities{}, err
	}
	defer cli.Close()
	a, err := link.Ask(ctx, hold.Order{Do: "able"})
	if err = errors.Join(err, link.Close()); err != nil {
		return a.Able, err
	}
	if abilities.of == nil {
		abilities.of = map[engine]impair.Abilities{}
	}
	abilities.of[e] = a.Able
	return a.Able, nil
}

// surveyAway looks at a container's network through a helper, which changes nothing.
func surveyAway(ctx context.Context, at place) (ground, error) {
	can, err := at.Container.Engine.able(ctx)
	if err != nil {
		return ground{}, err
	}
	link, cli, err := at.Container.Engine.start(ctx, at.Container.ID, sdk.Lease{})
	if err != nil {
		return ground{}, err
	}
	return ground{
		can: can,
		end: func() { _ = errors.Join(link.Close(), cli.Close()) },
		resolve: func(ctx context.Context, host string) ([]netip.Addr, error) {
			if found, ok, err := at.Container.named(ctx, host); ok {
				return found, err
			}
			a, err := link.Ask(ctx, hold.Order{Do: "resolve", Name: host})
			return a.Hosts, err
		},
		servers: func(ctx context.Context) ([]netip.AddrPort, error) {
			a, err := link.Ask(ctx, hold.Order{Do: "servers"})
			if err != nil {
				return nil, err
			}
			return asServers(at.Name, a.Hosts)
		},
		devices: func(ctx context.Context, named string, s impair.Spec) ([]impair.Device, error) {
			a, err := link.Ask(ctx, hold.Order{Do: "devices", Name: named, Spec: s})
			return a.Devices, err
		},
	}, nil
}
