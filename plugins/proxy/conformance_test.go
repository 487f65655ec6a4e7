//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/plugintest"
)

// What a fault adds to be seen, and what is taken for seen.
const (
	added = "250ms"
	seen  = 200 * time.Millisecond
)

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

// unanswered says that a question gets no answer for a while, and another one not for
// longer: a busy machine may be late once.
func unanswered(c sdk.Candidate) (is bool, err error) {
	for _, patience := range []time.Duration{time.Second, 3 * time.Second} {
		is, err = ends(func(conn net.Conn) error {
			if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
				return err
			}
			return answer(10)(conn)
		}, isTimeout)(c)
		if !is || err != nil {
			return false, err
		}
	}
	return true, nil
}

func TestFaultsKeepTheirPromises(t *testing.T) {
	echo, web := echoServer(t), webServer(t)
	stream, request := listenerBefore(echo, protocolTCP), listenerBefore(web, protocolHTTP)
	var cases []plugintest.Case
	for _, c := range []struct {
		fault  string
		config map[string]any
		target func(testing.TB) sdk.Candidate
		bitten func(sdk.Candidate) (bool, error)
	}{
		{"proxy_delay", map[string]any{"delay": added}, stream, slow(seen, answer(10))},
		{"proxy_bandwidth", map[string]any{"rate": "10kB", "direction": "upstream"}, stream, slow(seen, answer(3000))},
		{"proxy_slow_close", map[string]any{"delay": added, "direction": "downstream"}, stream, slow(seen, end)},
		{"proxy_reset", nil, stream, ends(answer(10), isReset)},
		{"proxy_timeout", nil, stream, unanswered},
		{"proxy_slicer", map[string]any{"size": 1, "delay": "30ms", "direction": "upstream"}, stream, slow(seen, answer(10))},
		{"proxy_limit", map[string]any{"bytes": 10}, stream, ends(answer(20), isEOF)},
		{"proxy_down", nil, stream, isRefusing},
		{"proxy_refuse", nil, stream, isRefusing},
		{"proxy_slow_accept", map[string]any{"delay": added}, stream, slow(seen, answer(10))},
		{"proxy_slow_connect", map[string]any{"delay": added}, stream, slow(seen, answer(10))},
		{"proxy_http_delay", map[string]any{"delay": added}, request, slowly(seen, func(c sdk.Candidate) error {
			_, _, err := get(c)
			return err
		})},
		{"proxy_http_abort", map[string]any{"status": 418}, request, answersOtherwise},
		{"proxy_http_body", map[string]any{"replace": "good bye"}, request, answersOtherwise},
	} {
		cases = append(cases, plugintest.Case{
			Plugin: plugin(shared), Type: c.fault, Config: c.config, Target: c.target, Bitten: c.bitten,
			SameUndo: sameProxy, // each has a random name and seed
		})
	}
	plugintest.Faults(t, cases...)
}

// sameProxy says that two records are of one proxy; each fault has a random name and
// seed.
func sameProxy(a, b json.RawMessage) bool {
	var x, y undo
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	return x.Listener == y.Listener && x.Owner == y.Owner && x.Fault != y.Fault
}
