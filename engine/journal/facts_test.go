package journal

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// ReadFacts tells everything that Read does, but samples, and finds the same damage.
func TestReadFacts(t *testing.T) {
	store, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	store.Clock(func() time.Time { now = now.Add(time.Second); return now })
	w, err := store.Create(NewRunID(now, "facts"))
	if err != nil {
		t.Fatal(err)
	}
	add := func(d Data) {
		t.Helper()
		if e, err := w.Append(d); err != nil || !e.Time.Equal(now) {
			t.Fatal(e, err)
		}
	}
	add(&RunStarted{Run: "facts"})
	for _, s := range usualSamples() {
		add(s)
		add(&Mark{What: "note", Text: s.Probe})
	}
	add(&Samples{Probe: "nothing"}) // not of the usual form
	add(&RunEnded{By: "engine"})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(filepath.Join(w.Dir(), FileName))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), FileName)
	for n := 0; n <= len(whole); n += 7 { // cut here and there, and with a byte changed
		compare(t, path, whole[:n])
		if n < len(whole) {
			changed := append([]byte(nil), whole...)
			changed[n] ^= 1
			compare(t, path, changed)
		}
	}
}

func compare(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	var want, got []Event
	var wantErr, gotErr string
	for e, err := range Read(path) {
		if err != nil {
			wantErr = err.Error()
		} else if _, sample := e.Data.(*Samples); !sample {
			want = append(want, e)
		}
	}
	for e, err := range ReadFacts(path) {
		if err != nil {
			gotErr = err.Error()
		} else {
			got = append(got, e)
		}
	}
	if wantErr != gotErr {
		t.Fatalf("%q and %q", wantErr, gotErr)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatal(d)
	}
}
