package journal

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

const locksFolder = "locks"

// LockResources takes what a fault occupies ("container:<id>/lifecycle"), so that no
// other run of this state folder acts on it at the same time: their reverts would
// undo each other. All of them or none; nobody waits. The kernel frees what a dead
// process held.
func (s *Store) LockResources(resources []string) (unlock func(), err error) {
	dir := filepath.Join(s.dir, locksFolder)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make folder for locks: %w", err)
	}
	var held []*os.File
	unlock = func() {
		for _, f := range held {
			f.Close()
		}
	}
	names := slices.Clone(resources)
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		f, err := lockResource(dir, name)
		if err != nil {
			unlock()
			return nil, err
		}
		held = append(held, f)
	}
	return unlock, nil
}

// lockResource locks one file named by the resource's checksum. The files stay: to
// remove one that somebody just opened would let two hold the same resource.
func lockResource(dir, name string) (*os.File, error) {
	sum := sha256.Sum256([]byte(name))
	f, err := os.OpenFile(filepath.Join(dir, hex.EncodeToString(sum[:16])), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = errors.New("another run holds it")
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return f, nil
}
