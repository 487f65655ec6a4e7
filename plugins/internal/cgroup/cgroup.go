// Package cgroup finds the control groups of a process, in version 1, version 2 and
// machines that have both, puts other processes into them, reads their limits and
// what they use, and freezes them.
//
// A process that joins a group is metered and limited together with the group's own:
// that is how pressure meets one container or service and not the whole machine.
package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/sdk"
)

// Machine is where control groups are looked for.
type Machine struct {
	Proc string // where the kernel shows processes: "/proc"
}

// Here is the machine that this process runs on.
var Here = Machine{Proc: "/proc"}

// Groups are the control groups of one process, as folders.
type Groups struct {
	// legacy has the folder of each version 1 controller: "memory", "cpu".
	legacy map[string]string
	// unified is the folder in the version 2 hierarchy; empty without one.
	unified string
	names   []string // the groups as the kernel calls them
	// tops are the folders that are mounted: no limit is looked for above them.
	tops map[string]bool
}

// Of finds the groups of a process, or returns sdk.ErrGone.
func (m Machine) Of(pid int) (Groups, error) {
	mounts, err := m.mounts()
	if err != nil {
		return Groups{}, err
	}
	text, err := os.ReadFile(filepath.Join(m.Proc, strconv.Itoa(pid), "cgroup"))
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ESRCH):
		return Groups{}, fmt.Errorf("process %d: %w", pid, sdk.ErrGone)
	case err != nil:
		return Groups{}, fmt.Errorf("find the control groups of process %d: %w", pid, err)
	}
	g := Groups{legacy: map[string]string{}, tops: map[string]bool{}}
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3) // hierarchy:controllers:group
		if len(parts) == 3 {
			g.add(mounts, parts[1], parts[2])
		}
	}
	return g, nil
}

// add notes one line of /proc/<pid>/cgroup, if that hierarchy is mounted here.
func (g *Groups) add(mounts []mount, controllers, group string) {
	g.names = append(g.names, group)
	for _, m := range mounts {
		folder, ok := m.folder(group)
		if !ok {
			continue
		}
		if controllers == "" && m.controllers == nil {
			g.unified, g.tops[m.point] = folder, true
			return
		}
		for _, c := range strings.Split(controllers, ",") {
			if c != "" && slices.Contains(m.controllers, c) {
				g.legacy[c], g.tops[m.point] = folder, true
			}
		}
	}
}

// Within says whether one of the groups has the word in its name, as those of a
// container have the container's id.
func (g Groups) Within(word string) bool {
	return word != "" && slices.ContainsFunc(g.names, func(name string) bool { return strings.Contains(name, word) })
}

// metering are the controllers whose groups pressure has to be in. It stays out of the
// freezer's: a frozen process of version 1 cannot even be killed.
var metering = []string{"cpu", "cpuacct", "cpuset", "memory", "pids", "blkio"}

// separate says whether version 1 meters processes here.
func (g Groups) separate() bool {
	return slices.ContainsFunc(metering, func(c string) bool { return g.legacy[c] != "" })
}

// metered are the folders in which a process has to be to be metered with the group.
func (g Groups) metered() []string {
	if !g.separate() {
		if g.unified == "" {
			return nil
		}
		return []string{g.unified}
	}
	folders := map[string]bool{} // several controllers may share one
	for _, c := range metering {
		if folder := g.legacy[c]; folder != "" {
			folders[folder] = true
		}
	}
	return slices.Sorted(maps.Keys(folders))
}

// Join puts a process into the groups, in every hierarchy that meters. On failure it
// may be in some of them.
func (g Groups) Join(pid int) error {
	return g.each(func(list string) error { return os.WriteFile(list, []byte(strconv.Itoa(pid)), 0) })
}

// Joinable says why a process of ours could not join the groups; nil when it could. It
// changes nothing.
func (g Groups) Joinable() error {
	return g.each(func(list string) error { return unix.Access(list, unix.W_OK) })
}

// each calls f with the list of processes of each metering group.
func (g Groups) each(f func(list string) error) error {
	folders := g.metered()
	if len(folders) == 0 {
		return errors.New("the target's control groups cannot be seen from here: run faultline on the host itself, not in a container")
	}
	for _, folder := range folders {
		err := f(filepath.Join(folder, "cgroup.procs"))
		if errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("join the target's control group %s: %w: this needs root", folder, err)
		}
		if err != nil {
			return fmt.Errorf("join the target's control group %s: %w", folder, err)
		}
	}
	return nil
}

// Processes lists the processes of the group itself, by pid, as the hierarchy shows
// them that meters memory or, without one, any that meters.
func (g Groups) Processes() ([]int, error) {
	folder := g.folder("memory")
	if all := g.metered(); folder == "" && len(all) > 0 {
		folder = all[0]
	}
	text, err := os.ReadFile(filepath.Join(folder, "cgroup.procs"))
	if err != nil {
		return nil, fmt.Errorf("list the processes of a control group: %w", err)
	}
	var pids []int
	for _, word := range strings.Fields(string(text)) {
		pid, err := strconv.Atoi(word)
		if err != nil {
			return nil, fmt.Errorf("list the processes of a control group: %w", err)
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

// folder is the group's folder for a controller; empty when there is none.
func (g Groups) folder(controller string) string {
	if g.separate() {
		return g.legacy[controller]
	}
	return g.unified
}
