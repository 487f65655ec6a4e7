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

func (q *queue) put(c net.Conn) {
	select {
	case q.conns <- &closingConn{Conn: c}:
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

// closingConn says when it is closed.
type closingConn struct {
	net.Conn
	mu   sync.Mutex
	then func()
	once sync.Once
}

func (c *closingConn) onClose(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.then = f
}

// CloseWrite is what an http.Server looks for when it ends a connection gently.
func (c *closingConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

func (c *closingConn) Close() error {
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
