package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
)

const manyRuns = 5000

// history measures the list of thousands of runs: copies, by name only, of the first
// run that was measured here.
func (b *benches) history() ([]row, error) {
	store, err := journal.OpenRead(filepath.Join(b.dir, "state"))
	if err != nil {
		return nil, err
	}
	runs, err := store.Runs()
	if err != nil {
		return nil, err
	}
	if len(runs) == 0 {
		return nil, errors.New("it copies a run: measure overhead or probe as well")
	}
	run := runs[0]
	many, err := journal.Open(filepath.Join(b.dir, "many"))
	if err != nil {
		return nil, err
	}
	for i := range manyRuns {
		dir := many.RunDir(journal.NewRunID(run.Started.Add(time.Duration(i)*time.Minute), "bench"))
		if err := os.Mkdir(dir, 0o700); err != nil {
			return nil, err
		}
		if err := os.Link(filepath.Join(run.Dir, journal.FileName), filepath.Join(dir, journal.FileName)); err != nil {
			return nil, err
		}
	}
	size, err := os.Stat(filepath.Join(run.Dir, journal.FileName))
	if err != nil {
		return nil, err
	}
	flags := []string{"-state-dir", many.Dir()}
	reindex, _, err := timed(b.command(append([]string{"history", "-reindex"}, flags...)...))
	if err != nil {
		return nil, err
	}
	start, err := b.repeat(10, "version")
	if err != nil {
		return nil, err
	}
	list, err := b.repeat(10, append([]string{"history"}, flags...)...)
	if err != nil {
		return nil, err
	}
	all, err := b.repeat(5, append([]string{"history", "-format", "json"}, flags...)...)
	if err != nil {
		return nil, err
	}
	index, err := os.Stat(filepath.Join(many.Dir(), "history.db"))
	if err != nil {
		return nil, err
	}
	return []row{
		{fmt.Sprintf("history of %d runs, the latest 100", manyRuns), ms(list), "version: " + ms(start), "< 100 ms"},
		{"  all of them, as JSON", ms(all), fmt.Sprintf("index: %d kB", index.Size()>>10), ""},
		{"  -reindex", ms(reindex), fmt.Sprintf("%.1f ms a run of %d kB", float64(reindex)/1e6/manyRuns, size.Size()>>10), ""},
	}, nil
}
