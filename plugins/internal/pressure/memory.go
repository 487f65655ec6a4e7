package pressure

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/plugins/internal/cgroup"
)

const (
	// chunk is how much memory is taken or given back at once.
	chunk = 4 << 20
	// watchEvery is how often a floor or a reserve is looked at while the pressure is on.
	watchEvery = 100 * time.Millisecond
)

// room is what the pressure process, and so its target, may still use.
type room struct {
	available int64
	whole     int64 // the limit that leaves the least, or the machine's memory
}

// roomFor looks at the machine and at the control groups that limit a process.
func roomFor(pid int) (room, error) {
	available, total, err := cgroup.Here.Available()
	if err != nil {
		return room{}, err
	}
	r := room{available, total}
	g, err := cgroup.Here.Of(pid)
	if err != nil {
		return room{}, err
	}
	m, limited, err := g.Memory()
	if err != nil {
		return room{}, err
	}
	if limited && m.Limit < total {
		r = room{min(available, m.Room), m.Limit}
	}
	return r, nil
}

// want is how much to take, given what there is.
func (m Memory) want(r room) (int64, error) {
	n := int64(0)
	if m.Size != nil {
		n = m.Size.Of(r.whole)
	} else {
		n = m.Until.Of(r.whole) - (r.whole - r.available)
	}
	floor := m.Floor.Of(r.whole)
	switch {
	case n <= 0:
		return 0, fmt.Errorf("%s of %s are in use already: nothing is left to take", size(r.whole-r.available), size(r.whole))
	case r.available-n < floor:
		return 0, fmt.Errorf("%s of %s are available: taking %s would cross the floor of %s", size(r.available), size(r.whole), size(n), size(floor))
	}
	return n, nil
}

// hoard is the memory that is held.
type hoard struct {
	chunks [][]byte
	floor  int64
}

func (m Memory) work() work {
	var h hoard
	var chunks int
	return work{
		start: func(ctx context.Context) error {
			r, err := roomFor(os.Getpid())
			if err != nil {
				return err
			}
			n, err := m.want(r)
			if err != nil {
				return err
			}
			h.floor = m.Floor.Of(r.whole)
			chunks = int((n + chunk - 1) / chunk)
			for len(h.chunks) < chunks {
				if err := h.more(); err != nil {
					return fmt.Errorf("took %s of %s: %w", size(h.held()), size(n), err)
				}
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
			}
			return nil
		},
		hold: func(ctx context.Context) { h.keep(ctx, chunks) },
	}
}

var errFloor = errors.New("more would cross the floor")

func (h *hoard) held() int64 { return int64(len(h.chunks)) * chunk }

// more takes one chunk, unless that crosses the floor.
func (h *hoard) more() error {
	r, err := roomFor(os.Getpid())
	if err != nil {
		return err
	}
	if r.available-chunk < h.floor {
		return errFloor
	}
	b, err := unix.Mmap(-1, 0, chunk, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return fmt.Errorf("take memory: %w", err)
	}
	// A huge page would be given and taken back as a whole.
	_ = unix.Madvise(b, unix.MADV_NOHUGEPAGE)
	fill(b, uint64(len(h.chunks)))
	// Where we may, so that it stays even where there is swap.
	_ = unix.Mlock(b)
	h.chunks = append(h.chunks, b)
	return nil
}

// less gives one chunk back.
func (h *hoard) less() {
	last := len(h.chunks) - 1
	_ = unix.Munmap(h.chunks[last]) // what was mapped can be unmapped
	h.chunks = h.chunks[:last]
}

// keep holds the memory, gives back what others need above the floor, and takes it
// again when they do not need it any more.
func (h *hoard) keep(ctx context.Context, chunks int) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		r, err := roomFor(os.Getpid())
		if err != nil {
			continue
		}
		switch missing := h.floor - r.available; {
		case missing > 0:
			for ; missing > 0 && len(h.chunks) > 0; missing -= chunk {
				h.less()
			}
		case missing < -4*chunk && len(h.chunks) < chunks:
			_ = h.more() // not now, then
		}
	}
}

// fill writes to every page, each time something else: equal pages may be merged, and
// empty ones compressed to nothing.
func fill(b []byte, seed uint64) {
	x := seed*2654435761 + 88172645463325252
	for i := 0; i+8 <= len(b); i += 8 {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i], b[i+1], b[i+2], b[i+3] = byte(x), byte(x>>8), byte(x>>16), byte(x>>24)
		b[i+4], b[i+5], b[i+6], b[i+7] = byte(x>>32), byte(x>>40), byte(x>>48), byte(x>>56)
	}
}
