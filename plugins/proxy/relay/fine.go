//go:build linux

package relay

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Go's timers wake a goroutine up to a millisecond late, which is much of a delay of
// ten. The last part of a wait is therefore left to the kernel, whose timers are finer,
// on a thread that waits for nothing else.

// fine is how long that part is: a little more than a timer of Go is late.
const fine = 2 * time.Millisecond

// threads bounds how many wait like that at once; the others are late.
var threads = make(chan struct{}, 64)

// awaitSoon waits, if the time is near, until then or until there is something to
// read. soon is false when it did not wait.
func awaitSoon(s Stream, until time.Time) (soon, readable bool, err error) {
	if time.Until(until) > fine {
		return false, false, nil
	}
	select {
	case threads <- struct{}{}:
		defer func() { <-threads }()
	default:
		// The caller reads with a deadline that is over, and comes back: at once it would
		// only turn in circles.
		time.Sleep(time.Until(until))
		return true, false, nil
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return true, false, fmt.Errorf("wait for data: %w", err)
	}
	var polled error
	err = raw.Control(func(fd uintptr) {
		rest := time.Until(until)
		if rest <= 0 {
			return
		}
		// The kernel may let a thread oversleep by 50 µs, to wake fewer times; not this one.
		_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // else it is a little late
		one := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		timeout := unix.NsecToTimespec(int64(rest))
		n, e := unix.Ppoll(one, &timeout, nil)
		readable = n > 0
		if e != unix.EINTR {
			polled = e
		}
	})
	if err == nil {
		err = polled
	}
	return true, readable, err
}
