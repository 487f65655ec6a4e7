package plugintest

import (
	"runtime"
	"testing"

	"golang.org/x/sync/errgroup"
)

// check is a subtest.
type check struct {
	name string
	run  func(*testing.T)
}

// turns bound how many checks of a test program work at once, of however many faults.
// T.Parallel would let as many run as there are processors; checks mostly wait, but
// each has a plugin and targets, and too many at once only wait for each other.
var turns = make(chan struct{}, 6*runtime.GOMAXPROCS(0))

// beside runs checks beside each other, as many as the Case allows and while there are
// turns.
func (k *kit) beside(t *testing.T, all []check) {
	t.Helper()
	for i, c := range all {
		all[i].run = func(t *testing.T) {
			turns <- struct{}{}
			defer func() { <-turns }()
			c.run(t)
		}
	}
	beside(t, all, k.Parallel)
}

// parts are the checks of which a check is made. It gives its own turn away for them.
func (k *kit) parts(t *testing.T, all []check) {
	t.Helper()
	aside(func() { k.beside(t, all) })
}

// aside does what takes time and does no work, without the caller's turn.
func aside(wait func()) {
	<-turns
	defer func() { turns <- struct{}{} }()
	wait()
}

// beside runs at most that many checks at once; 0: all of them.
func beside(t *testing.T, all []check, most int) {
	t.Helper()
	if most <= 0 {
		most = -1
	}
	var running errgroup.Group
	running.SetLimit(most)
	for _, c := range all {
		running.Go(func() error {
			t.Run(c.name, c.run)
			return nil
		})
	}
	_ = running.Wait() // what fails is in t
}
