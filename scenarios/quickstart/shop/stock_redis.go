package main

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// redisStock sells from a Redis server: one transaction, one round trip a sale.
type redisStock struct {
	client   *redis.Client
	patience time.Duration
}

func newRedisStock(address string, patience time.Duration) (*redisStock, error) {
	options, err := redis.ParseURL(address)
	if err != nil {
		return nil, fmt.Errorf("read -store %q: %w", address, err)
	}
	// A game day wants to see the store fail as it fails: one try, and a short
	// one. The client's own patience and retries would hide it for seconds.
	options.DialTimeout = patience
	options.ReadTimeout = patience
	options.WriteTimeout = patience
	options.PoolTimeout = patience
	options.ContextTimeoutEnabled = true
	options.MaxRetries = -1
	options.DialerRetries = 1
	options.PoolSize = 64
	options.DisableIdentity = true
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	logging.Disable()
	return &redisStock{client: redis.NewClient(options), patience: patience}, nil
}

func (s *redisStock) Take(ctx context.Context, item string) (taken, error) {
	ctx, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	key := "shop:stock:" + item
	var left, order *redis.IntCmd
	_, err := s.client.TxPipelined(ctx, func(tx redis.Pipeliner) error {
		tx.SetNX(ctx, key, fullStock, 0) // an empty server (a new one, or one without persistence that was restarted) has a full stock
		left = tx.Decr(ctx, key)
		order = tx.Incr(ctx, "shop:orders")
		return nil
	})
	if err != nil {
		return taken{}, fmt.Errorf("ask redis: %w", err)
	}
	return taken{Order: order.Val(), Left: left.Val()}, nil
}
