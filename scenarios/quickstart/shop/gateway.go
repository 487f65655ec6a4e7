package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// maxAnswer bounds what the gateway holds of one answer.
const maxAnswer = 1 << 20

// gateway sends each request to the next backend in turn. It knows nothing of
// their health: a dead backend is found out by the request that meets it.
type gateway struct {
	backends []string // host:port
	next     atomic.Uint64
	retry    bool
	patience time.Duration // for one attempt, connecting included
	client   http.RoundTripper
}

func newGatewayCommand(flags *flag.FlagSet) command {
	backends := flags.String("backends", "", "`addresses` of the web processes, separated by commas; host:port, or a name (port 8080)")
	retry := flags.Bool("retry", true, "try the next backend when one fails")
	connect := flags.Duration("connect-timeout", 150*time.Millisecond, "`time` to open a connection to a backend")
	attempt := flags.Duration("attempt-timeout", 400*time.Millisecond, "`time` for one backend to answer")
	return func() (http.Handler, error) {
		addresses, err := parseBackends(*backends)
		if err != nil {
			return nil, err
		}
		if *connect <= 0 || *attempt <= 0 {
			return nil, errors.New("-connect-timeout and -attempt-timeout must be above zero")
		}
		g := &gateway{backends: addresses, retry: *retry, patience: *attempt, client: pooledTransport(*connect)}
		mux := http.NewServeMux()
		mux.Handle("/", g)
		mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
			answer(w, http.StatusOK, struct{}{})
		})
		return mux, nil
	}
}

// parseBackends reads a list of host:port addresses; a name alone means port
// 8080, where the shop's containers listen.
func parseBackends(list string) ([]string, error) {
	var addresses []string
	for _, text := range strings.Split(list, ",") {
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		if !strings.Contains(text, ":") {
			text = net.JoinHostPort(text, "8080")
		}
		if _, _, err := net.SplitHostPort(text); err != nil || strings.Contains(text, "/") {
			return nil, fmt.Errorf("read -backends: %q is no host:port", text)
		}
		addresses = append(addresses, text)
	}
	if len(addresses) == 0 {
		return nil, errors.New("-backends names nobody")
	}
	return addresses, nil
}

// ServeHTTP passes the request on. With retry, a GET or HEAD whose backend
// refuses, breaks off or is too slow goes to the next one, to each at most once.
// An answer is an answer, whatever its status: a 503 means that the store is
// away, and the next web process would say the same. A checkout whose answer is
// lost may therefore be sold twice, which the shop accepts to stay small.
func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	attempts := 1
	repeatable := r.Method == http.MethodGet || r.Method == http.MethodHead
	if g.retry && repeatable && r.ContentLength == 0 {
		attempts = len(g.backends)
	}
	first := g.next.Add(1)
	var failed error
	for i := range attempts {
		backend := g.backends[(first+uint64(i))%uint64(len(g.backends))]
		header, status, body, err := g.attempt(r, backend)
		if err == nil {
			w.Header().Set("Content-Type", header.Get("Content-Type"))
			w.Header().Set("Shop-Backend", backend)
			w.WriteHeader(status)
			_, _ = w.Write(body) // a client that left needs no answer
			return
		}
		if r.Context().Err() != nil {
			return
		}
		failed = fmt.Errorf("backend %s: %w", backend, err)
	}
	answer(w, http.StatusBadGateway, failure{Instance: "gateway", Error: failed.Error()})
}

// attempt asks one backend and reads its whole answer: only then is it known
// that the backend lived long enough to give it.
func (g *gateway) attempt(r *http.Request, backend string) (http.Header, int, []byte, error) {
	ctx, cancel := context.WithTimeout(r.Context(), g.patience)
	defer cancel()
	onward := r.Clone(ctx)
	onward.URL.Scheme, onward.URL.Host = "http", backend
	onward.RequestURI, onward.Host, onward.Close = "", "", false
	onward.Header.Del("Connection")
	if r.ContentLength == 0 {
		onward.Body = nil // or the transport would not dare to use another connection when an idle one turns out closed
	}
	response, err := g.client.RoundTrip(onward)
	if err != nil {
		return nil, 0, nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return nil, 0, nil, fmt.Errorf("read the answer: %w", err)
	}
	if len(body) > maxAnswer {
		return nil, 0, nil, fmt.Errorf("read the answer: longer than %d bytes", maxAnswer)
	}
	return response.Header, response.StatusCode, body, nil
}
