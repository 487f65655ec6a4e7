package journal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/faultline-go/faultline/sdk/arbiter"
)

// Writer appends to a run's journal. It holds the run's lock from Create or TakeOver
// to Close. Its methods may be called by several goroutines; events are in the
// order of the calls to Append.
type Writer struct {
	dir  arbiter.Dir
	file File
	lock *os.File
	now  func() time.Time

	mu       sync.Mutex
	epoch    int
	last     int64  // sequence number of the last event
	sum      string // of its line
	end      int64  // where the next line goes
	scrap    int64  // bytes of a failed write behind end, to be covered by the next line
	reserve  int64  // bytes kept behind end for what must be written on a full disk
	secrets  secrets
	reserved int64 // offset up to which the file system has promised space
	lost     error // of the first Sync that failed
}

// Dir is the run's folder.
func (w *Writer) Dir() string { return string(w.dir) }

// Epoch is the run's epoch under this writer; every event carries it.
func (w *Writer) Epoch() int { return w.epoch }

// Append writes one event, in one write. It is on disk only after Sync. After an
// error nothing of the event counts as written, and the next Append may succeed. The
// returned event is what was written: see Hide.
func (w *Writer) Append(data Data) (Event, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	data, err := w.secrets.hidden(data)
	if err != nil {
		return Event{}, err
	}
	e := Event{Seq: w.last + 1, Time: w.now().UTC().Round(0), Epoch: w.epoch, Data: data}
	line, sum, err := encodeLine(e, w.sum)
	if err != nil {
		return Event{}, err
	}
	if short := w.scrap - int64(len(line)+1); short > 0 {
		line = append(line, bytes.Repeat([]byte{' '}, int(short))...)
	}
	line = append(line, '\n')
	if _, sample := data.(*Samples); sample {
		if err := w.keepReserve(w.end + int64(len(line))); err != nil {
			return Event{}, fmt.Errorf("write event %s: %w", data.EventType(), err)
		}
	}
	n, err := w.file.WriteAt(line, w.end)
	if err != nil {
		// Truncating would also give back the space that is reserved, so that what was
		// written stays until the next line covers it; a reader sees a torn line.
		w.scrap = max(w.scrap, int64(n))
		return Event{}, fmt.Errorf("write event %s: %w", data.EventType(), err)
	}
	w.end += int64(len(line))
	w.last, w.sum, w.scrap = e.Seq, sum, 0
	return e, nil
}

// Sync makes sure that every event of an Append that has returned is on disk. Once
// it has failed it fails for good: the kernel reports lost writes only once.
func (w *Writer) Sync() error {
	err := w.file.Sync()
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil && w.lost == nil {
		w.lost = fmt.Errorf("sync journal: %w", err)
	}
	return w.lost
}

// allocateStep is how far ahead space is asked for while samples are written.
const allocateStep = 256 << 10

// Reserve keeps that many bytes behind the end of the journal, so that the events
// of putting everything back can still be written when the disk is full. It is
// asked for before anything is broken, and returns syscall.ENOSPC (wrapped) when
// there is no room. From then on samples fail with ENOSPC rather than use the
// reserve; all other events may. Where the file system cannot allocate ahead,
// nothing is reserved, and that is no error. Reserve(0) ends it.
func (w *Writer) Reserve(size int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.reserve
	w.reserve = size
	if err := w.keepReserve(w.end); err != nil {
		w.reserve = before
		return fmt.Errorf("reserve %d bytes for the journal: %w", size, err)
	}
	return nil
}

// keepReserve makes sure that the reserve is free behind end.
func (w *Writer) keepReserve(end int64) error {
	need := end + w.reserve
	if w.reserve == 0 || need <= w.reserved {
		return nil
	}
	from := max(w.end, w.reserved)
	to := need + allocateStep
	err := w.file.Allocate(from, to-from)
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		to = need
		err = w.file.Allocate(from, to-from)
	}
	if errors.Is(err, errors.ErrUnsupported) {
		w.reserve = 0
		return nil
	}
	if err != nil {
		return err
	}
	w.reserved = to
	return nil
}

// Close closes the journal and lets go of the run's lock. It does not sync.
func (w *Writer) Close() error {
	err := w.file.Close()
	if e := w.lock.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("close journal: %w", err)
	}
	return nil
}
