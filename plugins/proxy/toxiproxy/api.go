//go:build linux

// Package toxiproxy serves the HTTP API of Toxiproxy 2.5, so that its clients, which
// exist for many languages, work unchanged. Behind it are proxies of package relay;
// they exist as long as the API does.
//
// It differs where Toxiproxy takes what cannot work: attributes that a toxic does not
// have, and values that make no sense, are refused.
package toxiproxy

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
)

// Version is the one of the API.
const Version = "2.5.0"

// API serves clients. Its methods may be called by several goroutines.
type API struct {
	server *http.Server
	done   chan struct{}

	mu      sync.Mutex
	proxies map[string]*proxy
}

// Start serves a listener. The caller has to call Close.
func Start(l net.Listener) *API {
	a := &API{done: make(chan struct{}), proxies: map[string]*proxy{}}
	a.server = &http.Server{Handler: a.handler(), ErrorLog: log.New(io.Discard, "", 0)}
	go func() {
		defer close(a.done)
		_ = a.server.Serve(l) // ends with Close
	}()
	return a
}

// Close ends the API and all its proxies.
func (a *API) Close() error {
	err := a.server.Close()
	<-a.done
	a.mu.Lock()
	defer a.mu.Unlock()
	for name, p := range a.proxies {
		err = errors.Join(err, p.close())
		delete(a.proxies, name)
	}
	return err
}

// failure is an error as clients get it.
type failure struct {
	Text   string `json:"error"`
	Status int    `json:"status"`
}

func (f *failure) Error() string { return f.Text }

func bad(format string, args ...any) error {
	return &failure{fmt.Sprintf(format, args...), http.StatusBadRequest}
}

var (
	errNoProxy  = &failure{"proxy not found", http.StatusNotFound}
	errNoToxic  = &failure{"toxic not found", http.StatusNotFound}
	errProxyIs  = &failure{"proxy already exists", http.StatusConflict}
	errToxicIs  = &failure{"toxic already exists", http.StatusConflict}
	errNoStream = bad("stream was invalid, can be either upstream or downstream")
)

// call answers a request: with a value, with nothing (nil), or with an error.
type call func(r *http.Request) (status int, answer any, err error)

func (a *API) handler() http.Handler {
	mux := http.NewServeMux()
	for pattern, f := range map[string]call{
		"GET /proxies":                           a.index,
		"POST /proxies":                          a.create,
		"POST /populate":                         a.populate,
		"POST /reset":                            a.reset,
		"GET /proxies/{proxy}":                   a.with((*proxy).show),
		"POST /proxies/{proxy}":                  a.with((*proxy).change),
		"DELETE /proxies/{proxy}":                a.remove,
		"GET /proxies/{proxy}/toxics":            a.with((*proxy).listToxics),
		"POST /proxies/{proxy}/toxics":           a.with((*proxy).addToxic),
		"GET /proxies/{proxy}/toxics/{toxic}":    a.with((*proxy).showToxic),
		"POST /proxies/{proxy}/toxics/{toxic}":   a.with((*proxy).changeToxic),
		"PATCH /proxies/{proxy}/toxics/{toxic}":  a.with((*proxy).changeToxic),
		"PATCH /proxies/{proxy}":                 a.with((*proxy).change),
		"DELETE /proxies/{proxy}/toxics/{toxic}": a.with((*proxy).removeToxic),
	} {
		mux.HandleFunc(pattern, a.serve(f))
	}
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain;charset=utf-8")
		_, _ = io.WriteString(w, Version) // the client may be gone
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A web page that somebody looks at must not break anything.
		if strings.HasPrefix(r.UserAgent(), "Mozilla/") || r.Header.Get("Origin") != "" {
			http.Error(w, "browsers are not served", http.StatusForbidden)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// serve makes one call at a time.
func (a *API) serve(f call) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		status, answer, err := f(r)
		var raw []byte
		if answer != nil {
			var e error
			raw, e = json.Marshal(answer)
			err = errors.Join(err, e)
		}
		a.mu.Unlock()
		if err != nil && answer == nil {
			f := &failure{err.Error(), http.StatusInternalServerError}
			_ = errors.As(err, &f) // else it stays as it is
			status = f.Status
			raw, _ = json.Marshal(f) // two plain fields
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write(raw) // the client may be gone
	}
}

// with makes a call about a proxy.
func (a *API) with(f func(*proxy, *http.Request) (any, error)) call {
	return func(r *http.Request) (int, any, error) {
		p := a.proxies[r.PathValue("proxy")]
		if p == nil {
			return 0, nil, errNoProxy
		}
		answer, err := f(p, r)
		if answer == nil {
			return http.StatusNoContent, nil, err
		}
		return http.StatusOK, answer, err
	}
}

// body reads a JSON body. What it does not mention stays as it is.
func body(r *http.Request, into any) error {
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(into); err != nil {
		return bad("bad request body: %v", err)
	}
	return nil
}

func (a *API) index(*http.Request) (int, any, error) { return http.StatusOK, a.proxies, nil }

func (a *API) create(r *http.Request) (int, any, error) {
	in := spec{Enabled: true}
	if err := body(r, &in); err != nil {
		return 0, nil, err
	}
	if a.proxies[in.Name] != nil {
		return 0, nil, errProxyIs
	}
	p, err := a.make(in)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusCreated, p, nil
}

// make starts a proxy and keeps it.
func (a *API) make(in spec) (*proxy, error) {
	p, err := start(in)
	if err != nil {
		return nil, err
	}
	a.proxies[in.Name] = p
	return p, nil
}

// populate makes proxies; one of the same name that is not the same is replaced.
func (a *API) populate(r *http.Request) (int, any, error) {
	var all []struct {
		spec
		Enabled *bool `json:"enabled"`
	}
	if err := body(r, &all); err != nil {
		return 0, nil, err
	}
	answer := struct {
		*failure
		Proxies []*proxy `json:"proxies"`
	}{Proxies: []*proxy{}}
	for i, in := range all {
		if err := in.check(); err != nil {
			return 0, nil, bad("%v at proxy %d", err, i+1)
		}
	}
	for _, in := range all {
		want := in.spec
		want.Enabled = in.Enabled == nil || *in.Enabled
		p := a.proxies[want.Name]
		if p == nil || p.Listen != want.Listen || p.Upstream != want.Upstream {
			if p != nil {
				delete(a.proxies, want.Name)
				_ = p.close() // its listener is closed in any case
			}
			var err error
			if p, err = a.make(want); err != nil {
				f := &failure{err.Error(), http.StatusInternalServerError}
				_ = errors.As(err, &f)
				answer.failure = f
				return f.Status, answer, nil
			}
		}
		answer.Proxies = append(answer.Proxies, p)
	}
	return http.StatusCreated, answer, nil
}

func (a *API) remove(r *http.Request) (int, any, error) {
	name := r.PathValue("proxy")
	p := a.proxies[name]
	if p == nil {
		return 0, nil, errNoProxy
	}
	delete(a.proxies, name)
	return http.StatusNoContent, nil, p.close()
}

// reset enables all proxies and removes all toxics.
func (a *API) reset(*http.Request) (int, any, error) {
	var failed error
	for _, p := range a.proxies {
		for len(p.Toxics) > 0 {
			if err := p.drop(0); err != nil {
				failed = cmp.Or(failed, err)
				break
			}
		}
		failed = cmp.Or(failed, p.enable(true))
	}
	return http.StatusNoContent, nil, failed
}
