package pressure

import (
	"context"
	"runtime"
	"time"
)

// burnPeriod is how often a burner that shall not burn all the time rests.
const burnPeriod = 50 * time.Millisecond

// work burns on as many threads as there are cores to burn. The demand is by the clock
// on the wall: under a quota a burner gets less, as the target's own threads do.
func (c CPU) work() work {
	cores := c.Cores
	return work{
		start: func(context.Context) error {
			n, err := usableCPUs()
			if cores == 0 {
				cores = n
			}
			runtime.GOMAXPROCS(cores + 1) // and one that listens
			return err
		},
		hold: func(ctx context.Context) {
			for range cores {
				go burn(ctx, c.Load)
			}
		},
	}
}

func burn(ctx context.Context, load float64) {
	runtime.LockOSThread()
	busy := time.Duration(load * float64(burnPeriod))
	for ctx.Err() == nil {
		began := time.Now()
		x := uint64(began.UnixNano()) | 1
		for time.Since(began) < busy {
			for range 10_000 {
				x ^= x << 13
				x ^= x >> 7
				x ^= x << 17
			}
		}
		runtime.KeepAlive(x)
		if rest := burnPeriod - time.Since(began); load < 1 && rest > 0 {
			time.Sleep(rest)
		}
	}
}
