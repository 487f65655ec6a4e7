// Package web lets HTTP requests through a proxy go wrong: it stands between a
// client's connection and the server, speaks HTTP/1.1 and HTTP/2 without TLS (gRPC
// among it) on both sides, and delays, refuses or spoils what matches.
//
// What does not match passes as it came: the same version of HTTP, host, headers,
// trailers, upgrades and streams. Each client connection has a connection to the
// server of its own.
package web

import (
	"context"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"
)

// Dial makes a connection to the server.
type Dial func(ctx context.Context) (net.Conn, error)

// Layer serves clients' connections. Its methods may be called by several goroutines.
type Layer struct {
	server *http.Server
	queue  *queue
	done   chan struct{}

	mu     sync.Mutex
	faults []*active
}

// Start starts a layer. The caller has to call Close.
func Start() *Layer {
	l := &Layer{queue: newQueue(), done: make(chan struct{})}
	l.server = &http.Server{
		Handler:     http.HandlerFunc(l.serve),
		Protocols:   protocols(true, true),
		ConnContext: connected,
		ErrorLog:    log.New(io.Discard, "", 0), // a client that breaks off is nothing to report
	}
	go func() {
		defer close(l.done)
		_ = l.server.Serve(l.queue) // ends with Close
	}()
	return l
}

// Serve takes a client's connection over. The connections to the server that it needs
// are made by dial.
func (l *Layer) Serve(c net.Conn, dial Dial) { l.queue.put(&clientConn{Conn: c, dial: dial}) }

// Close ends the layer with all its connections.
func (l *Layer) Close() error {
	err := l.server.Close()
	<-l.done
	return err
}

func protocols(one, two bool) *http.Protocols {
	p := &http.Protocols{}
	p.SetHTTP1(one)
	p.SetUnencryptedHTTP2(two)
	return p
}

// link is what belongs to a client's connection: how its requests get to the server.
type link struct {
	one, two *httputil.ReverseProxy
}

type linkKey struct{}

// connected makes the way to the server for a client's connection. Its transports end
// with the connection.
func connected(ctx context.Context, c net.Conn) context.Context {
	client := c.(*clientConn)
	one, two := transport(protocols(true, false), client.dial), transport(protocols(false, true), client.dial)
	client.onClose(func() {
		one.CloseIdleConnections()
		two.CloseIdleConnections()
	})
	return context.WithValue(ctx, linkKey{}, &link{one: reverse(one), two: reverse(two)})
}

func transport(p *http.Protocols, dial Dial) *http.Transport {
	return &http.Transport{
		Protocols:          p,
		DisableCompression: true,             // whether to compress is the client's to say
		IdleConnTimeout:    90 * time.Second, // for one that became idle after its client had gone
		DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
	}
}

// reverse passes requests on as they are.
func reverse(t *http.Transport) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Transport: t,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: r.In.Host})
			r.Out.Host = r.In.Host
			for _, h := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
				if v, ok := r.In.Header[h]; ok {
					r.Out.Header[h] = v // Rewrite drops them
				}
			}
			if _, ok := r.Out.Header["User-Agent"]; !ok {
				r.Out.Header.Set("User-Agent", "") // or the transport names itself
			}
			r.Out.URL.RawQuery = r.In.URL.RawQuery
		},
		ModifyResponse: spoil,
		FlushInterval:  -1, // streams pass as they come
		ErrorLog:       log.New(io.Discard, "", 0),
		// The client sees what it would have seen: the connection breaks off.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
}

// serve is the way of one request.
func (l *Layer) serve(w http.ResponseWriter, r *http.Request) {
	// Go's server would add them where the real one sends none.
	w.Header()["Date"], w.Header()["Content-Type"] = nil, nil
	hits := l.strike(r)
	var spoils []*struck
	for _, h := range hits {
		switch e := h.Effect.(type) {
		case Delay:
			if !h.delay(r.Context(), e) {
				panic(http.ErrAbortHandler)
			}
		case Abort:
			h.did(0)
			e.answer(w, r)
			return
		case Body:
			spoils = append(spoils, h)
		}
	}
	if len(spoils) > 0 {
		r = r.WithContext(context.WithValue(r.Context(), spoilKey{}, spoils))
	}
	way := r.Context().Value(linkKey{}).(*link)
	if r.ProtoMajor == 2 {
		way.two.ServeHTTP(w, r)
	} else {
		way.one.ServeHTTP(w, r)
	}
}

// strike lets the faults look at a request, and returns those that hit it: delays
// first, as a request that waits may still be refused.
func (l *Layer) strike(r *http.Request) (hits []*struck) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, late := range []bool{false, true} {
		for _, a := range l.faults {
			if _, delay := a.Effect.(Delay); delay == late {
				continue
			}
			if !a.Match.fits(r) {
				continue
			}
			if h := a.strikes(); h != nil {
				hits = append(hits, h)
			}
		}
	}
	return hits
}

// Add makes a fault active under an id that is not taken.
func (l *Layer) Add(id string, f Fault) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.find(id) != nil {
		return fmt.Errorf("there is a fault %s already", id)
	}
	l.faults = append(l.faults, &active{Fault: f, id: id, ended: make(chan struct{})})
	return nil
}

// Remove ends a fault: requests that it holds back go on. It returns false when there
// is none of that id.
func (l *Layer) Remove(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, a := range l.faults {
		if a.id == id {
			close(a.ended)
			l.faults = append(l.faults[:i:i], l.faults[i+1:]...)
			return true
		}
	}
	return false
}

// Seen says what a fault has done; false when there is none of that id.
func (l *Layer) Seen(id string) (Seen, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a := l.find(id); a != nil {
		return a.report(), true
	}
	return Seen{}, false
}

func (l *Layer) find(id string) *active {
	for _, a := range l.faults {
		if a.id == id {
			return a
		}
	}
	return nil
}

// struck is a fault that hits one request.
type struck struct {
	*active
	rng *rand.Rand
}

// delay holds a request back; false when the client has gone meanwhile.
func (h *struck) delay(ctx context.Context, e Delay) bool {
	d := e.Delay
	if e.Jitter > 0 {
		d += time.Duration(h.rng.Int64N(2*int64(e.Jitter)+1)) - e.Jitter
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	at := time.Now()
	select {
	case <-timer.C:
	case <-h.ended:
	case <-ctx.Done():
		return false
	}
	h.did(time.Since(at))
	return true
}
