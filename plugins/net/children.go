//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/faultline-go/faultline/plugins/net/hold"
	"github.com/faultline-go/faultline/plugins/net/impair"
	"github.com/faultline-go/faultline/sdk"
)

// children keep the faults that need a living program: one child a fault, whose end is the
// fault's end. Only the process that started a child can talk to it; every other one, after
// a crash say, ends it.
type children struct {
	mu  sync.Mutex
	all map[string]*child // by mark
}

// child is one of them, for one goroutine at a time.
type child struct {
	mu   sync.Mutex
	link *hold.Link
}

// ours are the children of this process.
var ours = &children{all: map[string]*child{}}

func (c *children) of(mark string) *child {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all[mark]
}

func (c *child) ask(ctx context.Context, o hold.Order) (hold.Answer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.link.Ask(ctx, o)
}

func (c *children) in(ctx context.Context, l sdk.Lease, u undo) error {
	n, err := u.Place.alive()
	if err != nil {
		return err
	}
	defer n.Close()
	link, err := hold.Start(n, u.Spec.Mark)
	if err != nil {
		return err
	}
	one := &child{link: link}
	c.mu.Lock()
	c.all[u.Spec.Mark] = one
	c.mu.Unlock()
	_, err = one.ask(ctx, u.order("in", l.TTL))
	return err
}

func (c *children) renew(ctx context.Context, u undo, ttl time.Duration) error {
	one := c.of(u.Spec.Mark)
	if one == nil {
		return errors.New("the program that keeps the fault is not ours")
	}
	_, err := one.ask(ctx, u.order("renew", ttl))
	return err
}

func (c *children) look(ctx context.Context, u undo) (impair.State, error) {
	one := c.of(u.Spec.Mark)
	if one == nil {
		return direct{}.look(ctx, u)
	}
	a, err := one.ask(ctx, u.order("look", 0))
	if err != nil {
		return direct{}.look(ctx, u) // it is gone, and the kernel says what is left
	}
	return a.State, nil
}

func (c *children) out(ctx context.Context, u undo) (changed bool, err error) {
	if one := c.of(u.Spec.Mark); one != nil {
		one.mu.Lock()
		err = one.link.Close() // it removes what it keeps, and ends
		one.mu.Unlock()
		if err != nil {
			return false, err
		}
		c.mu.Lock()
		delete(c.all, u.Spec.Mark)
		c.mu.Unlock()
		changed = true
	}
	ended, err := hold.End(ctx, u.Spec.Mark)
	if err != nil {
		return changed, err
	}
	left, err := direct{}.out(ctx, u)
	if errors.Is(err, sdk.ErrGone) && (changed || ended) {
		err = nil // the namespace went with the last process in it
	}
	if err != nil {
		return changed, fmt.Errorf("after the program that kept the fault has ended: %w", err)
	}
	return changed || ended || left, nil
}
