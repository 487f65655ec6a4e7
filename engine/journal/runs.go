package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// RunInfo is what a list of runs shows, read from the two ends of a journal.
type RunInfo struct {
	ID       string
	Dir      string
	Scenario Scenario  // of the first event
	Started  time.Time // when that was written
	Last     time.Time // when the last whole event was written
	Finished bool      // the last event is run.ended; the next three are from it
	Verdict  string    // what judge made of the run when it ended
	ExitCode int       // that goes with it
	Residue  int       // targets that could not be put back
	Live     bool      // a process holds the run
	Owner    int       // that process, when it is live; 0: not known
	Err      error     // why the rest could not be read: the run died before its first event, or is damaged
}

// Runs lists all runs by time, oldest first. It reads little of each: the beginning
// and the end of its journal.
func (s *Store) Runs() ([]RunInfo, error) {
	ids, err := s.ids()
	if err != nil {
		return nil, err
	}
	out := make([]RunInfo, len(ids))
	for i, id := range ids {
		out[i] = s.info(id)
	}
	return out, nil
}

// Run says what Runs does of one run.
func (s *Store) Run(id string) (RunInfo, error) {
	if err := checkRunID(id); err != nil {
		return RunInfo{}, err
	}
	if _, err := os.Stat(s.RunDir(id)); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = ErrNoRun
		}
		return RunInfo{}, fmt.Errorf("run %s in %s: %w", id, s.dir, err)
	}
	return s.info(id), nil
}

// Stamp tells whether a journal has changed since somebody read it.
type Stamp struct {
	ID      string
	Size    int64     // bytes; -1: there is no journal
	Written time.Time // when it last changed
}

// Stamps lists what Runs does, and opens no journal.
func (s *Store) Stamps() ([]Stamp, error) {
	ids, err := s.ids()
	if err != nil {
		return nil, err
	}
	if len(ids) == 0 {
		return nil, nil
	}
	// From the folder on, as there may be thousands: a whole path takes longer.
	folder, err := os.Open(filepath.Join(s.dir, runsFolder))
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	defer folder.Close()
	out := make([]Stamp, len(ids))
	for i, id := range ids {
		out[i] = Stamp{ID: id, Size: -1}
		var st unix.Stat_t
		if unix.Fstatat(int(folder.Fd()), id+"/"+FileName, &st, unix.AT_SYMLINK_NOFOLLOW) == nil {
			out[i].Size, out[i].Written = st.Size, time.Unix(st.Mtim.Unix())
		}
	}
	return out, nil
}

// Latest is the newest run that has recorded anything; ErrNoRun when there is none.
func (s *Store) Latest() (RunInfo, error) {
	ids, err := s.ids()
	if err != nil {
		return RunInfo{}, err
	}
	for i := len(ids) - 1; i >= 0; i-- {
		if r := s.info(ids[i]); r.Err == nil {
			return r, nil
		}
	}
	return RunInfo{}, fmt.Errorf("no run in %s yet: %w", s.dir, ErrNoRun)
}

// ids lists the runs, oldest first: their names sort by time.
func (s *Store) ids() ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(s.dir, runsFolder))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	var ids []string
	for _, e := range entries {
		if e.IsDir() && isRunID(e.Name()) {
			ids = append(ids, e.Name())
		}
	}
	return ids, nil
}

func (s *Store) info(id string) RunInfo {
	r := RunInfo{ID: id, Dir: s.RunDir(id)}
	if r.Live = live(r.Dir); r.Live {
		r.Owner = owner(r.Dir)
	}
	f, err := os.Open(filepath.Join(r.Dir, FileName))
	if err != nil {
		r.Err = err
		return r
	}
	defer f.Close()
	first, scenario, err := readStart(f)
	if err != nil {
		r.Err = fmt.Errorf("%s: %w", f.Name(), err)
		return r
	}
	r.Started, r.Scenario = first.Time, scenario
	last, end, err := readEnd(f)
	if err != nil {
		r.Err = fmt.Errorf("%s: %w", f.Name(), err)
		return r
	}
	r.Last = last.Time
	if end != nil {
		r.Finished, r.Verdict, r.ExitCode, r.Residue = true, end.Verdict, end.ExitCode, end.Residue
	}
	return r
}

// readStart reads the beginning of the first line, up to the scenario: the plan that
// follows may be large.
func readStart(f *os.File) (h head, s Scenario, err error) {
	d := json.NewDecoder(io.LimitReader(f, longestLine))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return h, s, fmt.Errorf("the first event is not whole")
	}
	members := map[string]any{"v": &h.V, "seq": &h.Seq, "t": &h.Time, "epoch": &h.Epoch, "type": &h.Type}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return h, s, fmt.Errorf("the first event is not whole")
		}
		switch {
		case name == "v":
			if err := d.Decode(&h.V); err != nil {
				return h, s, fmt.Errorf("%w: no event of a journal", ErrDamaged)
			}
			if h.V > Version {
				return h, s, fmt.Errorf("format %d, this faultline reads up to %d: %w", h.V, Version, ErrTooNew)
			}
		case name == "data":
			if want := (*RunStarted)(nil).EventType(); h.Type != want {
				return h, s, fmt.Errorf("%w: the first event is %q, not %q", ErrDamaged, h.Type, want)
			}
			// Go on inside: run and scenario are its first members.
			if t, err := d.Token(); err != nil || t != json.Delim('{') {
				return h, s, fmt.Errorf("the first event is not whole")
			}
			members = map[string]any{"scenario": &s}
		case members[fmt.Sprint(name)] != nil:
			if err := d.Decode(members[fmt.Sprint(name)]); err != nil {
				return h, s, fmt.Errorf("the first event is not whole")
			}
			if name == "scenario" {
				return h, s, nil
			}
		default:
			var skip json.RawMessage
			if err := d.Decode(&skip); err != nil {
				return h, s, fmt.Errorf("the first event is not whole")
			}
		}
	}
	return h, s, fmt.Errorf("the first event is not whole")
}

// readEnd reads the last whole line, from the end of the file; ended is nil when it
// is not a RunEnded. It checks no sums.
func readEnd(f *os.File) (h head, ended *RunEnded, err error) {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return h, nil, err
	}
	for window := int64(4 << 10); ; window *= 8 {
		from := max(0, size-window)
		tail := make([]byte, size-from)
		if _, err := f.ReadAt(tail, from); err != nil {
			return h, nil, err
		}
		end := bytes.LastIndexByte(tail, '\n')
		begin := bytes.LastIndexByte(tail[:max(end, 0)], '\n') + 1
		if end >= 0 && (begin > 0 || from == 0) {
			if err := json.Unmarshal(tail[begin:end], &h); err != nil {
				return h, nil, fmt.Errorf("%w: the last event: %w", ErrDamaged, err)
			}
			if h.Type != ended.EventType() {
				return h, nil, nil
			}
			var line struct{ Data RunEnded }
			if err := json.Unmarshal(tail[begin:end], &line); err != nil {
				return h, nil, fmt.Errorf("%w: the last event: %w", ErrDamaged, err)
			}
			return h, &line.Data, nil
		}
		if from == 0 {
			return h, nil, fmt.Errorf("the first event is not whole")
		}
		if window > longestLine {
			return h, nil, fmt.Errorf("%w: a line is longer than %d bytes", ErrDamaged, longestLine)
		}
	}
}
