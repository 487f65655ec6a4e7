package recover

import (
	"context"
	"sync"
	"time"
)

const closeTimeout = 10 * time.Second

// crew are the plugins of a recovery, each started when it is first needed. Its
// methods may be called by several goroutines.
type crew struct {
	start func(name string) (Plugin, error)

	mu      sync.Mutex
	members map[string]func() (Plugin, error)
	running []Plugin
}

func newCrew(start func(string) (Plugin, error)) *crew {
	return &crew{start: start, members: map[string]func() (Plugin, error){}}
}

// plugin returns a plugin that runs. One that cannot be started is not tried again.
func (c *crew) plugin(name string) (Plugin, error) {
	c.mu.Lock()
	member := c.members[name]
	if member == nil {
		member = sync.OnceValues(func() (Plugin, error) {
			p, err := c.start(name)
			if err == nil {
				c.mu.Lock()
				defer c.mu.Unlock()
				c.running = append(c.running, p)
			}
			return p, err
		})
		c.members[name] = member
	}
	c.mu.Unlock()
	return member()
}

// close ends the plugins. They have put back all they could: an end that must be
// forced is no news.
func (c *crew) close(ctx context.Context) {
	for _, p := range c.running {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		_ = p.Close(ctx)
		cancel()
	}
}
