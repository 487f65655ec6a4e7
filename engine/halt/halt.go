// Package halt is the big red button: a file in the state folder that stops every run
// and lets no new one begin until somebody releases it with a reason.
//
// It is a file, and not a message, so that it works from any terminal, for runs that
// hang, and across a reboot. Both acts are kept in a log beside it.
package halt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/faultline-go/faultline/engine/durable"
)

const (
	haltFile = "halt.json"
	logFile  = "halts.jsonl"
	// poll is how often a run looks: it must have stopped within a second.
	poll = 200 * time.Millisecond
)

// Halt is a halt in force, or an entry of the log.
type Halt struct {
	Format int       `json:"format"`
	Action string    `json:"action"` // halt, release, drill
	Reason string    `json:"reason"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	// Unexplained says that nobody has given a reason: the next who halts can give one.
	Unexplained bool `json:"unexplained,omitempty"`

	// What only a drill has.
	Took time.Duration `json:"took_ns,omitempty"` // from the halt to verified clean
	Runs int           `json:"runs,omitempty"`    // that were stopped
}

const format = 1

// ErrNone says that no halt is in force.
var ErrNone = errors.New("no halt is in force")

// Get returns the halt in force, or ErrNone. A file that cannot be read is a halt all
// the same: whoever wrote it wanted things to stop.
func Get(dir string) (Halt, error) {
	raw, err := os.ReadFile(filepath.Join(dir, haltFile))
	if errors.Is(err, fs.ErrNotExist) {
		return Halt{}, ErrNone
	}
	h := Halt{Reason: "unknown: " + haltFile + " cannot be read"}
	if err != nil {
		return h, nil
	}
	if err := json.Unmarshal(raw, &h); err != nil {
		return Halt{Reason: "unknown: " + haltFile + " is damaged"}, nil
	}
	return h, nil
}

// Put stops everything. Without a reason it says who gave none, and where. A halt in force
// stays as it was, with the first reason, and is returned.
func Put(dir, reason, by string) (Halt, error) {
	h, err := Get(dir)
	inForce := err == nil
	switch {
	case inForce && (reason == "" || !h.Unexplained):
		return h, nil
	case inForce:
		h.Reason, h.Unexplained = reason, false
	default:
		h = Halt{Format: format, Action: "halt", Reason: reason, By: by, At: time.Now().UTC(), Unexplained: reason == ""}
	}
	if h.Unexplained {
		h.Reason = "no reason was given by " + by
		if host, err := os.Hostname(); err == nil {
			h.Reason += " on " + host
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return h, fmt.Errorf("halt: %w", err)
	}
	raw, err := json.Marshal(h)
	if err != nil {
		return h, fmt.Errorf("halt: %w", err)
	}
	if err := durable.WriteFile(filepath.Join(dir, haltFile), append(raw, '\n'), 0o600); err != nil {
		return h, fmt.Errorf("halt: %w", err)
	}
	return h, log(dir, h)
}

// Release lets runs begin again; ErrNone when no halt is in force.
func Release(dir, reason, by string) error {
	if _, err := Get(dir); err != nil {
		return err
	}
	// The log first: a halt whose release is not on record goes on.
	if err := log(dir, Halt{Format: format, Action: "release", Reason: reason, By: by, At: time.Now().UTC()}); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(dir, haltFile)); err != nil {
		return fmt.Errorf("release the halt: %w", err)
	}
	return nil
}

// Wait returns the halt as soon as one is in force, or an error when ctx ends.
func Wait(ctx context.Context, dir string) (Halt, error) {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		if h, err := Get(dir); err == nil {
			return h, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return Halt{}, ctx.Err()
		}
	}
}

// log adds an entry to the log of halts.
func log(dir string, h Halt) error {
	raw, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("log the %s: %w", h.Action, err)
	}
	f, err := os.OpenFile(filepath.Join(dir, logFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("log the %s: %w", h.Action, err)
	}
	_, err = f.Write(append(raw, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("log the %s: %w", h.Action, err)
	}
	return nil
}
