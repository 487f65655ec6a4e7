// Package arbiter settles who reverts a fault, between processes that know nothing
// of each other: a plugin whose engine died, the plugin that the engine started in
// its place, the guardian, and `faultline recover`.
//
// The rule is one file lock a fault. Whoever holds faults/<fault>.lock reverts,
// verifies, and writes faults/<fault>.outcome.json; the next one reads that first.
// Beside it the file epoch says which engine the run belongs to now: it rises with
// every takeover, and a plugin injects nothing for an older one.
package arbiter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/faultline-go/faultline/sdk/wire"
)

// Dir is a run's folder.
type Dir string

const (
	epochFile   = "epoch"
	faultFolder = "faults"
)

// Make creates what the arbiter needs inside an existing run folder, with epoch 1.
func (d Dir) Make() error {
	if err := os.MkdirAll(filepath.Join(string(d), faultFolder), 0o700); err != nil {
		return fmt.Errorf("make folder for locks: %w", err)
	}
	return d.SetEpoch(1)
}

// Epoch reads the run's epoch.
func (d Dir) Epoch() (int, error) {
	raw, err := os.ReadFile(filepath.Join(string(d), epochFile))
	if err != nil {
		return 0, fmt.Errorf("read epoch: %w", err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		return 0, fmt.Errorf("read epoch: %w", err)
	}
	return n, nil
}

// SetEpoch writes the run's epoch. Only the holder of the run's lock may.
func (d Dir) SetEpoch(n int) error {
	if err := replace(filepath.Join(string(d), epochFile), []byte(strconv.Itoa(n)+"\n")); err != nil {
		return fmt.Errorf("write epoch: %w", err)
	}
	return nil
}

// Outcome is what became of a fault: one entry for each target settled so far.
type Outcome struct {
	Format  int             `json:"format"`
	Fault   string          `json:"fault"`
	Targets []wire.Reverted `json:"targets"`
}

const outcomeFormat = 1

// ErrTooNew says that a newer program wrote an outcome.
var ErrTooNew = errors.New("newer than this program reads")

// New is the outcome of a fault of which nothing is on record.
func New(fault string) *Outcome { return &Outcome{Format: outcomeFormat, Fault: fault} }

// Of returns the outcome of one target, if it is on record and final: a failed
// revert and a residue are not.
func (o *Outcome) Of(target string) (wire.Reverted, bool) {
	for _, t := range o.Targets {
		if t.Target == target && t.Outcome != wire.OutcomeFailed && !t.Residue {
			return t, true
		}
	}
	return wire.Reverted{}, false
}

// Set records the outcome of one target, in the place of an earlier one.
func (o *Outcome) Set(r wire.Reverted) {
	for i, t := range o.Targets {
		if t.Target == r.Target {
			o.Targets[i] = r
			return
		}
	}
	o.Targets = append(o.Targets, r)
}

// Lock is held by the one process that reverts a fault.
type Lock struct {
	dir   Dir
	fault string
	file  *os.File
}

// plainName says whether an id may be part of a file's name. (Not a regular
// expression: one with a bound takes milliseconds to compile in every process.)
func plainName(id string) bool {
	for i, c := range []byte(id) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-':
		case c == '.' && i > 0:
		default:
			return false
		}
	}
	return 0 < len(id) && len(id) <= longestName
}

const longestName = 120

func (d Dir) path(fault, suffix string) (string, error) {
	if !plainName(fault) {
		return "", fmt.Errorf("fault id %q is not a plain name", fault)
	}
	return filepath.Join(string(d), faultFolder, fault+suffix), nil
}

// pollLock is how often a waiting Lock tries again: flock cannot wait with a
// deadline.
const pollLock = 20 * time.Millisecond

// Lock waits until nobody else reverts the fault, or ctx ends.
func (d Dir) Lock(ctx context.Context, fault string) (*Lock, error) {
	path, err := d.path(fault, ".lock")
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock fault %s: %w", fault, err)
	}
	tick := time.NewTicker(pollLock)
	defer tick.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return &Lock{dir: d, fault: fault, file: f}, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			f.Close()
			return nil, fmt.Errorf("lock fault %s: %w", fault, err)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("lock fault %s: another process is reverting it: %w", fault, ctx.Err())
		case <-tick.C:
		}
	}
}

// Unlock lets the next one have it.
func (l *Lock) Unlock() { l.file.Close() }

// Outcome reads what is on record; an empty Outcome when nothing is.
func (l *Lock) Outcome() (*Outcome, error) { return l.dir.Outcome(l.fault) }

// Outcome reads what is on record of a fault, without its lock: it may change.
func (d Dir) Outcome(fault string) (*Outcome, error) {
	path, err := d.path(fault, ".outcome.json")
	if err != nil {
		return nil, err
	}
	o := New(fault)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return o, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read outcome of fault %s: %w", fault, err)
	}
	if err := json.Unmarshal(raw, o); err != nil {
		return nil, fmt.Errorf("read outcome of fault %s: %w", fault, err)
	}
	if o.Format > outcomeFormat {
		return nil, fmt.Errorf("outcome of fault %s has format %d: %w (%d)", fault, o.Format, ErrTooNew, outcomeFormat)
	}
	return o, nil
}

// Record writes the outcome, whole or not at all.
func (l *Lock) Record(o *Outcome) error {
	path, err := l.dir.path(l.fault, ".outcome.json")
	if err != nil {
		return err
	}
	raw, err := json.MarshalIndent(o, "", "  ")
	if err != nil {
		return fmt.Errorf("encode outcome of fault %s: %w", l.fault, err)
	}
	if err := replace(path, append(raw, '\n')); err != nil {
		return fmt.Errorf("write outcome of fault %s: %w", l.fault, err)
	}
	return nil
}

// replace writes a file whole or not at all, and makes it survive a power loss.
func replace(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // in vain once it is renamed
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
