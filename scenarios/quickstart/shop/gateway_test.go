package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

func TestParseBackends(t *testing.T) {
	got, err := parseBackends(" 127.0.0.1:7001, web-b ,,[::1]:7003")
	want := []string{"127.0.0.1:7001", "web-b:8080", "[::1]:7003"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

func TestGatewayNeverRepeatsAnOrderWithABody(t *testing.T) {
	var asked atomic.Int32
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		body, _ := io.ReadAll(r.Body)
		if string(body) != "two mugs" {
			t.Errorf("the backend reads %q", body)
		}
		panic(http.ErrAbortHandler) // break the connection without an answer
	}))
	defer backend.Close()
	address := strings.TrimPrefix(backend.URL, "http://")
	g := &gateway{backends: []string{address, address, address}, retry: true, patience: patience, client: pooledTransport(patience)}
	front := httptest.NewServer(g)
	defer front.Close()

	response, err := http.Post(front.URL+"/checkout", "text/plain", strings.NewReader("two mugs"))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusBadGateway || asked.Load() != 1 {
		t.Errorf("status %d after %d attempts, want 502 after 1", response.StatusCode, asked.Load())
	}
}

func TestGatewayRetriesAnAnswerThatBreaksOff(t *testing.T) {
	breaking := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "half of")
		panic(http.ErrAbortHandler)
	}))
	defer breaking.Close()
	whole := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "all of it") }))
	defer whole.Close()
	g := &gateway{
		backends: []string{strings.TrimPrefix(whole.URL, "http://"), strings.TrimPrefix(breaking.URL, "http://")},
		retry:    true, patience: patience, client: pooledTransport(patience),
	}
	front := httptest.NewServer(g)
	defer front.Close()
	for range 4 {
		response, err := http.Get(front.URL)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || string(body) != "all of it" {
			t.Errorf("got %q, %v", body, err)
		}
	}
}

func TestStockRunsOut(t *testing.T) {
	store := &counters{stock: map[string]int64{"mug": 1}}
	if got := store.take("mug"); got != (taken{Order: 1, Left: 0}) {
		t.Errorf("last mug: %+v", got)
	}
	if got := store.take("mug"); got.Left >= 0 {
		t.Errorf("sold a mug that is not there: %+v", got)
	}
}
