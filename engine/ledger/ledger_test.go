package ledger

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func turn(group, run string, at time.Time) Entry {
	return Entry{Group: group, At: at, Run: run, Host: "here", Experiment: "monkey", Targets: []string{"web1"}}
}

func always(*Entry) error { return nil }

var errTaken = errors.New("there was a turn already")

func once(last *Entry) error {
	if last != nil {
		return errTaken
	}
	return nil
}

func TestTake(t *testing.T) {
	d := Dir(t.TempDir())
	if last, err := d.Last("shop/web"); err != nil || last != nil {
		t.Fatalf("an empty ledger has %v, %v", last, err)
	}
	for i, at := range []time.Time{noon, noon.Add(48 * time.Hour), noon.Add(24 * time.Hour)} {
		if err := d.Take(t.Context(), turn("shop/web", string(rune('a'+i)), at), always); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Take(t.Context(), turn("shop-web", "other", noon), always); err != nil {
		t.Fatal(err)
	}
	last, err := d.Last("shop/web")
	if err != nil || last.Run != "b" || !last.At.Equal(noon.Add(48*time.Hour)) || last.Targets[0] != "web1" {
		t.Errorf("the last turn is %+v, %v; want b, the latest by its time", last, err)
	}
	if last, _ := d.Last("shop-web"); last == nil || last.Run != "other" {
		t.Errorf("groups whose names look alike share their turns: %+v", last)
	}
	if err := d.Take(t.Context(), turn("shop/web", "late", noon), once); !errors.Is(err, errTaken) {
		t.Errorf("a turn that is not allowed: %v", err)
	}
	if last, _ := d.Last("shop/web"); last.Run != "b" {
		t.Errorf("a turn that was not allowed was written down: %+v", last)
	}
}

// However many want it, one gets it.
func TestOneOfMany(t *testing.T) {
	d := Dir(t.TempDir())
	var mu sync.Mutex
	taken := 0
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			switch err := d.Take(t.Context(), turn("g", "r", noon), once); {
			case err == nil:
				mu.Lock()
				taken++
				mu.Unlock()
			case !errors.Is(err, errTaken):
				t.Error(err)
			}
		})
	}
	all.Wait()
	if taken != 1 {
		t.Errorf("%d took the turn, want 1", taken)
	}
}

func TestDamage(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"no JSON":       {"{\n", "line 1 is damaged"},
		"another group": {`{"format":1,"group":"x","at":"2026-11-25T12:00:00Z"}` + "\n", `no turn of group "g"`},
		"no time":       {`{"format":1,"group":"g"}` + "\n", `no turn of group "g"`},
		"newer":         {`{"format":2,"group":"g","at":"2026-11-25T12:00:00Z"}` + "\n", "upgrade faultline"},
	} {
		t.Run(name, func(t *testing.T) {
			d := Dir(t.TempDir())
			if err := os.WriteFile(d.file("g"), []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := d.Last("g"); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if err := d.Take(t.Context(), turn("g", "r", noon), always); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("a turn was taken all the same: %v", err)
			}
		})
	}
}

// A runner that dies while it writes has done nothing yet.
func TestHalfALine(t *testing.T) {
	d := Dir(t.TempDir())
	if err := d.Take(t.Context(), turn("g", "first", noon), always); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(d.file("g"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"format":1,"group":"g","at":"2026-11-26T`); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if last, err := d.Last("g"); err != nil || last.Run != "first" {
		t.Fatalf("last %+v, %v", last, err)
	}
	if err := d.Take(t.Context(), turn("g", "second", noon.Add(time.Hour)), always); err != nil {
		t.Fatal(err)
	}
	if last, err := d.Last("g"); err != nil || last.Run != "second" {
		t.Errorf("last %+v, %v; want the second", last, err)
	}
}

func TestNoFolder(t *testing.T) {
	d := Dir(filepath.Join(t.TempDir(), "not-mounted"))
	if _, err := d.Last("g"); err == nil {
		t.Error("a folder that is not there is taken for an empty ledger")
	}
	if err := d.Take(t.Context(), turn("g", "r", noon), always); err == nil {
		t.Error("a turn was written to a folder that is not there")
	}
}

// Another process holds the lock: whoever waits gives up with its context, and a dead
// holder holds nothing.
func TestLockOfAnotherProcess(t *testing.T) {
	if _, err := exec.LookPath("flock"); err != nil {
		t.Fatal("flock (util-linux) is needed to hold a lock in another process")
	}
	d := Dir(t.TempDir())
	other := exec.Command("flock", d.file("g"), "sh", "-c", "echo held; read _")
	stdin, err := other.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := stdout.Read(make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := d.Take(ctx, turn("g", "r", noon), always); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while another process holds the ledger: %v", err)
	}
	stdin.Close()
	_ = other.Wait()
	if err := d.Take(t.Context(), turn("g", "r", noon), always); err != nil {
		t.Error(err)
	}
}
