package plugintest

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// work is how much processor time a measurement takes.
const work = 4 * time.Millisecond

// slowness says how many times longer work takes at this moment because others want the
// processors, too: the time that passes, over the processor time that is had in it.
func slowness() float64 {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	began, from := time.Now(), used()
	var had time.Duration
	sum := 0
	for had < work && time.Since(began) < time.Second {
		for x := range 10_000 {
			sum += x
		}
		had = used() - from
	}
	runtime.KeepAlive(sum) // or a compiler finds the work superfluous
	if had <= 0 {
		return mostPatient
	}
	return float64(time.Since(began)) / float64(had)
}

// used is the processor time of the calling thread.
func used() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
