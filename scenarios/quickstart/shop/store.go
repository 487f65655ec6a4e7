package main

import (
	"flag"
	"net/http"
	"sync"
)

// fullStock is how many of an item there are before the first is sold: enough
// for any game day.
const fullStock = 1_000_000

// taken is what the store answers to a sale.
type taken struct {
	Order int64 `json:"order"` // number of this order, from 1
	Left  int64 `json:"left"`  // stock after it; negative means there was none to sell
}

// counters is the store: stock per item and the orders so far, in memory.
type counters struct {
	mu     sync.Mutex
	stock  map[string]int64
	orders int64
}

func newStoreCommand(*flag.FlagSet) command {
	return func() (http.Handler, error) {
		store := &counters{stock: map[string]int64{}}
		mux := http.NewServeMux()
		mux.HandleFunc("POST /take/{item}", func(w http.ResponseWriter, r *http.Request) {
			answer(w, http.StatusOK, store.take(r.PathValue("item")))
		})
		mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
			answer(w, http.StatusOK, struct{}{})
		})
		return mux, nil
	}
}

// take sells one item. An item that was never sold has a full stock.
func (c *counters) take(item string) taken {
	c.mu.Lock()
	defer c.mu.Unlock()
	left, known := c.stock[item]
	if !known {
		left = fullStock
	}
	if left == 0 {
		return taken{Order: c.orders, Left: -1}
	}
	c.stock[item] = left - 1
	c.orders++
	return taken{Order: c.orders, Left: left - 1}
}
