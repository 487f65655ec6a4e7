package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/faultline-go/faultline/sdk/arbiter"
)

func openStore(t *testing.T) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func create(t *testing.T, s *Store, run string) *Writer {
	t.Helper()
	w, err := s.Create(run)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

func write(t *testing.T, w *Writer, all ...Data) []Event {
	t.Helper()
	var out []Event
	for _, d := range all {
		e, err := w.Append(d)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	if err := w.Sync(); err != nil {
		t.Fatal(err)
	}
	return out
}

func start(name string) *RunStarted {
	return &RunStarted{Run: "r", Scenario: Scenario{Name: name}, Plan: json.RawMessage(`{"a": [1, 2]}`)}
}

func TestDefaultDir(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		uid  int
		want string
	}{
		{map[string]string{"FAULTLINE_STATE_DIR": "/x", "HOME": "/home/a"}, 0, "/x"},
		{map[string]string{"XDG_STATE_HOME": "/s"}, 0, "/var/lib/faultline"},
		{map[string]string{"XDG_STATE_HOME": "/s", "HOME": "/home/a"}, 1000, "/s/faultline"},
		{map[string]string{"XDG_STATE_HOME": "relative", "HOME": "/home/a"}, 1000, "/home/a/.local/state/faultline"},
		{nil, 1000, ""},
	} {
		if got := defaultDir(func(k string) string { return c.env[k] }, c.uid); got != c.want {
			t.Errorf("defaultDir(%v, uid %d) = %q, want %q", c.env, c.uid, got, c.want)
		}
	}
}

// Who could write a journal could have any program executed.
func TestAStateFolderOfEverybody(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil { // as a mounted volume is
		t.Fatal(err)
	}
	if _, err := Open(dir); err != nil {
		t.Errorf("a folder of everybody's with our own in it: %v", err)
	}
	if err := os.Chmod(filepath.Join(dir, runsFolder), 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "chmod o-w "+dir) {
		t.Errorf("journals that everybody may write: %v", err)
	}
}

func TestRunIDsSortByTimeAndAreFileNames(t *testing.T) {
	at := time.Date(2026, 11, 22, 23, 59, 59, 5e8, time.FixedZone("", 3600))
	var ids []string
	for i := range 2000 {
		id := NewRunID(at.Add(time.Duration(i)*time.Second), []string{"Checkout / größer!", "", "../..", strings.Repeat("x", 500)}[i%4])
		if err := checkRunID(id); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if !slices.IsSorted(ids) {
		t.Error("ids do not sort by time")
	}
	if first, second := NewRunID(at, "a"), NewRunID(at, "a"); first == second {
		t.Error("two runs of the same moment have the same id")
	}
	if want := "20261122-225959.500-checkout-gr-er-"; !strings.HasPrefix(ids[0], want) {
		t.Errorf("id %s does not start with %s", ids[0], want)
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	s := openStore(t)
	w := create(t, s, "a")
	value := 1.5
	written := write(t, w,
		start("checkout <&> \u2028"),
		&Samples{Probe: "http.x", Start: time.Now().UTC().Round(0), Offset: []int64{0}, Status: "o", Latency: []int64{5}, Value: []*float64{&value}, Good: map[string]string{"a": "1"}},
		&FaultIntent{ID: "f1", Config: json.RawMessage(`{}`), Targets: []TargetIntent{{ID: "x", Undo: json.RawMessage(`{"pid":1}`)}}},
		&RunEnded{By: "engine"},
	)
	log, err := ReadAll(w.Dir())
	if err != nil || log.Torn != nil {
		t.Fatal(err, log.Torn)
	}
	written[0].Data.(*RunStarted).Plan = json.RawMessage(`{"a":[1,2]}`)
	if !reflect.DeepEqual(log.Events, written) {
		t.Errorf("read\n%+v\nwant\n%+v", log.Events, written)
	}
	for path, want := range map[string]os.FileMode{
		s.Dir(): 0o700, filepath.Join(s.Dir(), "runs"): 0o700, w.Dir(): 0o700,
		filepath.Join(w.Dir(), FileName): 0o600, filepath.Join(w.Dir(), "lock"): 0o600,
	} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %o, want %o", path, info.Mode().Perm(), want)
		}
	}
	if epoch, err := arbiter.Dir(w.Dir()).Epoch(); epoch != 1 || err != nil {
		t.Errorf("epoch %d, %v; want 1", epoch, err)
	}
}

func TestAppendRefusesWhatCouldNotBeRead(t *testing.T) {
	w := create(t, openStore(t), "a")
	if _, err := w.Append(stranger{}); err == nil {
		t.Error("an unknown event was written")
	}
	nan := 0.0
	nan /= nan
	if _, err := w.Append(&EarlyStop{E: nan}); err == nil {
		t.Error("NaN was written")
	}
	events := write(t, w, start("x"))
	if events[0].Seq != 1 {
		t.Errorf("first event has number %d", events[0].Seq)
	}
}

type stranger struct{}

func (stranger) EventType() string { return "stranger" }

func TestTakeOver(t *testing.T) {
	s := openStore(t)
	w := create(t, s, "a")
	write(t, w, start("x"), &FaultIntent{ID: "f"})
	if _, err := s.TakeOver("a"); !errors.Is(err, ErrLive) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Fatalf("TakeOver of a live run: %v", err)
	}
	if r, err := s.Run("a"); err != nil || !r.Live || r.Finished {
		t.Errorf("live run: %+v, %v", r, err)
	}
	w.Close()

	torn := `{"v":1,"seq":3,"t":"2026`
	path := filepath.Join(w.Dir(), FileName)
	appendTo(t, path, torn)
	log, err := ReadAll(path)
	if err != nil || !errors.Is(log.Torn, ErrTorn) || len(log.Events) != 2 {
		t.Fatalf("torn journal: %v, torn %v, %d events", err, log.Torn, len(log.Events))
	}

	w, err = s.TakeOver("a")
	if err != nil {
		t.Fatal(err)
	}
	e := write(t, w, &Takeover{By: "recover"}, &RunEnded{By: "recover"})
	if e[0].Epoch != 2 || e[0].Seq != 3 {
		t.Errorf("after the takeover: epoch %d, event %d; want 2, 3", e[0].Epoch, e[0].Seq)
	}
	if aside, _ := os.ReadFile(filepath.Join(w.Dir(), "torn-2")); string(aside) != torn {
		t.Errorf("put aside %q, want %q", aside, torn)
	}
	if epoch, _ := arbiter.Dir(w.Dir()).Epoch(); epoch != 2 {
		t.Errorf("epoch is %d, want 2", epoch)
	}
	w.Close()
	log, err = ReadAll(path)
	if err != nil || log.Torn != nil || len(log.Events) != 4 {
		t.Fatalf("after the takeover: %v, torn %v, %d events", err, log.Torn, len(log.Events))
	}
	if r, err := s.Run("a"); err != nil || r.Live || !r.Finished || r.Scenario.Name != "x" {
		t.Errorf("finished run: %+v, %v", r, err)
	}
	if _, err := s.TakeOver("b"); !errors.Is(err, ErrNoRun) {
		t.Errorf("TakeOver of no run: %v", err)
	}
	if _, err := s.TakeOver("../runs/a"); err == nil || errors.Is(err, ErrNoRun) {
		t.Errorf("TakeOver of a path: %v", err)
	}
}

func TestTakeOverRefusesDamage(t *testing.T) {
	s := openStore(t)
	w := create(t, s, "a")
	write(t, w, start("x"), &Mark{What: "note", Text: "one"}, &Mark{What: "note", Text: "two"})
	w.Close()
	path := filepath.Join(w.Dir(), FileName)
	raw, _ := os.ReadFile(path)
	if err := os.WriteFile(path, []byte(strings.Replace(string(raw), "one", "eno", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.TakeOver("a"); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), FileName+":2:") {
		t.Errorf("TakeOver of a damaged journal: %v", err)
	}
	if after, _ := os.ReadFile(path); len(after) != len(raw) {
		t.Error("the damaged journal was changed")
	}
	if r, _ := s.Run("a"); r.Live {
		t.Error("the refused takeover keeps the lock")
	}
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func TestRuns(t *testing.T) {
	s := openStore(t)
	if _, err := s.Latest(); !errors.Is(err, ErrNoRun) {
		t.Errorf("Latest of no runs: %v", err)
	}
	at := time.Now()
	for i := range 30 {
		w := create(t, s, NewRunID(at.Add(time.Duration(i)*time.Second), "s"))
		first := start(fmt.Sprintf("s%d", i))
		first.Plan, _ = json.Marshal(strings.Repeat("x", i*10_000)) // plans may be large
		write(t, w, first)
		if i%2 == 0 {
			write(t, w, &RunEnded{By: "engine", Error: strings.Repeat("e", i*1000)})
		}
		if i != 29 {
			w.Close()
		}
	}
	empty := create(t, s, NewRunID(at.Add(time.Hour), "died-early"))
	empty.Close()
	runs, err := s.Runs()
	if err != nil || len(runs) != 31 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	for i, r := range runs[:30] {
		if r.Err != nil || r.Scenario.Name != fmt.Sprintf("s%d", i) || r.Finished != (i%2 == 0) || r.Live != (i == 29) || time.Since(r.Started) > time.Minute || r.Last.Before(r.Started) {
			t.Errorf("run %d: %+v", i, r)
		}
	}
	if runs[30].Err == nil {
		t.Error("a run without an event has no error")
	}
	latest, err := s.Latest()
	if err != nil || latest.ID != runs[29].ID {
		t.Errorf("latest is %s, %v", latest.ID, err)
	}
	if _, err := s.Run("nope"); !errors.Is(err, ErrNoRun) {
		t.Errorf("Run of no run: %v", err)
	}
	if _, err := s.Create(runs[3].ID); err == nil {
		t.Error("an existing run was created again")
	}
}

func TestOpenSaysWhatToDo(t *testing.T) {
	for _, dir := range []string{"", "/proc/no-state-here"} {
		_, err := Open(dir)
		if err == nil || !strings.Contains(err.Error(), "set -state-dir or FAULTLINE_STATE_DIR") {
			t.Errorf("Open(%q): %v", dir, err)
		}
	}
	s, err := OpenRead(filepath.Join(t.TempDir(), "missing"))
	if err != nil {
		t.Fatal(err)
	}
	if runs, err := s.Runs(); len(runs) != 0 || err != nil {
		t.Errorf("runs of a missing place: %v, %v", runs, err)
	}
}

func TestLockIsCloseOnExec(t *testing.T) {
	w := create(t, openStore(t), "a")
	for _, f := range []*os.File{w.lock, w.file.(diskFile).File} {
		flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, f.Fd(), syscall.F_GETFD, 0)
		if errno != 0 || flags&syscall.FD_CLOEXEC == 0 {
			t.Errorf("%s is not close-on-exec (%v)", f.Name(), errno)
		}
	}
}
