package selftest

import (
	"fmt"
	"net"
	"sync"
)

// heart is what the game days measure: a port that is always open.
type heart struct {
	listener net.Listener
	serving  sync.WaitGroup
}

func startHeart() (*heart, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open a port: %w", err)
	}
	h := &heart{listener: l}
	h.serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			c.Close()
		}
	})
	return h, nil
}

func (h *heart) address() string { return h.listener.Addr().String() }

func (h *heart) close() { h.listener.Close(); h.serving.Wait() }
