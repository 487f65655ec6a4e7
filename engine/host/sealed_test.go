package host

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/faultline-go/faultline/sdk/plugintest"
)

// Whoever may write to a plugin's file can change it between the hash and the start, in
// place: what runs is what was hashed all the same, be it a program or a script.
func TestAFileThatIsChangedInPlace(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"program": program, "script": []byte("#!/bin/sh\nexec " + self + "\n")} {
		t.Run(name, func(t *testing.T) {
			h := playing(t, "plugin")
			ran := filepath.Join(t.TempDir(), "ran")
			path := filepath.Join(t.TempDir(), Prefix+"testfile")
			if err := os.WriteFile(path, content, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, 0o770); err != nil {
				t.Fatal(err)
			}
			b, err := openHashed("testfile", path)
			if err != nil {
				t.Fatal(err)
			}
			defer b.close()
			if err := h.allow(b); err != nil {
				t.Fatal(err)
			}
			change := func(text string) {
				t.Helper()
				if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			change("#!/bin/sh\necho ran >>" + ran + "\n")
			if _, err := h.launch(t.Context(), b); err == nil || !strings.Contains(err.Error(), "was changed while it was started") {
				t.Errorf("changed after it was hashed: %v", err)
			}
			change(string(content))
			if err := b.seal(); err != nil {
				t.Fatal(err)
			}
			change("#!/bin/sh\necho ran >>" + ran + "\n")
			p, err := h.launch(t.Context(), b)
			if err != nil {
				t.Fatalf("changed after it was copied: %v", err)
			}
			p.Kill()
			if exists(ran) {
				t.Error("what was written after the hash was executed")
			}
			if _, err := b.file.WriteAt([]byte("x"), 0); err == nil {
				t.Error("the copy can be written to")
			}
		})
	}
}

// A file that only this user and root may write to is executed itself: a copy would take
// memory.
func TestAFileOfOnesOwnIsNotCopied(t *testing.T) {
	path := filepath.Join(t.TempDir(), Prefix+"testfile")
	if err := os.WriteFile(path, []byte("one's own"), 0o755); err != nil {
		t.Fatal(err)
	}
	for mode, sealed := range map[os.FileMode]bool{0o755: false, 0o500: false, 0o775: true, 0o757: true} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		b, err := openHashed("testfile", path)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.seal(); err != nil || b.sealed != sealed {
			t.Errorf("%o: sealed is %v, %v", mode, b.sealed, err)
		}
		b.close()
	}
	if err := os.Chmod(path, 0o700); err != nil {
		t.Fatal(err)
	}
	plugintest.Need(t, "root", func() error { return os.Chown(path, 65534, 65534) })
	b, err := openHashed("testfile", path)
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	if err := b.seal(); err != nil || !b.sealed {
		t.Error("the file of another user is executed itself")
	}
}
