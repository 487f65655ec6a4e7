//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/prometheus/procfs"

	"github.com/faultline-go/faultline/plugins/internal/netns"
	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
)

// accepts is what the faults of this plugin work on.
var accepts = []schema.Accept{
	{Interface: "netns", Attributes: []string{"netns", "interface"}},
	{Interface: "process", Attributes: []string{"pid", "start_ticks"}},
	{Interface: "container", Attributes: []string{"id"}},
}

// place is a network namespace, and how it was found.
type place struct {
	Name      string     `json:"name"` // of the target, for people
	Namespace netns.ID   `json:"namespace"`
	Path      string     `json:"path,omitempty"` // a file that stands for it
	PID       int        `json:"pid,omitempty"`  // or a process in it
	Start     uint64     `json:"start_ticks,omitempty"`
	Container *container `json:"container,omitempty"`

	device string // the interface that the target is, if it is one
	root   string // where the target's own files are
}

// file is where the target sees a file of /etc. Like ip netns, we take those of a named
// namespace from a folder of its own, if they are there.
func (p place) file(name string) string {
	if netnsName, ok := strings.CutPrefix(p.Path, netns.Dir+"/"); ok {
		own := filepath.Join("/etc/netns", netnsName, name)
		if _, err := os.Stat(own); err == nil {
			return own
		}
	}
	return filepath.Join(p.root, "etc", name)
}

// incarnation names the life of the target that the place belongs to.
func (p place) incarnation() string {
	switch {
	case p.Container != nil:
		return p.Container.ID + " started " + p.Container.StartedAt
	case p.PID != 0:
		return fmt.Sprintf("pid %d started %d in %s", p.PID, p.Start, p.Namespace)
	}
	return p.Namespace.String()
}

// key names the network for the names of resources.
func (p place) key() string {
	if p.Container != nil && p.Container.Helper {
		return "netns:container:" + p.Container.ID
	}
	return p.Namespace.Key()
}

// placeOf finds the namespace of a target.
func placeOf(ctx context.Context, t sdk.PrepareTarget) (place, error) {
	switch {
	case slices.Contains(t.Interfaces, "container"):
		return containerPlace(ctx, t)
	case slices.Contains(t.Interfaces, "process"):
		return processPlace(t)
	}
	path, _ := t.Attributes["netns"].(string)
	device, _ := t.Attributes["interface"].(string)
	if path == "" || device == "" {
		return place{}, fmt.Errorf("target %s: its attributes netns and interface are needed to tell which interface it is", t.Name)
	}
	n, err := netns.At(path)
	if err != nil {
		return place{}, goneOr(err)
	}
	defer n.Close()
	return place{Name: t.Name, Namespace: n.ID, Path: path, device: device, root: "/"}, nil
}

func goneOr(err error) error {
	if errors.Is(err, netns.ErrGone) {
		return fmt.Errorf("%w: %w", err, sdk.ErrGone)
	}
	return err
}

func processPlace(t sdk.PrepareTarget) (place, error) {
	pid, okPID := number(t.Attributes["pid"])
	start, okStart := number(t.Attributes["start_ticks"])
	if !okPID || !okStart {
		return place{}, fmt.Errorf("target %s: its attributes pid and start_ticks are needed to tell which process it is", t.Name)
	}
	return ofProcess(t.Name, int(pid), uint64(start))
}

// ofProcess finds the namespace of one life of a process. A start of 0 means the present
// one.
func ofProcess(name string, pid int, start uint64) (place, error) {
	n, err := netns.OfProcess(pid)
	if err != nil {
		return place{}, goneOr(err)
	}
	defer n.Close()
	// The process is looked at after the namespace was opened: an id that was given to
	// another process meanwhile is noticed.
	now, err := startOf(pid)
	if err != nil {
		return place{}, err
	}
	if start != 0 && now != start {
		return place{}, fmt.Errorf("process %d of %s has ended: %w", pid, name, sdk.ErrGone)
	}
	own, err := netns.Own()
	if err != nil {
		return place{}, err
	}
	defer own.Close()
	if own.ID == n.ID {
		return place{}, fmt.Errorf("%s has no network of its own: it shares that of this machine, and everything here would be hit. "+
			"Use a target \"net_interface\" if that is what you want, with to, from and ports to narrow it", name)
	}
	return place{Name: name, Namespace: n.ID, PID: pid, Start: now, root: fmt.Sprintf("/proc/%d/root", pid)}, nil
}

func startOf(pid int) (uint64, error) {
	p, err := procfs.NewProc(pid)
	if err == nil {
		var stat procfs.ProcStat
		if stat, err = p.Stat(); err == nil {
			return stat.Starttime, nil
		}
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return 0, fmt.Errorf("process %d has ended: %w", pid, sdk.ErrGone)
	}
	return 0, fmt.Errorf("look at process %d: %w", pid, err)
}

// alive opens the namespace while the target that led to it still is what it was.
func (p place) alive() (*netns.Namespace, error) {
	if p.Path != "" {
		n, err := netns.At(p.Path)
		if err != nil {
			return nil, goneOr(err)
		}
		return p.sure(n)
	}
	n, err := netns.OfProcess(p.PID)
	if err != nil {
		return nil, goneOr(err)
	}
	start, err := startOf(p.PID)
	if err == nil && start != p.Start {
		err = fmt.Errorf("process %d of %s has ended: %w", p.PID, p.Name, sdk.ErrGone)
	}
	if err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return p.sure(n)
}

func (p place) sure(n *netns.Namespace) (*netns.Namespace, error) {
	if n.ID != p.Namespace {
		return nil, errors.Join(fmt.Errorf("%s has another network namespace now (%s): %w", p.Name, n.ID, sdk.ErrGone), n.Close())
	}
	return n, nil
}

// remains opens the namespace also when the target has died but others still use it: a
// fault is in the namespace, and not in the process that led to it.
func (p place) remains() (*netns.Namespace, error) {
	n, err := p.alive()
	if !errors.Is(err, sdk.ErrGone) {
		return n, err
	}
	boot, err2 := netns.Boot()
	if err2 != nil || boot != p.Namespace.Boot {
		return nil, errors.Join(err, err2)
	}
	paths, err2 := filepath.Glob("/proc/[0-9]*/ns/net")
	if err2 != nil {
		return nil, err2
	}
	named, err2 := filepath.Glob(filepath.Join(netns.Dir, "*"))
	if err2 != nil {
		return nil, err2
	}
	for _, path := range append(paths, named...) {
		info, err := os.Stat(path)
		if err != nil {
			continue
		}
		if s, ok := info.Sys().(*syscall.Stat_t); !ok || s.Ino != p.Namespace.Inode {
			continue
		}
		if n, err := netns.At(path); err == nil {
			if n.ID == p.Namespace {
				return n, nil
			}
			n.Close()
		}
	}
	return nil, err
}

// number reads a number that came as JSON, or as a plugin made it.
func number(v any) (float64, bool) {
	switch n := v.(type) {
	case float64:
		return n, true
	case int:
		return float64(n), true
	case int64:
		return float64(n), true
	case uint64:
		return float64(n), true
	}
	return 0, false
}

// here says whether a container's process is on this machine: its control groups carry
// the container's id.
func here(pid int, id string) bool {
	groups, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	return err == nil && strings.Contains(string(groups), id)
}
