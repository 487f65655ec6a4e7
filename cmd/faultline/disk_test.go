package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/sdk/plugintest"
)

// needMount skips a test where file systems cannot be mounted.
func needMount(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	plugintest.Need(t, "root", func() error { return unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=700,size="+size) })
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill leaves so many bytes free in a folder's file system.
func fill(t *testing.T, dir string, leave int64) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size, block := int64(0), make([]byte, 4096)
	for err == nil {
		var n int
		n, err = f.Write(block)
		size += int64(n)
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	if err := f.Truncate(max(size-leave, 0)); err != nil {
		t.Fatal(err)
	}
}

// A disk that is full before the run begins: nothing is touched.
func TestFullDiskBefore(t *testing.T) {
	t.Parallel()
	work, state := workFolder(t), needMount(t, "128m")
	for _, leave := range []int64{0, 16 << 10} {
		fill(t, state, leave)
		cmd := faultlineIn(t, work, "run", "day", "-state-dir", state)
		var stderr, stdout bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		got := code(t, cmd.Run())
		if got != exitUsage && got != 6 {
			t.Errorf("with %d bytes left the code is %d", leave, got)
		}
		text := stderr.String()
		if strings.Count(text, "Error: ") != 1 || !strings.Contains(text, "no space left on device") {
			t.Errorf("with %d bytes left:\n%s%s", leave, stdout.String(), text)
		}
		if exists(filepath.Join(work, "things", "pear.marked")) {
			t.Error("something was touched")
		}
	}
}

// flood fills a journal. No verdict needs these samples, of which a busy machine misses some.
const flood = `
probe "dummy_health" "flood" {
  file = "health"
  rate = 2000
}
guard "flood" {
  probe         = probe.dummy_health.flood
  good          = sample.ok
  no_data_after = "10m"
}
`

// A disk that becomes full while a fault is on. There is room ahead for what a small
// run records; a large one is stopped. Either way the fault is put back, and the
// journal says so.
func TestFullDiskDuring(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"small", nil, 0, "HELD"},
		{"large", []string{"-var", "duration=10m"}, 6, "no space left on device"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			work, state := workFolder(t), needMount(t, "128m")
			if test.code != 0 {
				if err := os.WriteFile(filepath.Join(work, "day", "flood.hcl"), []byte(flood), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			cmd := faultlineIn(t, work, append([]string{"run", "day", "-state-dir", state}, test.args...)...)
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			mark := filepath.Join(work, "things", "pear.marked")
			if !eventually(func() bool { return exists(mark) }) {
				_ = cmd.Process.Kill()
				_ = cmd.Wait()
				t.Fatalf("no fault is injected:\n%s", out.String())
			}
			fill(t, state, 0)
			if got := code(t, cmd.Wait()); got != test.code || !strings.Contains(out.String(), test.says) {
				t.Errorf("the code is %d:\n%s", got, out.String())
			}
			if exists(mark) {
				t.Error("the mark is still there")
			}
			if text, err := faultlineIn(t, work, "report", "-state-dir", state).CombinedOutput(); err != nil || !bytes.Contains(text, []byte("by engine")) {
				t.Errorf("report: %v\n%s", err, text)
			}
			// With space again the run can be closed, and another one runs.
			if err := os.Remove(filepath.Join(state, "filler")); err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{{"recover"}, {"history"}, {"run", "day"}} {
				cmd := faultlineIn(t, work, append(args, "-state-dir", state)...)
				if text, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("%v: %v\n%s", args, err, text)
				}
			}
		})
	}
}

// A run's folder that cannot be written to: nothing is touched.
func TestReadOnlyState(t *testing.T) {
	t.Parallel()
	work, state := workFolder(t), needMount(t, "128m")
	cmd := faultlineIn(t, work, "validate", "day", "-state-dir", state)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if err := unix.Mount("", state, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"run", "day"}, {"recover"}} {
		cmd := faultlineIn(t, work, append(args, "-state-dir", state)...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if got := code(t, cmd.Run()); got != exitUsage {
			t.Errorf("%v: the code is %d", args, got)
		}
		if text := stderr.String(); strings.Count(text, "Error: ") != 1 || !strings.Contains(text, "read-only file system") || !strings.Contains(text, "-state-dir") {
			t.Errorf("%v:\n%s", args, text)
		}
	}
	if exists(filepath.Join(work, "things", "pear.marked")) {
		t.Error("something was touched")
	}
}
