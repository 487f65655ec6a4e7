package web

import (
	"net"
	"sync"
)

// queue hands connections to an http.Server, as its listener.
type queue struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newQueue() *queue {
	return &queue{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (q *queue) put(c *clientConn) {
	select {
	case q.conns <- c:
	case <-q.closed:
		c.Close()
	}
}

func (q *queue) Accept() (net.Conn, error) {
	select {
	case c := <-q.conns:
		return c, nil
	case <-q.closed:
		return nil, net.ErrClosed
	}
}

func (q *queue) Close() error {
	q.once.Do(func() { close(q.closed) })
	return nil
}

func (q *queue) Addr() net.Addr { return &net.UnixAddr{Name: "queue", Net: "unix"} }

// clientConn is a client's connection: it knows the way to the server, and says when it
// is closed.
type clientConn struct {
	net.Conn
	dial Dial
	mu   sync.Mutex
	then func()
	once sync.Once
}

func (c *clientConn) onClose(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.then = f
}

// CloseWrite is what an http.Server looks for when it ends a connection gently.
func (c *clientConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

func (c *clientConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		c.mu.Lock()
		then := c.then
		c.mu.Unlock()
		if then != nil {
			then()
		}
	})
	return err
}
