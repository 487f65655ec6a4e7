package selftest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
)

// pollJournal is how soon an event is seen after it was written.
const pollJournal = 2 * time.Millisecond

// lead is how long before its planned end a fault's revert counts as near.
const lead = 60 * time.Millisecond

// errNoEvent says that a busy machine has not let a case come to what it is about: its
// run ended before the accident's event, because the baseline fell short, or nobody came
// to look while the target was broken. It can be tried again.
var errNoEvent = errors.New("the run ended before")

// tail reads a journal while it is written. It checks nothing: that comes when the
// run is over.
type tail struct {
	file *os.File
	rest []byte
}

// awaitRun waits for the one run of a state folder, and returns its folder and
// journal. over is closed when its engine has ended.
func awaitRun(ctx context.Context, state string, over <-chan struct{}) (string, *tail, error) {
	for last := false; ; {
		found, err := filepath.Glob(filepath.Join(state, "runs", "*", journal.FileName))
		if err != nil {
			return "", nil, err
		}
		if len(found) == 1 {
			f, err := os.Open(found[0])
			return filepath.Dir(found[0]), &tail{file: f}, err
		}
		if last {
			return "", nil, errors.New("the engine ended without a run")
		}
		select {
		case <-ctx.Done():
			return "", nil, context.Cause(ctx)
		case <-over:
			last = true
		case <-time.After(pollJournal):
		}
	}
}

// line is what the self-test needs of an event.
type line struct {
	Type string    `json:"type"`
	Time time.Time `json:"t"`
	Data struct {
		Phase       journal.Phase            `json:"phase"`
		Lease       time.Duration            `json:"lease_ns"`
		Hold        string                   `json:"hold"`
		Experiments []journal.ExperimentSpec `json:"experiments"`
	} `json:"data"`
}

// next returns the next event.
func (t *tail) next(ctx context.Context, over <-chan struct{}) (line, error) {
	buf := make([]byte, 64<<10)
	for last := false; ; {
		if i := bytes.IndexByte(t.rest, '\n'); i >= 0 {
			var l line
			err := json.Unmarshal(t.rest[:i], &l)
			t.rest = t.rest[i+1:]
			return l, err
		}
		n, err := t.file.Read(buf)
		t.rest = append(t.rest, buf[:n]...)
		if n > 0 {
			continue
		}
		if err != nil && !isEOF(err) {
			return line{}, err
		}
		if last {
			return line{}, errNoEvent
		}
		select {
		case <-ctx.Done():
			return line{}, context.Cause(ctx)
		case <-over:
			last = true
		case <-time.After(pollJournal):
		}
	}
}

// facts are what is known of a run from its events so far.
type facts struct {
	lease    time.Duration
	hold     string
	duration time.Duration // planned, of the first fault
	intent   bool          // the first fault was begun
	active   time.Time     // it was in
}

func (k *facts) take(l line) {
	switch l.Type {
	case string(RunStarted):
		for _, x := range l.Data.Experiments {
			for _, f := range x.Faults {
				if k.duration == 0 {
					k.duration = f.Duration
				}
			}
		}
	case string(FaultIntent):
		if !k.intent {
			k.intent, k.lease, k.hold = true, l.Data.Lease, l.Data.Hold
		}
	case string(FaultActive):
		if k.active.IsZero() {
			k.active = l.Time
		}
	}
}

// await waits for a case's event. start is called once, at the run's first event.
func (t *tail) await(ctx context.Context, c Case, over <-chan struct{}, start func() error) (*facts, error) {
	k := &facts{}
	for {
		l, err := t.next(ctx, over)
		if err != nil {
			return k, fmt.Errorf("wait for %s: %w", c.Event, err)
		}
		k.take(l)
		if l.Type == string(RunStarted) {
			if err := start(); err != nil {
				return k, err
			}
		}
		switch {
		case l.Type == string(c.Event):
		case c.Event == InBaseline && l.Type == "phase.started" && l.Data.Phase == journal.Baseline:
		case c.Event == BeforeRevert && l.Type == string(FaultActive):
			pause(ctx, time.Until(k.active.Add(k.duration-lead)))
		default:
			continue
		}
		pause(ctx, c.Delay)
		return k, nil
	}
}
