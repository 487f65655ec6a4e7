// Package cgrouptest makes real control groups for tests.
package cgrouptest

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/plugins/internal/cgroup"
	"github.com/faultline-go/faultline/sdk/plugintest"
)

// Group is a control group of a test's own, in every hierarchy that meters or freezes.
type Group struct {
	t testing.TB
	// folders by controller: version 1; all the same: version 2.
	folders map[string]string
	Unified bool
}

// controllers are what a group is made in.
var controllers = []string{"cpu", "cpuacct", "memory", "pids", "blkio", "freezer"}

// New makes a group, and removes it when the test ends. In version 1 it lies below the
// test's own group, so that no limit of that is left; in version 2 it lies at the top,
// because a group that has processes can have no groups that are limited.
func New(t testing.TB) *Group {
	t.Helper()
	plugintest.Need(t, "root", func() error {
		if os.Getuid() != 0 {
			return errors.New("control groups are made by root")
		}
		return nil
	})
	g := &Group{t: t, folders: map[string]string{}}
	name := "faultline-test-" + rand.Text()[:10]
	own := g.own()
	for _, c := range controllers {
		parent, ok := own[c]
		if !ok {
			if parent, g.Unified = own[""], true; parent == "" {
				t.Fatalf("no control group of controller %s is mounted", c)
			}
			enable(t, parent)
		}
		folder := filepath.Join(parent, name)
		if err := os.Mkdir(folder, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			t.Fatal(err)
		}
		g.folders[c] = folder
	}
	t.Cleanup(g.remove)
	return g
}

// own finds the folders in which a test may make groups: those of the test itself by
// controller, and the top of version 2 under the empty name.
func (g *Group) own() map[string]string {
	g.t.Helper()
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		g.t.Fatal(err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		g.t.Fatal(err)
	}
	out := map[string]string{}
	for line := range strings.Lines(string(mounts)) {
		before, after, _ := strings.Cut(line, " - ")
		where, what := strings.Fields(before), strings.Fields(after)
		switch what[0] {
		case "cgroup2":
			out[""] = where[4]
		case "cgroup":
			for _, c := range strings.Split(what[2], ",") {
				if !slices.Contains(controllers, c) {
					continue
				}
				for line := range strings.Lines(string(text)) {
					parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
					if slices.Contains(strings.Split(parts[1], ","), c) {
						out[c] = filepath.Join(where[4], parts[2])
					}
				}
			}
		}
	}
	return out
}

// enable gives the groups below a version 2 group the controllers that tests limit.
func enable(t testing.TB, parent string) {
	t.Helper()
	for _, c := range []string{"cpu", "memory", "pids", "io"} {
		// One that version 1 has taken cannot be had: a test that needs it fails by itself.
		_ = os.WriteFile(filepath.Join(parent, "cgroup.subtree_control"), []byte("+"+c), 0)
	}
}

// Add puts a process into the group.
func (g *Group) Add(pid int) {
	g.t.Helper()
	for _, folder := range g.folders {
		if err := os.WriteFile(filepath.Join(folder, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0); err != nil {
			g.t.Fatal(err)
		}
	}
}

// Limit sets a limit: "memory", "pids" or "cpu" (in thousandths of a processor).
func (g *Group) Limit(controller string, n int64) {
	g.t.Helper()
	folder, file, text := g.folders[controller], "", strconv.FormatInt(n, 10)
	switch {
	case controller == "pids":
		file = "pids.max"
	case controller == "memory" && g.Unified:
		file = "memory.max"
	case controller == "memory":
		file = "memory.limit_in_bytes"
	case controller == "cpu" && g.Unified:
		file, text = "cpu.max", strconv.FormatInt(100*n, 10)+" 100000"
	case controller == "cpu":
		file, text = "cpu.cfs_quota_us", strconv.FormatInt(100*n, 10)
	default:
		g.t.Fatalf("there is no limit %q", controller)
	}
	if err := os.WriteFile(filepath.Join(folder, file), []byte(text), 0); err != nil {
		g.t.Fatal(err)
	}
}

// PIDs lists the processes in the group's folder of a controller.
func (g *Group) PIDs(controller string) []int {
	g.t.Helper()
	text, err := os.ReadFile(filepath.Join(g.folders[controller], "cgroup.procs"))
	if err != nil {
		g.t.Fatal(err)
	}
	var out []int
	for _, word := range strings.Fields(string(text)) {
		pid, err := strconv.Atoi(word)
		if err != nil {
			g.t.Fatal(err)
		}
		out = append(out, pid)
	}
	return out
}

// remove takes the group away once it is empty, which the end of its processes makes it.
func (g *Group) remove() {
	for _, folder := range g.folders {
		deadline := time.Now().Add(2 * time.Minute)
		for {
			err := os.Remove(folder)
			if err == nil || errors.Is(err, fs.ErrNotExist) {
				break
			}
			if !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
				g.t.Errorf("clean up: %v", err)
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// Of finds a process's groups.
func Of(t testing.TB, pid int) cgroup.Groups {
	t.Helper()
	groups, err := cgroup.Here.Of(pid)
	if err != nil {
		t.Fatal(err)
	}
	return groups
}
