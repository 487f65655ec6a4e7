package plugintest

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestScaled(t *testing.T) {
	for _, c := range []struct {
		latest []float64
		want   time.Duration
	}{
		{nil, time.Second}, {[]float64{0.5}, time.Second}, {[]float64{1, 3, 2}, 3 * time.Second}, {[]float64{1000}, 8 * time.Second},
	} {
		if got := scaled(time.Second, c.latest, mostPatient); got != c.want {
			t.Errorf("%v: %s, want %s", c.latest, got, c.want)
		}
	}
}

// A machine that has more to do is slower, and that is measured.
func TestSlownessSeesLoad(t *testing.T) {
	var over atomic.Bool
	var busy sync.WaitGroup
	for range 6 * runtime.NumCPU() {
		busy.Go(func() {
			for !over.Load() {
			}
		})
	}
	slowest := 0.0
	for range 20 {
		slowest = max(slowest, slowness())
	}
	over.Store(true)
	busy.Wait()
	if slowest < 2 {
		t.Errorf("with six times as much to do as there are processors, work takes %.1f times as long", slowest)
	}
}
