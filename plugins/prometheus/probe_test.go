package main

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
	"github.com/faultline-go/faultline/sdk/wire"
)

// enough is how long what has to come is waited for, however busy the machine is.
const enough = 2 * time.Minute

func opened(t *testing.T, c config) func(time.Duration) sdk.Sample {
	t.Helper()
	if c.MaxAge == 0 {
		c.MaxAge = time.Minute
	}
	if err := c.check(); err != nil {
		t.Fatal(err)
	}
	once, done, err := prometheusProbe.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(done)
	return func(timeout time.Duration) sdk.Sample {
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		defer cancel()
		return once(ctx)
	}
}

func TestRealPrometheus(t *testing.T) {
	server := startPrometheus(t)
	first := opened(t, config{Address: server.url, Query: "count(count_over_time(test_old[10m]))"})
	eventually(t, "the exporter is scraped", func() bool { return first(enough).Status == schema.OK })

	for query, want := range map[string]any{ // a number, or why there is none
		"test_value":                            0.25,
		"test_zero":                             0.0,
		"sum(test_many)":                        3.0,
		"42":                                    42.0,
		"vector(5)":                             5.0,
		"sum(rate(test_none[10s]))":             "no data",
		"sum(test_none) or vector(0)":           0.0,
		"test_none":                             "no data",
		"test_many":                             "more than one series: aggregate them in the query, with sum() or max()",
		"test_nan":                              "NaN",
		"test_inf":                              "infinite",
		"1/0":                                   "infinite",
		"test_value[1m]":                        "not a number: the query gives a range or a string",
		`"text"`:                                "the server says bad_response",
		"(test_old) # with a remark":            "stale",
		"test_old":                              "stale",
		"test_value @ 0":                        "no data",
		`label_replace(test_many,"n","","","")`: "the server says execution",
	} {
		expect(t, query, opened(t, config{Address: server.url, Query: query})(enough), want)
	}
	// The same old data is good enough for who says so.
	expect(t, "test_old, older", opened(t, config{Address: server.url, Query: "test_old", MaxAge: 30 * time.Minute})(enough), 7.0)

	// What the server cannot read is an error at once.
	_, _, err := prometheusProbe.Open(t.Context(), config{Address: server.url, Query: "sum(", MaxAge: time.Minute})
	if err == nil || !strings.Contains(err.Error(), "query") || !strings.Contains(err.Error(), "parse error") {
		t.Errorf("a query with a mistake: %v", err)
	}
	streams(t, server.url)

	measure := opened(t, config{Address: server.url, Query: "test_value"})
	expect(t, "before the end", measure(enough), 0.25)
	server.stop()
	expect(t, "after the end", measure(enough), "no answer: connection refused")
}

// streams goes the whole way: a stream of samples, as the engine gets it.
func streams(t *testing.T, address string) {
	t.Helper()
	server, err := sdk.NewServer(plugin())
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(map[string]any{"address": address, "query": "test_value"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), enough)
	defer cancel()
	good := 0
	err = server.Probe(ctx, wire.Probe{Type: "prometheus", Config: body, Interval: 50 * time.Millisecond, Timeout: 10 * time.Second, Start: time.Now()},
		func(b wire.Batch) error {
			for _, s := range b.Samples {
				if s.Status == schema.OK && s.Value == 0.25 && s.Latency > 0 {
					good++
				}
			}
			if good >= 5 {
				cancel()
			}
			return nil
		})
	if good < 5 {
		t.Errorf("%d good samples: %v", good, err)
	}
}

// expect wants a value, or a missing sample with a reason.
func expect(t *testing.T, what string, s sdk.Sample, want any) {
	t.Helper()
	if why, missing := want.(string); missing {
		if why == "stale" { // or, where the server leaves old data out by itself, none
			if why = "stale: the data is older than max_age"; s.Error == "no data" {
				why = s.Error
			}
		}
		if s.Status != schema.Missing || s.Error != why || s.Value != nil {
			t.Errorf("%s: sample %+v, want it missing: %s", what, s, why)
		}
		return
	}
	if s.Status != schema.OK || s.Value == nil || *s.Value != want {
		t.Errorf("%s: sample %+v, want %v", what, s, want)
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(enough)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
		<-tick.C
	}
}

// limited makes a server of h that takes limits of age.
func limited(h http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("lookback_delta") == "none" { // which is no limit
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"status":"error","errorType":"bad_data","error":"cannot parse the limit"}`)
			return
		}
		h(w, r)
	})
}

// answering is a server that says what a test wants, where a real one can hardly be
// brought to.
func answering(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(limited(h))
	t.Cleanup(s.Close)
	return s.URL
}

func vector(at time.Time, more string) string {
	return fmt.Sprintf(`{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[%d,"1"]}]}%s}`, at.Unix(), more)
}

func TestOddAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		want   any
	}{
		"plain":      {200, vector(time.Now(), ""), 1.0},
		"old":        {200, vector(time.Now().Add(-2*time.Minute), ""), "stale: the answer is older than max_age, or the clocks differ"},
		"info":       {200, vector(time.Now(), `,"infos":["PromQL info: not a counter"]`), 1.0},
		"warning":    {200, vector(time.Now(), `,"warnings":["a store is gone"]`), "the server warns that the answer is incomplete"},
		"starting":   {503, "starting up", "the server says server_error"},
		"busy":       {503, `{"status":"error","errorType":"timeout","error":"query timed out"}`, "the server says server_error"},
		"forbidden":  {401, "no", "the server says client_error"},
		"not json":   {200, "<html>", "the server says bad_response"},
		"histogram":  {200, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[1,{"count":"2","sum":"3","buckets":[]}]}]}}`, "a histogram: take a quantile or an average of it in the query"},
		"too much":   {422, `{"status":"error","errorType":"execution","error":"too many samples"}`, "the server says execution"},
		"another":    {404, "not found", "the server says client_error"},
		"no content": {204, "", "the server says bad_response"},
	} {
		address := answering(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.status)
			fmt.Fprint(w, c.body)
		})
		expect(t, name, opened(t, config{Address: address, Query: "x"})(enough), c.want)
	}
}

// A server that takes a limit leaves old data out of its answers: it is told with
// every query, and asked for nothing more.
func TestLimitedByServer(t *testing.T) {
	var asked atomic.Int64
	address := answering(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.FormValue("lookback_delta") != "1m0s" || r.FormValue("query") != "x" {
			t.Errorf("the server is asked %v", r.Form)
		}
		fmt.Fprint(w, vector(time.Now(), ""))
	})
	measure := opened(t, config{Address: address, Query: "x"})
	for range 3 {
		expect(t, "limited", measure(enough), 1.0)
	}
	if n := asked.Load(); n != 1+3 { // once by Open
		t.Errorf("%d queries for 3 samples", n)
	}
}

func TestNoAnswer(t *testing.T) {
	first := make(chan struct{}, 1)
	first <- struct{}{}
	address := answering(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-first: // the query of Open
			fmt.Fprint(w, vector(time.Now(), ""))
		default:
			<-r.Context().Done()
		}
	})
	expect(t, "a server that hangs", opened(t, config{Address: address, Query: "x"})(100*time.Millisecond), "no answer in time")
	expect(t, "no such host", opened(t, config{Address: "http://no-such-host.invalid:9090", Query: "x"})(enough), "no answer: no such host")
}

func TestStopped(t *testing.T) {
	address := answering(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, vector(time.Now(), "")) })
	once, done, err := prometheusProbe.Open(t.Context(), config{Address: address, Query: "x", MaxAge: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	expect(t, "stopped", once(ctx), "the probe was stopped")
}

func TestRequest(t *testing.T) {
	t.Setenv("FAULTLINE_TEST_TOKEN", "sesame")
	seen := make(chan string, 10)
	address := answering(t, func(w http.ResponseWriter, r *http.Request) {
		seen <- strings.Join([]string{
			r.URL.Path, r.FormValue("query"), r.FormValue("lookback_delta"), r.UserAgent(), r.Header.Get("Authorization"), r.Header.Get("X-Scope-Orgid"),
		}, " ")
		fmt.Fprint(w, vector(time.Now(), ""))
	})
	measure := opened(t, config{
		Address: address + "/prometheus/", Query: "up", MaxAge: 30 * time.Second,
		TokenEnv: "FAULTLINE_TEST_TOKEN", Headers: map[string]string{"X-Scope-OrgID": "shop"},
	})
	expect(t, "with headers", measure(enough), 1.0)
	if got := <-seen; got != "/prometheus/api/v1/query up 30s faultline/"+version+" Bearer sesame shop" {
		t.Errorf("the server saw %q", got)
	}
}

func TestTLS(t *testing.T) {
	s := httptest.NewTLSServer(limited(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, vector(time.Now(), "")) }))
	t.Cleanup(s.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o644); err != nil {
		t.Fatal(err)
	}
	expect(t, "known authority", opened(t, config{Address: s.URL, Query: "x", CAFile: ca})(enough), 1.0)
	expect(t, "unknown authority", opened(t, config{Address: s.URL, Query: "x"})(enough), "no answer")
}

func TestRefused(t *testing.T) {
	for name, c := range map[string]config{
		"no address":  {Query: "x"},
		"no URL":      {Address: "127.0.0.1:9090", Query: "x"},
		"no host":     {Address: "http://", Query: "x"},
		"password":    {Address: "http://me:secret@127.0.0.1:9090", Query: "x"},
		"bad port":    {Address: "http://me:secret@127.0.0.1:x", Query: "x"},
		"empty query": {Address: "http://127.0.0.1:9090", Query: " "},
		"bad header":  {Address: "http://127.0.0.1:9090", Query: "x", Headers: map[string]string{"a b": "c"}},
	} {
		if err := c.check(); err == nil {
			t.Errorf("%s: no error", name)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error shows a password: %v", name, err)
		}
	}
	for name, c := range map[string]config{
		"unset token":    {TokenEnv: "FAULTLINE_TEST_UNSET"},
		"no such file":   {CAFile: "/no/such/file"},
		"no certificate": {CAFile: os.Args[0]},
	} {
		c.Address, c.Query = "http://127.0.0.1:9", "x"
		if _, _, err := prometheusProbe.Open(t.Context(), c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestNoNumber(t *testing.T) {
	p := &probe{maxAge: time.Minute, now: time.Now}
	for _, v := range []model.Value{model.Matrix{}, &model.String{}, nil, model.Vector{}} {
		if s, _ := p.sampleOf(v); s.Status != schema.Missing || s.Value != nil {
			t.Errorf("%v: sample %+v", v, s)
		}
	}
}
