package plugintest

import (
	"slices"
	"sync"
	"time"
)

// A machine that has much else to do is slow, and a plugin on it is slow without any
// fault of its own. So the kit does not wait for fixed times: it measures how slow the
// machine is at the moment, by work of its own that has nothing to do with the plugin,
// and is as much more patient. What hangs still hangs; what is slow on an idle machine
// is still too slow.

const (
	// leastPatient and mostPatient bound the factor.
	leastPatient, mostPatient = 1.0, 8.0
	// freshness is how long a measurement is good for.
	freshness = 2 * time.Second
	// kept is how many measurements are remembered; the slowest of them counts, as a
	// load that comes and goes has to be waited for while it is there.
	kept = 5
)

var pace struct {
	sync.Mutex
	at     time.Time
	latest []float64
}

// patient is a time as it is to be waited for on this machine at this moment.
func patient(d time.Duration) time.Duration { return scaled(d, measured(), mostPatient) }

// longLease bounds the factor of leases: what is waited for in vain is waited for to the
// end, and a lease always is.
const longLease = 3.0

// leased is a lease as it is to be given on this machine at this moment.
func leased(d time.Duration) time.Duration { return scaled(d, measured(), longLease) }

// measured are the latest measurements.
func measured() []float64 {
	pace.Lock()
	defer pace.Unlock()
	if time.Since(pace.at) > freshness {
		pace.latest = append(pace.latest, slowness())
		pace.latest = pace.latest[max(0, len(pace.latest)-kept):]
		pace.at = time.Now()
	}
	return slices.Clone(pace.latest)
}

// scaled multiplies a time by the slowest of the measurements, within bounds.
func scaled(d time.Duration, latest []float64, most float64) time.Duration {
	factor := leastPatient
	for _, s := range latest {
		factor = max(factor, s)
	}
	return time.Duration(float64(d) * min(factor, most))
}
