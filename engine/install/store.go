package install

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/faultline-go/faultline/engine/durable"
)

// Store keeps binaries by their SHA-256, below a folder:
//
//	<sha256>/faultline-plugin-NAME
//
// An entry is there whole or not at all, also after a power loss, and is never changed:
// several programs may read and add at once, and a folder that cannot be written to
// serves what it has. Entries are not removed; each is needed by the lock files that
// name it, which nobody can list.
type Store struct{ Dir string }

// Path is where a binary is, if it is there.
func (s Store) Path(name, sum string) string {
	return filepath.Join(s.Dir, sum, BinaryName(name))
}

// Check says whether a binary is there with the right content. The error says that it
// is not: fs.ErrNotExist, or something else.
func (s Store) Check(name, sum string) error {
	f, err := os.Open(s.Path(name, sum))
	if err != nil {
		return fmt.Errorf("look into the store: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return fmt.Errorf("look into the store: %w", err)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != sum {
		return untrusted("%s was changed: its SHA-256 is %s", s.Path(name, sum), got)
	}
	return nil
}

// A staging folder is younger than this, or was left by a program that died.
const stagingTime = 24 * time.Hour

const stagingPrefix = ".new-"

// staging is a folder of the store in which an entry is made.
type staging struct {
	store Store
	dir   string
}

func (s Store) stage() (*staging, error) {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the plugin store: %w", err)
	}
	s.sweep()
	dir, err := os.MkdirTemp(s.Dir, stagingPrefix)
	if err != nil {
		return nil, fmt.Errorf("write into the plugin store: %w", err)
	}
	return &staging{s, dir}, nil
}

// sweep removes what programs left that died while they were installing.
func (s Store) sweep() {
	found, _ := os.ReadDir(s.Dir)
	for _, e := range found {
		info, err := e.Info()
		if err == nil && strings.HasPrefix(e.Name(), stagingPrefix) && time.Since(info.ModTime()) > stagingTime {
			_ = os.RemoveAll(filepath.Join(s.Dir, e.Name()))
		}
	}
}

// discard removes the folder, unless it has become an entry.
func (g *staging) discard() { _ = os.RemoveAll(g.dir) }

// binary is the path at which the binary is made.
func (g *staging) binary(name string) string { return filepath.Join(g.dir, BinaryName(name)) }

// keep makes the binary, which is the only file of the folder, an entry of the store.
// Another program may have done the same meanwhile.
func (g *staging) keep(name, sum string) error {
	entry := filepath.Join(g.store.Dir, sum)
	err := durable.SyncDir(g.dir)
	if err == nil {
		err = os.Rename(g.dir, entry)
	}
	if errors.Is(err, fs.ErrExist) { // an entry that is right stays, one that is not is replaced
		if g.store.Check(name, sum) == nil {
			return nil
		}
		if err = os.Rename(g.binary(name), g.store.Path(name, sum)); err == nil {
			err = durable.SyncDir(entry)
		}
	}
	if err == nil {
		err = durable.SyncDir(g.store.Dir)
	}
	if err != nil {
		return fmt.Errorf("put %s into the plugin store: %w", BinaryName(name), err)
	}
	return nil
}
