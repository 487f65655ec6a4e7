package note

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// In a bubble: waiting takes no time, and the order of what happens is certain.
func TestLeaveAndWatch(t *testing.T) {
	run := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		var taken []string
		var watching, leaving sync.WaitGroup
		refused := false
		watching.Go(func() {
			Watch(ctx, run, func(n Note) bool {
				if n.Text == "again" && !refused {
					refused = true
					return false
				}
				taken = append(taken, n.What+" "+n.Text+" by "+n.By)
				return true
			})
		})
		for _, n := range []Note{
			{What: "detected", By: "ada", At: time.Now()},
			{What: "note", Text: "again", By: "bob", At: time.Now().Add(time.Second)},
		} {
			leaving.Go(func() {
				if err := Leave(t.Context(), run, n); err != nil {
					t.Error(err)
				}
			})
		}
		leaving.Wait()
		stop()
		watching.Wait()
		if len(taken) != 2 || taken[0] != "detected  by ada" || taken[1] != "note again by bob" || !refused {
			t.Errorf("taken %q", taken)
		}
	})
	if left, err := os.ReadDir(filepath.Join(run, folder)); err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestANoteThatNobodyTakesIsWithdrawn(t *testing.T) {
	run := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := Leave(ctx, run, Note{What: "note", At: time.Now()}); !errors.Is(err, ErrNotTaken) {
			t.Errorf("error %v", err)
		}
	})
	takeAll(filepath.Join(run, folder), func(n Note) bool {
		t.Errorf("taken after all: %+v", n)
		return true
	})
}

func TestWhatIsNoNoteIsPutAside(t *testing.T) {
	run := t.TempDir()
	dir := filepath.Join(run, folder)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"1.json": "{", "2.json": `{"format":9}`, "3.json": `{"format":1,"what":"note"}`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "0.json")); err != nil {
		t.Fatal(err)
	}
	var taken int
	takeAll(dir, func(Note) bool { taken++; return true })
	if taken != 1 {
		t.Errorf("%d were taken, want 1", taken)
	}
	for _, aside := range []string{"0", "1", "2"} {
		if _, err := os.Lstat(filepath.Join(dir, aside+".unreadable")); err != nil {
			t.Error(err)
		}
	}
}
