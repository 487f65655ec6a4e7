package install

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

func sumOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// put makes an entry of the store.
func put(t *testing.T, s Store, name, text string) error {
	t.Helper()
	g, err := s.stage()
	if err != nil {
		return err
	}
	defer g.discard()
	if err := os.WriteFile(g.binary(name), []byte(text), 0o500); err != nil {
		t.Fatal(err)
	}
	return g.keep(name, sumOf(text))
}

func TestStore(t *testing.T) {
	s := Store{filepath.Join(t.TempDir(), "a", "store")}
	sum := sumOf("v1")
	if err := s.Check("lamp", sum); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing there: %v", err)
	}
	if err := put(t, s, "lamp", "v1"); err != nil {
		t.Fatal(err)
	}
	if err := s.Check("lamp", sum); err != nil {
		t.Error(err)
	}
	path := s.Path("lamp", sum)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o500 || path != filepath.Join(s.Dir, sum, "faultline-plugin-lamp") {
		t.Errorf("%s, %v, %v", path, info, err)
	}

	// What was damaged is found, and made anew.
	if err := os.Chmod(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("v2"), 0o700); err != nil {
		t.Fatal(err)
	}
	var wrong *UntrustedError
	if err := s.Check("lamp", sum); !errors.As(err, &wrong) {
		t.Errorf("a changed binary: %v", err)
	}
	if err := put(t, s, "lamp", "v1"); err != nil {
		t.Fatal(err)
	}
	if err := s.Check("lamp", sum); err != nil {
		t.Error(err)
	}
	entries, _ := os.ReadDir(s.Dir)
	if len(entries) != 1 {
		t.Errorf("left in the store: %v", entries)
	}
}

// Many add the same at once: all find it, and nobody sees half of it.
func TestStoreAtOnce(t *testing.T) {
	s := Store{t.TempDir()}
	text := string(make([]byte, 1<<20))
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if err := put(t, s, "lamp", text); err != nil {
				t.Error(err)
			}
			if err := s.Check("lamp", sumOf(text)); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	entries, _ := os.ReadDir(s.Dir)
	if len(entries) != 1 {
		t.Errorf("left in the store: %v", entries)
	}
}

func TestStoreSweeps(t *testing.T) {
	s := Store{t.TempDir()}
	dead, alive := filepath.Join(s.Dir, ".new-1"), filepath.Join(s.Dir, ".new-2")
	for _, dir := range []string{dead, alive} {
		if err := os.MkdirAll(filepath.Join(dir, "x"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Now().Add(-2 * stagingTime)
	if err := os.Chtimes(dead, old, old); err != nil {
		t.Fatal(err)
	}
	if err := put(t, s, "lamp", "v1"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dead); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what a dead program left is there: %v", err)
	}
	if _, err := os.Stat(alive); err != nil {
		t.Errorf("what another program works at is gone: %v", err)
	}
}
