// Package hold is where a run at a hold point and a person at another terminal meet: the
// run writes its question into its folder, and looks for an answer beside it.
//
// Files, and not a socket, so that it works from any terminal of the machine and leaves
// in the run's folder what was asked and answered.
package hold

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

const (
	folder = "prompts"
	format = 1
	poll   = 200 * time.Millisecond
)

// Question is a hold point that waits.
type Question struct {
	Format     int       `json:"format"`
	Number     int       `json:"number"` // 1, 2, … in its run
	Experiment string    `json:"experiment"`
	Prompt     string    `json:"prompt"`
	Text       string    `json:"text"`
	Default    string    `json:"default"`
	At         time.Time `json:"at"`
}

// Answer is what somebody said.
type Answer struct {
	Format int       `json:"format"`
	Answer string    `json:"answer"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
}

// ErrAnswered says that somebody was quicker.
var ErrAnswered = errors.New("it has been answered already")

func path(run string, number int, what string) string {
	return filepath.Join(run, folder, strconv.Itoa(number)+"."+what+".json")
}

// Ask puts a question into a run's folder; Wait returns its answer.
func Ask(run string, q Question) error {
	if err := os.MkdirAll(filepath.Join(run, folder), 0o700); err != nil {
		return fmt.Errorf("ask: %w", err)
	}
	q.Format = format
	if err := write(path(run, q.Number, "question"), q); err != nil {
		return fmt.Errorf("ask: %w", err)
	}
	return nil
}

// Wait returns the answer to a question as soon as there is one, or an error when ctx
// ends.
func Wait(ctx context.Context, run string, number int) (Answer, error) {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		var a Answer
		if err := read(path(run, number, "answer"), &a); err == nil {
			return a, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return Answer{}, ctx.Err()
		}
	}
}

// Close says that nobody waits for an answer any more: by is who or what gave it.
func Close(run string, number int, a Answer) error {
	err := Give(run, number, a)
	if errors.Is(err, ErrAnswered) {
		return nil
	}
	return err
}

// Give answers a question; the first answer stays.
func Give(run string, number int, a Answer) error {
	if _, err := os.Stat(path(run, number, "question")); err != nil {
		return fmt.Errorf("answer: there is no question %d: %w", number, err)
	}
	a.Format = format
	err := write(path(run, number, "answer"), a)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("answer: %w", ErrAnswered)
	}
	if err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	return nil
}

// Open lists the questions of a run that have no answer yet, in order.
func Open(run string) ([]Question, error) {
	var out []Question
	for n := 1; ; n++ {
		var q Question
		err := read(path(run, n, "question"), &q)
		if errors.Is(err, fs.ErrNotExist) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		if _, err := os.Stat(path(run, n, "answer")); errors.Is(err, fs.ErrNotExist) {
			out = append(out, q)
		}
	}
}

func read(path string, into any) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

// write makes a file appear whole, if it is not there yet.
func write(path string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(raw, '\n'))
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return os.Link(f.Name(), path) // unlike a rename, this fails where there is one
}
