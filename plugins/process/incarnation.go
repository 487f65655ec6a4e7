//go:build linux

package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
)

// An incarnation is one life of one process: no other process of any boot has the
// same three.
type incarnation struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start_ticks"` // since boot, field 22 of /proc/<pid>/stat
	Boot  string `json:"boot"`
}

func (i incarnation) String() string {
	return fmt.Sprintf("pid %d started %d boot %s", i.PID, i.Start, i.Boot)
}

// resource is what a fault on this process occupies.
func (i incarnation) resource() string { return fmt.Sprintf("process:%d:%d/run", i.PID, i.Start) }

// mark is the value of markVariable in the process that takes this one's place. A
// process dies once, so that one mark stands for one restart, whoever does it.
func (i incarnation) mark() string { return fmt.Sprintf("%s:%d:%d", i.Boot, i.PID, i.Start) }

// find looks for the process of this incarnation. A zombie does not count: it is
// dead, and only waits for its parent to notice.
func (i incarnation) find() (process, bool, error) {
	boot, err := bootID()
	if err != nil || boot != i.Boot {
		return process{}, false, err
	}
	p, ok, err := readProcess(i.PID)
	if err != nil || !ok || p.Start != i.Start || p.dead() {
		return process{}, false, err
	}
	return p, true, nil
}

// bootID names this boot of the machine; it does not change while we run.
var bootID = sync.OnceValues(func() (string, error) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read the boot id: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
})
