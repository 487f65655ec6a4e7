// Package ledger is the record that several runners share of what happens by chance:
// when an experiment of a group took its last turn. A turn is written down, on disk,
// before anything is broken, and under a lock, so that two runners never take the same.
//
// A ledger is a folder with a file a group, of one line of JSON a turn. It lies in a
// state folder, or in one that machines share; its file system must then keep locks
// (flock), as local ones and NFS do.
package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	format     = 1
	pollLock   = 20 * time.Millisecond // flock cannot wait with a deadline
	maxBytes   = 16 << 20              // a file beyond this is no ledger
	longestTag = 60
)

// Entry is one turn.
type Entry struct {
	Format     int       `json:"format"`
	Group      string    `json:"group"`
	At         time.Time `json:"at"`
	Run        string    `json:"run"`
	Host       string    `json:"host"`
	Experiment string    `json:"experiment"`
	Targets    []string  `json:"targets,omitempty"` // for people
}

// Dir is a ledger's folder.
type Dir string

// file is named for people, and by a checksum for groups whose names look alike.
func (d Dir) file(group string) string {
	tag := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_':
			return r
		}
		return '-'
	}, group)
	sum := sha256.Sum256([]byte(group))
	return filepath.Join(string(d), tag[:min(len(tag), longestTag)]+"-"+hex.EncodeToString(sum[:4])+".jsonl")
}

// Last is the latest turn of a group; nil when there was none. It waits for nobody: a
// turn that is being written is seen by Take.
func (d Dir) Last(group string) (*Entry, error) {
	f, err := os.Open(d.file(group))
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(string(d)); err != nil {
			return nil, fmt.Errorf("read the ledger: %w", err)
		}
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	defer f.Close()
	last, _, err := read(f, group)
	return last, err
}

// Take writes a turn down, if allowed says that there may be one after the latest (nil:
// there was none). Its error is returned as it is. When Take has returned nil the turn is
// on disk. It waits for the lock until ctx ends.
func (d Dir) Take(ctx context.Context, e Entry, allowed func(last *Entry) error) error {
	// Everybody who shares the folder writes to it, whoever made the file.
	f, err := os.OpenFile(d.file(e.Group), os.O_CREATE|os.O_RDWR, 0o660)
	if err != nil {
		return fmt.Errorf("open the ledger: %w", err)
	}
	defer f.Close() // and the lock with it
	if err := lock(ctx, f); err != nil {
		return fmt.Errorf("lock the ledger %s: %w", f.Name(), err)
	}
	last, whole, err := read(f, e.Group)
	if err != nil {
		return err
	}
	if err := allowed(last); err != nil {
		return err
	}
	e.Format = format
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("write the ledger: %w", err)
	}
	// Half a line is of a runner that died before it did anything.
	if err := f.Truncate(whole); err != nil {
		return fmt.Errorf("write the ledger: %w", err)
	}
	if _, err := f.WriteAt(append(line, '\n'), whole); err != nil {
		return fmt.Errorf("write the ledger: %w", err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("write the ledger: %w", err)
	}
	if whole == 0 { // the file may be new
		return syncFolder(string(d))
	}
	return nil
}

func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("write the ledger: %w", err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("write the ledger: %w", err)
	}
	return nil
}

func lock(ctx context.Context, f *os.File) error {
	tick := time.NewTicker(pollLock)
	defer tick.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil || !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("another runner holds it: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// read returns the latest turn of a file, and how many bytes of it are whole lines. A
// line that cannot be read is an error: whoever cannot tell when the last turn was must
// not take another.
func read(f *os.File, group string) (last *Entry, whole int64, err error) {
	raw, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err != nil {
		return nil, 0, fmt.Errorf("read the ledger: %w", err)
	}
	if len(raw) > maxBytes {
		return nil, 0, fmt.Errorf("read the ledger %s: it is larger than %d MB", f.Name(), maxBytes>>20)
	}
	for n := 1; ; n++ {
		line, rest, ok := bytes.Cut(raw, []byte("\n"))
		if !ok {
			return last, whole, nil
		}
		e := new(Entry)
		switch err := json.Unmarshal(line, e); {
		case err != nil:
			return nil, 0, fmt.Errorf("read the ledger %s: line %d is damaged: %w", f.Name(), n, err)
		case e.Format > format:
			return nil, 0, fmt.Errorf("read the ledger %s: line %d has format %d, newer than this faultline reads (%d): upgrade faultline", f.Name(), n, e.Format, format)
		case e.Group != group || e.At.IsZero():
			return nil, 0, fmt.Errorf("read the ledger %s: line %d is no turn of group %q", f.Name(), n, group)
		}
		if last == nil || e.At.After(last.At) {
			last = e
		}
		whole += int64(len(line)) + 1
		raw = rest
	}
}
