package run

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/faultline-go/faultline/sdk/wire"
)

// crew are the plugins of a run. Its methods may be called by any goroutine; living
// takes as long as a plugin needs to start, so that the owner does not call it.
type crew struct {
	restart func(ctx context.Context, name string) (Plugin, error)
	hung    func(name string)  // a plugin is about to be killed because it hangs
	members map[string]*member // the map itself never changes

	debugged map[string]bool // are never taken for hung
}

type member struct {
	starting chan struct{} // holds one token: one start at a time

	mu     sync.Mutex
	plugin Plugin
}

func newCrew(plugins map[string]Plugin, restart func(context.Context, string) (Plugin, error), debugged map[string]bool) *crew {
	c := &crew{restart: restart, debugged: debugged, members: map[string]*member{}}
	for name, p := range plugins {
		c.members[name] = &member{starting: make(chan struct{}, 1), plugin: p}
	}
	return c
}

// names are those of all plugins, sorted.
func (c *crew) names() []string { return slices.Sorted(maps.Keys(c.members)) }

// alive returns a plugin that runs, and starts none.
func (c *crew) alive(name string) (Plugin, error) {
	m := c.members[name]
	if m == nil {
		return nil, fmt.Errorf("plugin %s was not started", name)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case <-m.plugin.Done():
		return nil, fmt.Errorf("plugin %s: %w", name, wire.ErrGone)
	default:
		return m.plugin, nil
	}
}

// answerTime is how long a plugin may take to answer the simplest question before it
// counts as hung.
const answerTime = 2 * time.Second

// answers asks a plugin the simplest question there is. One that gives no answer is
// killed, as a whole process group: it is worth less than a dead one, which is started
// anew. An end of ctx says nothing about it.
func (c *crew) answers(ctx context.Context, name string, p Plugin) bool {
	if c.debugged[name] {
		return true
	}
	limit, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	_, err := p.Describe(limit)
	if err == nil || ctx.Err() != nil || limit.Err() == nil {
		return true // whatever is wrong with it, it does not hang
	}
	c.hung(name)
	p.Kill()
	return false
}

// attend kills a plugin that stops answering before stop is called.
func (c *crew) attend(ctx context.Context, name string, p Plugin) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(answerTime / 2)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-p.Done():
				return
			case <-tick.C:
			}
			if !c.answers(ctx, name, p) {
				return
			}
		}
	}()
	return func() { cancel(); <-ended }
}

// living returns a plugin that runs and answers, started anew where it has died or
// hangs. Several callers get the same one.
func (c *crew) living(ctx context.Context, name string) (Plugin, error) {
	p, err := c.alive(name)
	m := c.members[name]
	if m == nil || c.restart == nil || err == nil && c.answers(ctx, name, p) {
		return p, err
	}
	select {
	case m.starting <- struct{}{}:
		defer func() { <-m.starting }()
	case <-ctx.Done():
		return nil, fmt.Errorf("start plugin %s anew: %w", name, context.Cause(ctx))
	}
	if p, err = c.alive(name); err == nil {
		return p, nil
	}
	fresh, err := c.restart(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("start plugin %s anew: %w", name, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.plugin = fresh
	return fresh, nil
}
