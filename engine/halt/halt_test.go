package halt_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/faultline-go/faultline/engine/halt"
)

func TestHaltAndRelease(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	if _, err := halt.Get(dir); !errors.Is(err, halt.ErrNone) {
		t.Fatalf("without a halt: %v", err)
	}
	if err := halt.Release(dir, "why not", "me"); !errors.Is(err, halt.ErrNone) {
		t.Fatalf("release of nothing: %v", err)
	}
	if _, err := halt.Put(dir, "checkout is down", "ann"); err != nil {
		t.Fatal(err)
	}
	second, err := halt.Put(dir, "me too", "bob")
	if err != nil || second.Reason != "checkout is down" || second.By != "ann" {
		t.Errorf("a second halt: %+v, %v; the first must stay", second, err)
	}
	h, err := halt.Wait(context.Background(), dir)
	if err != nil || h.Reason != "checkout is down" || h.At.IsZero() {
		t.Errorf("waited for %+v, %v", h, err)
	}
	if err := halt.Release(dir, "fixed", "ann"); err != nil {
		t.Fatal(err)
	}
	if _, err := halt.Get(dir); !errors.Is(err, halt.ErrNone) {
		t.Errorf("after the release: %v", err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "halts.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(string(raw), "\n"); lines != 2 || !strings.Contains(string(raw), `"fixed"`) {
		t.Errorf("the log has %d lines:\n%s", lines, raw)
	}
}

// Whoever must stop everything now need not say why; later somebody can.
func TestHaltWithoutReason(t *testing.T) {
	dir := t.TempDir()
	put := func(reason, by string) halt.Halt {
		t.Helper()
		if _, err := halt.Put(dir, reason, by); err != nil {
			t.Fatal(err)
		}
		h, err := halt.Get(dir)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	first := put("", "ann")
	if first.Reason != "no reason was given by ann on "+host || !first.Unexplained || first.By != "ann" {
		t.Errorf("a halt without a reason: %+v", first)
	}
	if again := put("", "bob"); again != first {
		t.Errorf("a second one without a reason: %+v; the first must stay", again)
	}
	if h := put("checkout is down", "bob"); h.Reason != "checkout is down" || h.Unexplained || h.By != "ann" || h.At != first.At {
		t.Errorf("with a reason: %+v", h)
	}
	if h := put("me too", "eve"); h.Reason != "checkout is down" {
		t.Errorf("the reason was replaced: %+v", h)
	}
}

func TestDamagedHaltIsAHalt(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "halt.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	h, err := halt.Get(dir)
	if err != nil || !strings.Contains(h.Reason, "damaged") {
		t.Errorf("a damaged file: %+v, %v", h, err)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := halt.Wait(ctx, t.TempDir()); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
