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
	members map[string]*member
}

type member struct {
	started chan struct{} // closed when plugin or err is there
	plugin  Plugin
	err     error
}

func newCrew(start func(string) (Plugin, error)) *crew {
	return &crew{start: start, members: map[string]*member{}}
}

// plugin returns a plugin that runs. One that cannot be started is not tried again.
func (c *crew) plugin(name string) (Plugin, error) {
	c.mu.Lock()
	m, known := c.members[name]
	if !known {
		m = &member{started: make(chan struct{})}
		c.members[name] = m
	}
	c.mu.Unlock()
	if !known {
		m.plugin, m.err = c.start(name)
		close(m.started)
	}
	<-m.started
	return m.plugin, m.err
}

// close ends the plugins. They have put back all they could: an end that must be
// forced is no news.
func (c *crew) close(ctx context.Context) {
	for _, m := range c.members {
		if m.err != nil {
			continue
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		_ = m.plugin.Close(ctx)
		cancel()
	}
}
