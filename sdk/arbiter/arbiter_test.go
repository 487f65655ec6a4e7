package arbiter

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/faultline-go/faultline/sdk/wire"
)

// playEnv makes the test binary play a process that wants to revert.
const playEnv = "ARBITER_TEST_PLAYS"

func TestMain(m *testing.M) {
	if as := os.Getenv(playEnv); as != "" {
		if err := play(Dir(os.Args[1]), as); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// play takes the lock of fault f and reverts, unless an outcome is on record. It
// says what it does on standard output, and holds the lock until its input ends.
func play(d Dir, as string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	lock, err := d.Lock(ctx, "f")
	if err != nil {
		return err
	}
	defer lock.Unlock()
	known, err := lock.Outcome()
	if err != nil {
		return err
	}
	if r, ok := known.Of("a"); ok {
		fmt.Println("found", r.By)
		return nil
	}
	fmt.Println("reverting")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	known.Set(wire.Reverted{Target: "a", Outcome: wire.OutcomeReverted, By: as, At: time.Now()})
	return lock.Record(known)
}

type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.WriteCloser
	out   io.ReadCloser
}

func start(t *testing.T, d Dir, as string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0], string(d))
	cmd.Env = append(os.Environ(), playEnv+"="+as)
	cmd.Stderr = os.Stderr
	p := &process{t: t, cmd: cmd}
	var err error
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if p.out, err = cmd.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return p
}

// says reads the next line.
func (p *process) says() string {
	var line []byte
	one := make([]byte, 1)
	for {
		if _, err := p.out.Read(one); err != nil || one[0] == '\n' {
			return string(line)
		}
		line = append(line, one[0])
	}
}

func newDir(t *testing.T) Dir {
	t.Helper()
	d := Dir(t.TempDir())
	if err := d.Make(); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestOneProcessRevertsAndTheOtherReads(t *testing.T) {
	d := newDir(t)
	all := map[string]*process{}
	said := make(chan [2]string)
	for _, as := range []string{"plugin", "guardian", "recover"} {
		p := start(t, d, as)
		all[as] = p
		go func() { said <- [2]string{as, p.says()} }()
	}
	first := <-said
	if first[1] != "reverting" {
		t.Fatalf("the first one said %q", first[1])
	}
	select {
	case second := <-said:
		t.Fatalf("%s said %q while %s was reverting", second[0], second[1], first[0])
	case <-time.After(5 * pollLock):
	}
	all[first[0]].stdin.Close()
	for range 2 {
		if next := <-said; next[1] != "found "+first[0] {
			t.Errorf("%s said %q", next[0], next[1])
		}
	}
	for as, p := range all {
		if err := p.cmd.Wait(); err != nil {
			t.Errorf("%s: %v", as, err)
		}
	}
	if o, err := d.Outcome("f"); err != nil || len(o.Targets) != 1 || o.Targets[0].By != first[0] {
		t.Errorf("outcome %+v, %v", o, err)
	}
}

func TestADeadProcessHoldsNoLock(t *testing.T) {
	d := newDir(t)
	first := start(t, d, "plugin")
	if said := first.says(); said != "reverting" {
		t.Fatalf("said %q", said)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*pollLock)
	defer cancel()
	if _, err := d.Lock(ctx, "f"); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("lock of a fault that another process reverts: %v", err)
	}
	if err := first.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	second := start(t, d, "guardian")
	if said := second.says(); said != "reverting" {
		t.Errorf("after the first one's death the second said %q", said)
	}
	second.stdin.Close()
	if err := second.cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func TestEpoch(t *testing.T) {
	d := newDir(t)
	if n, err := d.Epoch(); err != nil || n != 1 {
		t.Errorf("a new folder has epoch %d, %v", n, err)
	}
	if err := d.SetEpoch(2); err != nil {
		t.Fatal(err)
	}
	if n, err := d.Epoch(); err != nil || n != 2 {
		t.Errorf("epoch %d, %v", n, err)
	}
	if err := os.WriteFile(filepath.Join(string(d), "epoch"), []byte("two"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Epoch(); err == nil {
		t.Error("an epoch that is no number was read")
	}
	if _, err := Dir(t.TempDir()).Epoch(); err == nil {
		t.Error("an epoch that is not there was read")
	}
}

func TestOutcomeRoundTrip(t *testing.T) {
	d := newDir(t)
	lock, err := d.Lock(t.Context(), "f")
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Unlock()
	o, err := lock.Outcome()
	if err != nil || !reflect.DeepEqual(o, New("f")) {
		t.Fatalf("nothing on record: %+v, %v", o, err)
	}
	when := time.Now().UTC()
	o.Set(wire.Reverted{Target: "a", Outcome: wire.OutcomeFailed, By: "plugin", Residue: true, Err: "hot", At: when})
	o.Set(wire.Reverted{Target: "b", Outcome: wire.OutcomeForeign, By: "plugin", Residue: true, At: when})
	o.Set(wire.Reverted{Target: "c", Outcome: wire.OutcomeGone, By: "plugin", Proof: "no such lamp", At: when})
	if err := lock.Record(o); err != nil {
		t.Fatal(err)
	}
	back, err := d.Outcome("f")
	if err != nil || len(back.Targets) != 3 {
		t.Fatalf("%+v, %v", back, err)
	}
	for target, final := range map[string]bool{"a": false, "b": false, "c": true, "d": false} {
		if _, ok := back.Of(target); ok != final {
			t.Errorf("target %s is final: %v", target, ok)
		}
	}
	back.Set(wire.Reverted{Target: "a", Outcome: wire.OutcomeReverted, By: "recover", At: when})
	if r, ok := back.Of("a"); !ok || r.By != "recover" || len(back.Targets) != 3 {
		t.Errorf("after a second revert: %+v", back.Targets)
	}
}

// A reader without the lock sees the old record or the new one, never half of one.
func TestRecordReplacesWhole(t *testing.T) {
	d := newDir(t)
	lock, err := d.Lock(t.Context(), "f")
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Unlock()
	done := make(chan error, 1)
	stop := make(chan struct{})
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			o, err := d.Outcome("f")
			if err == nil && len(o.Targets) != 0 && len(o.Targets) != 1 && len(o.Targets) != 200 {
				err = fmt.Errorf("%d targets", len(o.Targets))
			}
			if err != nil {
				done <- err
				return
			}
		}
	}()
	short, long := New("f"), New("f")
	short.Set(wire.Reverted{Target: "a"})
	for i := range 200 {
		long.Set(wire.Reverted{Target: fmt.Sprint(i), Proof: strings.Repeat("x", 100)})
	}
	for range 30 {
		if err := errors.Join(lock.Record(short), lock.Record(long)); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	if err := <-done; err != nil {
		t.Errorf("a reader saw %v", err)
	}
	files, err := os.ReadDir(filepath.Join(string(d), "faults"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		names = append(names, f.Name())
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", f.Name(), info.Mode(), err)
		}
	}
	if !reflect.DeepEqual(names, []string{"f.lock", "f.outcome.json"}) {
		t.Errorf("left in the folder: %v", names)
	}
}

func TestBrokenOutcomes(t *testing.T) {
	d := newDir(t)
	path := filepath.Join(string(d), "faults", "f.outcome.json")
	for content, tooNew := range map[string]bool{
		"": false, "{": false, `[]`: false, `{"targets": 3}`: false, "\x00\x00\x00": false, `{"format": 2}`: true,
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if o, err := d.Outcome("f"); err == nil || errors.Is(err, ErrTooNew) != tooNew {
			t.Errorf("%q was read as %+v, %v", content, o, err)
		}
	}
}

func TestFaultIDsAreNoPaths(t *testing.T) {
	d := newDir(t)
	for _, id := range []string{"", ".", "..", "../x", "a/b", ".hidden", "a\x00b", strings.Repeat("a", 121)} {
		if _, err := d.Lock(t.Context(), id); err == nil {
			t.Errorf("fault id %q was accepted", id)
		}
		if _, err := d.Outcome(id); err == nil {
			t.Errorf("fault id %q was accepted", id)
		}
	}
	for _, id := range []string{"lose-one-web.web", "a_b-3", strings.Repeat("a", 120)} {
		lock, err := d.Lock(t.Context(), id)
		if err != nil {
			t.Errorf("fault id %q: %v", id, err)
			continue
		}
		lock.Unlock()
	}
}

func TestLockWithoutAFolder(t *testing.T) {
	if _, err := Dir(filepath.Join(t.TempDir(), "gone")).Lock(t.Context(), "f"); err == nil || !strings.Contains(err.Error(), "lock fault f") {
		t.Errorf("got %v", err)
	}
}

func FuzzOutcome(f *testing.F) {
	raw, err := json.Marshal(New("f"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte(`{"format":1,"targets":[{"target":"a","outcome":"reverted"}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		d := newDir(t)
		if err := os.WriteFile(filepath.Join(string(d), "faults", "f.outcome.json"), raw, 0o600); err != nil {
			t.Fatal(err)
		}
		if o, err := d.Outcome("f"); err == nil {
			if _, ok := o.Of("a"); ok && !bytes.Contains(raw, []byte("a")) && !bytes.Contains(raw, []byte(`\u`)) {
				t.Error("an outcome out of nothing")
			}
		}
	})
}
