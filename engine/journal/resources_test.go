package journal

import (
	"strings"
	"testing"
)

func TestLockResources(t *testing.T) {
	dir := t.TempDir()
	open := func() *Store {
		s, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first, second := open(), open()
	unlock, err := first.LockResources([]string{"container:a/lifecycle", "container:b/lifecycle", "container:a/lifecycle"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = second.LockResources([]string{"container:c/lifecycle", "container:b/lifecycle"})
	if err == nil || !strings.Contains(err.Error(), "container:b/lifecycle") {
		t.Fatalf("a held resource was locked again, or the error does not name it: %v", err)
	}
	// All or none: c must be free although it was taken first.
	other, err := second.LockResources([]string{"container:c/lifecycle"})
	if err != nil {
		t.Fatalf("a refused lock kept something: %v", err)
	}
	defer other()
	unlock()
	again, err := second.LockResources([]string{"container:b/lifecycle"})
	if err != nil {
		t.Fatalf("an unlocked resource is still held: %v", err)
	}
	again()
}
