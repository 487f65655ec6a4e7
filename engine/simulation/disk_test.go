package simulation

import (
	"bytes"
	"context"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
)

// disk is a journal's file on a disk that fills up or loses writes, held by a life
// that may end over every call.
type disk struct {
	journal.File
	life   *life
	stored *stored
}

// stored is what there is of a run's journal, whoever writes it.
type stored struct {
	mu        sync.Mutex
	written   int64 // as far as anything was
	allocated int64 // as far as there is room, full disk or not
	synced    int64 // as far as it survives a power failure
}

// kindOf is the type of the event in a line.
func kindOf(line []byte) string {
	_, rest, found := bytes.Cut(line, []byte(`"type":"`))
	kind, _, ok := bytes.Cut(rest, []byte(`"`))
	if !found || !ok {
		return "a line"
	}
	return string(kind)
}

func (d *disk) WriteAt(p []byte, off int64) (int, error) {
	kind := kindOf(p)
	if err := d.life.at("before it writes " + kind); err != nil {
		return 0, err
	}
	if d.life.due("in the middle of writing " + kind) {
		_, _ = d.File.WriteAt(p[:len(p)/2], off)
		d.wrote(off, len(p)/2)
		d.life.die("in the middle of writing " + kind)
		return 0, errDead
	}
	room, err := d.room(off, len(p))
	n, failed := d.File.WriteAt(p[:room], off)
	if failed != nil {
		err = failed
	}
	d.wrote(off, n)
	if err != nil {
		return n, err
	}
	return n, d.life.at("after it wrote " + kind)
}

// room is how much of a write fits.
func (d *disk) room(off int64, size int) (int, error) {
	if !d.life.w.diskIsFull() {
		return size, nil
	}
	d.stored.mu.Lock()
	defer d.stored.mu.Unlock()
	const page = 4096
	end := max(d.stored.allocated, (d.stored.written+page-1)/page*page)
	if off+int64(size) <= end {
		return size, nil
	}
	d.life.w.happens(string(diskFills))
	return int(min(max(end-off, 0), int64(size))), &os.PathError{Op: "write", Path: "journal", Err: syscall.ENOSPC}
}

// wrote notes a write: what it covers is not safe any more.
func (d *disk) wrote(off int64, n int) {
	s := d.stored
	s.mu.Lock()
	defer s.mu.Unlock()
	s.written = max(s.written, off+int64(n))
	s.synced = min(s.synced, off)
}

func (d *disk) Sync() error {
	if err := d.life.at("before it syncs"); err != nil {
		return err
	}
	s := d.stored
	s.mu.Lock()
	end := s.written
	s.mu.Unlock()
	_ = pass(context.Background(), time.Millisecond)
	if d.life.w.since(syncHangs, d.life.w.fate.syncHangs) {
		d.life.w.happens(string(syncHangs))
		_ = pass(context.Background(), 20*time.Second)
	}
	if d.life.isDead() {
		return errDead
	}
	if d.life.w.syncIsLost() {
		d.life.w.happens(string(syncFails))
		return &os.PathError{Op: "sync", Path: "journal", Err: syscall.EIO}
	}
	s.mu.Lock()
	s.synced = max(s.synced, end)
	s.mu.Unlock()
	return d.life.at("after it synced")
}

func (d *disk) Allocate(off, n int64) error {
	if err := d.life.at("before it reserves space"); err != nil {
		return err
	}
	d.stored.mu.Lock()
	defer d.stored.mu.Unlock()
	if d.life.w.diskIsFull() && off+n > d.stored.allocated {
		d.life.w.happens(string(diskFills))
		return &os.PathError{Op: "allocate", Path: "journal", Err: syscall.ENOSPC}
	}
	if err := d.File.Allocate(off, n); err != nil {
		return err
	}
	d.stored.allocated = max(d.stored.allocated, off+n)
	return nil
}

// diary is the journal as the engine's run sees it: while the engine is suspended it
// writes nothing.
type diary struct {
	life   *life
	writer *journal.Writer
}

func (d diary) Append(data journal.Data) (journal.Event, error) {
	if err := d.life.awake(); err != nil {
		return journal.Event{}, err
	}
	e, err := d.writer.Append(data)
	if err == nil {
		d.life.w.say("%s writes %s", d.life.kind, data.EventType())
	}
	return e, err
}

func (d diary) Sync() error {
	if err := d.life.awake(); err != nil {
		return err
	}
	return d.writer.Sync()
}

func (d diary) Reserve(n int64) error {
	if err := d.life.awake(); err != nil {
		return err
	}
	return d.writer.Reserve(n)
}
