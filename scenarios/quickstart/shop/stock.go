package main

import (
	"context"
	"fmt"
	"net/url"
	"time"
)

// storeTimeout is the default bound of every dealing with the store. It is shorter
// than the gateway's patience with a web process, so that a store that hangs shows as
// an honest 503 and not as a web process that does not answer.
const storeTimeout = 250 * time.Millisecond

// A stock sells items. Take may be called by many requests at once and returns
// within the time that openStock was given, whatever the store does.
type stock interface {
	Take(ctx context.Context, item string) (taken, error)
}

// openStock returns the stock behind address: http://host:port is a store
// process of ours, redis://host:port a Redis server. It does not connect yet: a
// web process starts, and answers, without its store. patience is for one sale.
func openStock(address string, patience time.Duration) (stock, error) {
	parsed, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("read -store: %w", err)
	}
	if parsed.Host == "" {
		return nil, fmt.Errorf("read -store %q: want http://host:port or redis://host:port", address)
	}
	switch parsed.Scheme {
	case "http":
		return newHTTPStock(parsed, patience), nil
	case "redis":
		return newRedisStock(address, patience)
	default:
		return nil, fmt.Errorf("read -store %q: scheme %q is neither http nor redis", address, parsed.Scheme)
	}
}
