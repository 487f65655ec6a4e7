//go:build linux

package impair

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
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

// unlimited is the rate of the tree's classes, in bytes a second.
const unlimited = 50e9

// trunk is the root of a tree, see tc-htb(8).
func (s Spec) trunk() Qdisc {
	// struct tc_htb_glob: version, r2q, number of the class for the rest, and two that
	// the kernel ignores.
	words := []uint32{3, 10, s.rest() & 0xffff, 0, 0}
	return Qdisc{Kind: "htb", Handle: s.root(), Options: attribute(nl.TCA_HTB_INIT, words...).Serialize()}
}

// branch makes a class that slows nothing down.
func (s Spec) branch(r *route, index int, class uint32) error {
	const ethernet = 1 // as in Rate.qdisc
	burst := ticks(time.Millisecond)
	// struct tc_htb_opt: rate and ceiling (tc_ratespec), buffers of both in ticks, quantum,
	// level and priority.
	const wide = math.MaxUint32 // the attributes of 64 bits count
	words := []uint32{ethernet << 8, 0, wide, ethernet << 8, 0, wide, burst, burst, 1 << 18, 0, 0}
	options := nl.NewRtAttr(nl.TCA_OPTIONS, nil)
	options.AddChild(attribute(nl.TCA_HTB_PARMS, words...))
	bytes := binary.NativeEndian.AppendUint64(nil, unlimited)
	options.AddChild(nl.NewRtAttr(nl.TCA_HTB_RATE64, bytes))
	options.AddChild(nl.NewRtAttr(nl.TCA_HTB_CEIL64, bytes))
	return r.change(unix.RTM_NEWTCLASS, addNew, nl.TcMsg{Ifindex: int32(index), Handle: class, Parent: s.root()},
		nl.NewRtAttr(nl.TCA_KIND, nl.ZeroTerminated("htb")), options)
}

// plant puts the tree at a device.
func (s Spec) plant(r *route, d Device) error {
	index, err := indexOf(d.Name)
	if err != nil {
		return err
	}
	// Whoever has changed the device since Prepare must not find that undone.
	switch now, err := r.rootOf(index); {
	case err != nil:
		return fmt.Errorf("interface %s: %w", d.Name, err)
	case !same(now, d.Root):
		return fmt.Errorf("interface %s: its queueing discipline was changed since the plan was made: nothing was done", d.Name)
	}
	if err := r.put(s.trunk(), index, netlink.HANDLE_ROOT, replace); err != nil {
		return fmt.Errorf("interface %s: %w", d.Name, err)
	}
	for _, class := range []uint32{s.rest(), s.class()} {
		if err := s.branch(r, index, class); err != nil {
			return fmt.Errorf("interface %s: add a class: %w", d.Name, err)
		}
	}
	if d.Root != nil {
		kept := *d.Root
		kept.Handle = s.kept()
		if err := r.put(kept, index, s.rest(), addNew); err != nil {
			return fmt.Errorf("interface %s: keep what it had: %w", d.Name, err)
		}
	}
	if err := r.put(s.effect(s.leaf()), index, s.class(), addNew); err != nil {
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
func (s Spec) fell(r *route, d Device) (changed bool, err error) {
	index, err := indexOf(d.Name)
	if errors.Is(err, errNoDevice) {
		return false, nil // and with it all that was at it
	}
	if err != nil {
		return false, err
	}
	now, err := r.rootOf(index)
	if err != nil {
		return false, fmt.Errorf("interface %s: %w", d.Name, err)
	}
	if now == nil || now.Handle != s.root() {
		return false, nil // never planted, or taken away: what was is put back in the same step
	}
	if d.Root == nil {
		// Without a root of anybody's, the kernel puts its own there again.
		if err := r.change(unix.RTM_DELQDISC, 0, nl.TcMsg{Ifindex: int32(index), Handle: s.root(), Parent: netlink.HANDLE_ROOT}); err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EINVAL) {
			return false, fmt.Errorf("interface %s: take the queueing discipline away: %w", d.Name, err)
		}
	} else if err := r.put(*d.Root, index, netlink.HANDLE_ROOT, replace); err != nil {
		return false, fmt.Errorf("interface %s: put back: %w", d.Name, err)
	}
	now, err = r.rootOf(index)
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
func (s Spec) standing(r *route, d Device) (is bool, seen queueStats, err error) {
	index, err := indexOf(d.Name)
	if errors.Is(err, errNoDevice) {
		return false, seen, nil
	}
	if err != nil {
		return false, seen, err
	}
	return s.stands(r, index, s.root(), s.class())
}

// stands looks for a leaf of ours below a parent, at a device whose root is ours.
func (s Spec) stands(r *route, index int, root, parent uint32) (is bool, seen queueStats, err error) {
	all, err := r.qdiscs(index)
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
