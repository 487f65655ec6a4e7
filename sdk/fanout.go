package sdk

import "sync"

// fanOut calls work for every item, at most limit at once, and send for every
// result, one at a time. It stops sending at the first error of send, but lets the
// work that has begun finish.
func fanOut[I, R any](items []I, limit int, work func(I) R, send func(R) error) error {
	results := make(chan R)
	slots := make(chan struct{}, max(limit, 1))
	var running sync.WaitGroup
	go func() {
		for _, item := range items {
			slots <- struct{}{}
			running.Go(func() {
				defer func() { <-slots }()
				results <- work(item)
			})
		}
		running.Wait()
		close(results)
	}()
	var failed error
	for r := range results {
		if failed == nil {
			failed = send(r)
		}
	}
	return failed
}
