package host

import (
	"context"
	"debug/elf"
	le "encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/faultline-go/faultline/sdk/plugintest"
	"github.com/faultline-go/faultline/sdk/wire"
)

func TestFailedStarts(t *testing.T) {
	for _, c := range []struct {
		role  string
		limit time.Duration
		want  []string
	}{
		{"crash", 0, []string{"start plugin testfile (", "ended at its start (exit status 3)", "-describe", "cannot find my marbles"}},
		{"garbage", 0, []string{`printed "Hello! What can I do for you today?"`, "no faultline plugin"}},
		{"binary garbage", 0, []string{"instead of the plugin handshake"}},
		{"silent", 0, []string{"closed its standard output"}},
		{"hang", time.Second, []string{"has said nothing for 1s", "hangs at its start"}},
		{"deaf", time.Second, []string{"has not answered within 1s"}},
		{"absent", 0, []string{"nobody answers at the address that it printed"}},
		{"old", 0, []string{"speaks protocol 0, this faultline speaks 1; upgrade the plugin"}},
		{"new", 0, []string{"speaks protocol 2, this faultline speaks 1; upgrade faultline"}},
		{"tcp", 0, []string{`listens on "tcp"`}},
		{"elsewhere", 0, []string{`listens at "@faultline-test-`, "where others may get at it", "PLUGIN_UNIX_SOCKET_DIR"}},
		{"crash at configure", 0, []string{"configure plugin testfile", "exit status 4", "lost my marbles"}},
		{"refuse settings", 0, []string{"configure plugin testfile: no marbles are configured"}},
		{"hang at configure", 3 * time.Second, []string{"configure plugin testfile: it has not answered within 3s"}},
	} {
		t.Run(c.role, func(t *testing.T) {
			h := playing(t, c.role, func(o *Options) { o.StartTimeout = c.limit })
			start := func() string {
				_, err := h.Start(t.Context(), "testfile", wire.Configure{})
				if err == nil {
					t.Fatal("it started")
				}
				t.Log(err)
				return err.Error()
			}
			lacks := func(text string) bool {
				return slices.ContainsFunc(c.want, func(w string) bool { return !strings.Contains(text, w) })
			}
			text := start()
			// A busy machine may not let it come in time to where it stops. Then it is too
			// late for something earlier, sooner or later not.
			for range 20 {
				if c.limit == 0 || !lacks(text) {
					break
				}
				text = start()
			}
			if lacks(text) {
				t.Errorf("the error does not say all of %q", c.want)
			}
		})
	}
}

func TestStartEndsWithItsContext(t *testing.T) {
	h := playing(t, "hang")
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("the operator had enough")
	time.AfterFunc(200*time.Millisecond, func() { cancel(cause) })
	if _, err := h.Start(ctx, "testfile", wire.Configure{}); !errors.Is(err, cause) {
		t.Errorf("Start: %v", err)
	}
}

func TestFilesThatCannotRun(t *testing.T) {
	foreign := make([]byte, 64)
	copy(foreign, "\x7fELF\x02\x01\x01")
	le.LittleEndian.PutUint16(foreign[16:], uint16(elf.ET_EXEC))
	le.LittleEndian.PutUint16(foreign[18:], uint16(elf.EM_S390))
	le.LittleEndian.PutUint32(foreign[20:], 1)
	le.LittleEndian.PutUint16(foreign[52:], 64)
	for name, c := range map[string]struct {
		content string
		want    string
	}{
		"of another machine":         {string(foreign), "built for s390x"},
		"empty":                      {"", "the file is empty"},
		"text":                       {"hello\n", "no program for this machine"},
		"for Windows":                {"MZ\x90\x00", "Windows"},
		"without its interpreter":    {"#!/no/such/interpreter\n", "interpreter that its first line names is missing"},
		"a script that is no plugin": {"#!/bin/sh\necho I am a script >&2; exit 5\n", "exit status 5"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, Prefix+"testfile"), []byte(c.content), 0o700); err != nil {
				t.Fatal(err)
			}
			h := playing(t, "", func(o *Options) { o.PluginDirs = []string{dir} })
			_, err := h.Start(t.Context(), "testfile", wire.Configure{})
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "/proc/") {
				t.Errorf("Start: %v; want %q", err, c.want)
			}
		})
	}
}

// onDisk mounts a file system for a state folder.
func onDisk(t *testing.T, flags uintptr, size string) string {
	dir := t.TempDir()
	plugintest.Need(t, "root", func() error {
		if err := syscall.Mount("tmpfs", dir, "tmpfs", flags, "size="+size); err != nil {
			return fmt.Errorf("mount a tmpfs: %w", err)
		}
		return nil
	})
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

func TestStateFoldersThatCannotKeepAPlugin(t *testing.T) {
	for name, c := range map[string]struct {
		flags uintptr
		size  string
		want  string
	}{
		"noexec": {syscall.MS_NOEXEC, "200m", "not mounted noexec?"},
		"full":   {0, "1m", "keep a copy of plugin testfile for recovery: "},
	} {
		t.Run(name, func(t *testing.T) {
			state := onDisk(t, c.flags, c.size)
			h := playing(t, "plugin", func(o *Options) { o.StateDir = state })
			_, err := h.Start(t.Context(), "testfile", wire.Configure{Run: "r", RunDir: t.TempDir()})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Start: %v; want %q", err, c.want)
			}
			if left, _ := filepath.Glob(filepath.Join(state, "plugins", "*", ".*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}
