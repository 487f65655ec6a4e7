// Package note is where people tell a run that goes on what they see: a note, or that
// somebody has detected or mitigated the trouble. They write into the run's folder; the
// run takes what it finds there into its journal.
//
// Files, and not a socket, so that it works from any terminal of the machine. A file
// that is gone has been taken: whoever wrote it knows that it is on record.
package note

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	folder  = "notes"
	suffix  = ".json"
	format  = 1
	poll    = 100 * time.Millisecond
	longest = 64 << 10 // bytes of a file: what is longer is no note
)

// Note is what somebody said.
type Note struct {
	Format int       `json:"format"`
	What   string    `json:"what"` // "note", "detected", "mitigated"
	Text   string    `json:"text,omitempty"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
}

// ErrNotTaken says that the run has not taken a note: it is ending, or stopped.
var ErrNotTaken = errors.New("the run has not taken it")

// Leave writes a note into a run's folder and waits until the run has taken it, or ctx
// ends: then it is withdrawn, and the error is ErrNotTaken.
func Leave(ctx context.Context, run string, n Note) error {
	dir := filepath.Join(run, folder)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("leave a note: %w", err)
	}
	n.Format = format
	raw, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("leave a note: %w", err)
	}
	path, err := put(dir, n.At, raw)
	if err != nil {
		return fmt.Errorf("leave a note: %w", err)
	}
	tick := time.NewTicker(poll / 4)
	defer tick.Stop()
	for {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			if err := os.Remove(path); errors.Is(err, fs.ErrNotExist) {
				return nil // taken at the last moment
			}
			return fmt.Errorf("leave a note: %w", ErrNotTaken)
		}
	}
}

// put makes a note appear whole, under a name that sorts by time.
func put(dir string, at time.Time, raw []byte) (string, error) {
	f, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(raw, '\n'))
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return "", err
	}
	unique := strings.TrimPrefix(filepath.Base(f.Name()), ".new-")
	path := filepath.Join(dir, fmt.Sprintf("%020d-%s%s", at.UnixNano(), unique, suffix))
	return path, os.Link(f.Name(), path)
}

// Watch hands every note that is left in a run's folder to take, in the order of their
// times as far as they are there together, until ctx ends. take returns whether the note
// is on record; one that is not is offered again.
func Watch(ctx context.Context, run string, take func(Note) bool) {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		takeAll(filepath.Join(run, folder), take)
	}
}

func takeAll(dir string, take func(Note) bool) {
	entries, err := os.ReadDir(dir) // sorted by name
	if err != nil {
		return // nobody has left any
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || !strings.HasSuffix(e.Name(), suffix) {
			continue
		}
		path := filepath.Join(dir, e.Name())
		n, err := read(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue // withdrawn
		case err != nil:
			// Nobody shall wait for what can never be taken, nor think that it was.
			_ = os.Rename(path, strings.TrimSuffix(path, suffix)+".unreadable")
			continue
		}
		if take(n) {
			_ = os.Remove(path)
		}
	}
}

func read(path string) (Note, error) {
	var n Note
	info, err := os.Lstat(path)
	if err != nil {
		return n, err
	}
	if !info.Mode().IsRegular() || info.Size() > longest {
		return n, errors.New("it is no note")
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return n, err
	}
	if err := json.Unmarshal(raw, &n); err != nil {
		return n, err
	}
	if n.Format > format {
		return n, fmt.Errorf("it has format %d, newer than %d", n.Format, format)
	}
	return n, nil
}
