//go:build linux

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// control lets other processes (a recovery, a plugin that was started anew) end the
// faults of this one: HTTP on an abstract socket, for the same user and root only.
type control struct {
	server *http.Server
	done   chan struct{}
}

const socketPrefix = "@faultline-proxy-"

// startControl serves the faults of p and returns the socket's name.
func startControl(p *proxies) (*control, string, error) {
	name := socketPrefix + rand.Text()
	l, err := net.Listen("unix", name)
	if err != nil {
		return nil, "", fmt.Errorf("listen for other processes: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{proxy}/{fault}", func(w http.ResponseWriter, r *http.Request) {
		if x := p.find(r.PathValue("proxy")); x == nil || !x.has(r.PathValue("fault")) {
			http.NotFound(w, r)
		}
	})
	mux.HandleFunc("DELETE /{proxy}/{fault}", func(w http.ResponseWriter, r *http.Request) {
		switch found, err := p.end(r.PathValue("proxy"), r.PathValue("fault")); {
		case err != nil:
			http.Error(w, err.Error(), http.StatusInternalServerError)
		case !found:
			http.NotFound(w, r)
		}
	})
	c := &control{server: &http.Server{Handler: mux, ErrorLog: log.New(io.Discard, "", 0)}, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		_ = c.server.Serve(ownUser{l}) // ends with close
	}()
	return c, name, nil
}

func (c *control) close() error {
	err := c.server.Close()
	<-c.done
	return err
}

// ownUser accepts only connections of the same user and root.
type ownUser struct{ net.Listener }

func (l ownUser) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil || peerIsOurs(c) {
			return c, err
		}
		c.Close()
	}
}

func peerIsOurs(c net.Conn) bool {
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		return false
	}
	ours := false
	_ = raw.Control(func(fd uintptr) { // fails only for a closed connection, which is not ours
		peer, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		ours = err == nil && (peer.Uid == 0 || int(peer.Uid) == os.Getuid())
	})
	return ours
}

// ask talks to the process that owns a fault: whether it is active (GET), or to end it
// (DELETE). found is false when it has no such fault.
func (o owner) ask(ctx context.Context, method, proxy, fault string) (found bool, err error) {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", o.Socket)
	}}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(ctx, method, "http://proxy/"+url.PathEscape(proxy)+"/"+fault, nil)
	if err != nil {
		return false, fmt.Errorf("ask %s: %w", o, err)
	}
	answer, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		return false, fmt.Errorf("ask %s for the fault: %w", o, err)
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusOK:
		return true, nil
	case http.StatusNotFound:
		return false, nil
	}
	text, _ := io.ReadAll(io.LimitReader(answer.Body, 1000))
	return false, errors.New(strings.TrimSpace(string(text)))
}
