//go:build linux

package impair

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// What leaves a device passes a small tree: an htb at its root, which does not slow
// anything down, with two classes. Packets that bear the number of the second as their
// priority, which our table gives them, go through netem or a token bucket; all others go
// through what the device had before.
//
// The numbers come from the mark, so that a tree says whose it is.

const (
	rootBase = 0xf000_0000
	leafBase = 0xe000_0000
	keepBase = 0xd000_0000
	reserved = 0xfff // ffff: is the kernel's own
)

// number is the part of the mark that fits into a handle.
func (s Spec) number() uint32 {
	n, _ := strconv.ParseUint(s.Mark[:3], 16, 16) // validate has seen that it is one
	return uint32(n%reserved) << 16
}

func (s Spec) root() uint32  { return rootBase | s.number() }
func (s Spec) rest() uint32  { return s.root() | 1 }
func (s Spec) class() uint32 { return s.root() | 2 }
func (s Spec) leaf() uint32  { return leafBase | s.number() }
func (s Spec) kept() uint32  { return keepBase | s.number() }

// ours says whether a discipline at a root is one of ours.
func (q Qdisc) ours() bool { return q.Kind == "htb" && q.Handle&0xf000_0000 == rootBase }

// unlimited is the rate of the tree's classes, in bits a second.
const unlimited = 400e9

// plant puts the tree at a device.
func (s Spec) plant(d Device) error {
	index, err := indexOf(d.Name)
	if err != nil {
		return err
	}
	// Whoever has changed the device since Prepare must not find that undone.
	switch now, err := rootOf(index); {
	case err != nil:
		return fmt.Errorf("interface %s: %w", d.Name, err)
	case !same(now, d.Root):
		return fmt.Errorf("interface %s: its queueing discipline was changed since the plan was made: nothing was done", d.Name)
	}
	root := netlink.NewHtb(netlink.QdiscAttrs{LinkIndex: index, Handle: s.root(), Parent: netlink.HANDLE_ROOT})
	root.Defcls = 1
	if err := netlink.QdiscReplace(root); err != nil {
		return fmt.Errorf("interface %s: %w", d.Name, Qdisc{Kind: "htb"}.explain(err))
	}
	for _, class := range []uint32{s.rest(), s.class()} {
		attrs := netlink.ClassAttrs{LinkIndex: index, Parent: s.root(), Handle: class}
		c := netlink.NewHtbClass(attrs, netlink.HtbClassAttrs{Rate: unlimited, Ceil: unlimited, Quantum: 1 << 18})
		if err := netlink.ClassAdd(c); err != nil {
			return fmt.Errorf("interface %s: add a class: %w", d.Name, err)
		}
	}
	if d.Root != nil {
		kept := *d.Root
		kept.Handle = s.kept()
		if err := kept.put(index, s.rest(), addNew); err != nil {
			return fmt.Errorf("interface %s: keep what it had: %w", d.Name, err)
		}
	}
	if err := s.effect(s.leaf()).put(index, s.class(), addNew); err != nil {
		return fmt.Errorf("interface %s: %w", d.Name, err)
	}
	return nil
}

// effect is the discipline that does the harm.
func (s Spec) effect(handle uint32) Qdisc {
	if s.Action.Rate != nil {
		return s.Action.Rate.qdisc(handle)
	}
	return s.Action.Netem.qdisc(handle)
}

// fell takes the tree away from a device, if it is there, and puts back what was.
func (s Spec) fell(d Device) (changed bool, err error) {
	index, err := indexOf(d.Name)
	if errors.Is(err, errNoDevice) {
		return false, nil // and with it all that was at it
	}
	if err != nil {
		return false, err
	}
	now, err := rootOf(index)
	if err != nil {
		return false, fmt.Errorf("interface %s: %w", d.Name, err)
	}
	if now == nil || now.Handle != s.root() {
		return false, nil // never planted, or taken away: what was is put back in the same step
	}
	if d.Root == nil {
		// Without a root of anybody's, the kernel puts its own there again.
		if err := netlink.QdiscDel(&netlink.GenericQdisc{
			QdiscAttrs: netlink.QdiscAttrs{LinkIndex: index, Handle: s.root(), Parent: netlink.HANDLE_ROOT}, QdiscType: "htb",
		}); err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EINVAL) {
			return false, fmt.Errorf("interface %s: take the queueing discipline away: %w", d.Name, err)
		}
	} else if err := d.Root.put(index, netlink.HANDLE_ROOT, replace); err != nil {
		return false, fmt.Errorf("interface %s: put back: %w", d.Name, err)
	}
	now, err = rootOf(index)
	switch {
	case err != nil:
		return true, fmt.Errorf("interface %s: %w", d.Name, err)
	case now != nil && now.Handle == s.root():
		return true, fmt.Errorf("interface %s: the queueing discipline is still there", d.Name)
	case !same(now, d.Root):
		return true, fmt.Errorf("interface %s: what was put back is not what was recorded (%v)", d.Name, now)
	}
	return true, nil
}

// standing says whether the tree is at a device, and what its leaf has seen.
func (s Spec) standing(d Device) (is bool, seen queueStats, err error) {
	index, err := indexOf(d.Name)
	if errors.Is(err, errNoDevice) {
		return false, seen, nil
	}
	if err != nil {
		return false, seen, err
	}
	return s.stands(index, s.root(), s.class())
}

// stands looks for a leaf of ours below a parent, at a device whose root is ours.
func (s Spec) stands(index int, root, parent uint32) (is bool, seen queueStats, err error) {
	all, err := qdiscs(index)
	if err != nil {
		return false, seen, err
	}
	var found bool
	for _, q := range all {
		found = found || q.parent == netlink.HANDLE_ROOT && q.Handle == root
		if q.parent == parent && q.Kind == s.effect(0).Kind {
			is, seen = true, q.stats
		}
	}
	return is && found, seen, nil
}

func same(a, b *Qdisc) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Kind == b.Kind && a.Handle == b.Handle && bytes.Equal(a.Options, b.Options)
}

var errNoDevice = errors.New("there is no such interface")

// indexOf asks for one interface; the standard library would list all of them.
func indexOf(name string) (int, error) {
	request, err := unix.NewIfreq(name)
	if err != nil {
		return 0, fmt.Errorf("interface %s: %w", name, errNoDevice)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("interface %s: %w", name, err)
	}
	defer unix.Close(fd)
	err = unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, request)
	if errors.Is(err, unix.ENODEV) {
		return 0, fmt.Errorf("interface %s: %w", name, errNoDevice)
	}
	if err != nil {
		return 0, fmt.Errorf("interface %s: %w", name, err)
	}
	return int(request.Uint32()), nil
}
