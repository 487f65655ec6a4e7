package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// httpStock sells from a store process.
type httpStock struct {
	base   *url.URL
	client *http.Client
}

func newHTTPStock(base *url.URL, patience time.Duration) *httpStock {
	return &httpStock{base: base, client: &http.Client{
		Timeout:   patience,
		Transport: pooledTransport(patience),
	}}
}

func (s *httpStock) Take(ctx context.Context, item string) (taken, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base.JoinPath("take", url.PathEscape(item)).String(), nil)
	if err != nil {
		return taken{}, fmt.Errorf("ask the store: %w", err)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return taken{}, fmt.Errorf("ask the store: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 4096)) // read to the end, or the connection is not used again
	if err != nil {
		return taken{}, fmt.Errorf("read the store's answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return taken{}, fmt.Errorf("ask the store: status %s", response.Status)
	}
	var sold taken
	if err := json.Unmarshal(body, &sold); err != nil {
		return taken{}, fmt.Errorf("read the store's answer: %w", err)
	}
	return sold, nil
}

// pooledTransport keeps enough connections open that a busy shop never opens one
// for a request: opening and closing would cost more than the request itself.
func pooledTransport(connect time.Duration) *http.Transport {
	return &http.Transport{
		DialContext:         (&net.Dialer{Timeout: connect}).DialContext,
		MaxIdleConnsPerHost: 128,
		IdleConnTimeout:     time.Minute,
		DisableCompression:  true,
	}
}
