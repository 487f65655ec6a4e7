//go:build linux

package impair

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Qdisc is a queueing discipline as the kernel describes it.
type Qdisc struct {
	Kind    string `json:"kind"`
	Handle  uint32 `json:"handle"`
	Options []byte `json:"options,omitempty"`

	parent uint32
	stats  queueStats
}

// queueStats are what a discipline has seen.
type queueStats struct {
	Bytes, Packets, Dropped, Overlimits, Waiting uint64
}

func (q Qdisc) String() string {
	return fmt.Sprintf("%s %x:", q.Kind, q.Handle>>16)
}

// qdiscs lists the disciplines of a device.
func (r *route) qdiscs(index int) ([]Qdisc, error) {
	answers, err := r.list(unix.RTM_GETQDISC, nl.TcMsg{Ifindex: int32(index)})
	if err != nil {
		return nil, fmt.Errorf("list queueing disciplines: %w", err)
	}
	var out []Qdisc
	for _, a := range answers {
		raw := a.Data
		if len(raw) < nl.SizeofTcMsg {
			return nil, errors.New("list queueing disciplines: the kernel's answer is too short")
		}
		m := nl.DeserializeTcMsg(raw)
		if int(m.Ifindex) != index {
			continue // older kernels list those of all devices
		}
		attributes, err := nl.ParseRouteAttr(raw[nl.SizeofTcMsg:])
		if err != nil {
			return nil, fmt.Errorf("list queueing disciplines: %w", err)
		}
		q := Qdisc{Handle: m.Handle, parent: m.Parent}
		for _, a := range attributes {
			switch a.Attr.Type {
			case nl.TCA_KIND:
				q.Kind = nl.BytesToString(a.Value)
			case nl.TCA_OPTIONS:
				q.Options = slices.Clone(a.Value)
			case nl.TCA_STATS:
				q.stats = parseStats(a.Value)
			}
		}
		out = append(out, q)
	}
	return out, nil
}

// parseStats reads struct tc_stats.
func parseStats(b []byte) (s queueStats) {
	if len(b) < 36 {
		return s
	}
	word := func(i int) uint64 { return uint64(binary.NativeEndian.Uint32(b[i:])) }
	return queueStats{Bytes: binary.NativeEndian.Uint64(b), Packets: word(8), Dropped: word(12), Overlimits: word(16), Waiting: word(28)}
}

// rootOf returns the discipline at the root of a device; nil when it is one that the
// kernel gives by itself, which has no handle.
func (r *route) rootOf(index int) (*Qdisc, error) {
	all, err := r.qdiscs(index)
	if err != nil {
		return nil, err
	}
	for _, q := range all {
		if q.parent == netlink.HANDLE_ROOT && q.Handle != 0 {
			return &q, nil
		}
	}
	return nil, nil
}

// Carries refuses an interface of the caller's namespace that carries no traffic.
func Carries(name string) error {
	dev, err := net.InterfaceByName(name)
	switch {
	case err != nil:
		return fmt.Errorf("interface %s: there is no such interface", name)
	case dev.Flags&net.FlagUp == 0:
		return fmt.Errorf("interface %s is down: it carries no traffic", name)
	}
	return nil
}

// LookAt a device that is to get a discipline of ours: what it has, or why it cannot be
// put back afterwards. The caller is in the device's namespace.
func LookAt(name string) (Device, error) {
	if err := Carries(name); err != nil {
		return Device{}, err
	}
	dev, err := net.InterfaceByName(name)
	if err != nil {
		return Device{}, fmt.Errorf("interface %s: %w", name, err)
	}
	r, err := dialRoute()
	if err != nil {
		return Device{}, err
	}
	defer r.close()
	root, err := r.rootOf(dev.Index)
	if err != nil {
		return Device{}, fmt.Errorf("interface %s: %w", name, err)
	}
	switch {
	case root == nil:
		return Device{Name: name}, nil
	case root.ours():
		return Device{}, fmt.Errorf("interface %s has a fault of faultline already (%s): end it first, `faultline scan` tells what it is", name, root)
	case !slices.Contains(restorable, root.Kind):
		return Device{}, fmt.Errorf("interface %s has the queueing discipline %s, which could not be put back as it is: take it away first, or use a fault that needs none (net_partition, net_loss)", name, root)
	}
	filters, err := r.hasFilters(dev.Index, root.Handle)
	if err != nil {
		return Device{}, fmt.Errorf("interface %s: %w", name, err)
	}
	if filters {
		return Device{}, fmt.Errorf("interface %s has filters at its queueing discipline %s, which could not be put back as they are", name, root)
	}
	root.parent, root.stats = 0, queueStats{}
	if err := root.rehearse(dev.MTU); err != nil {
		return Device{}, fmt.Errorf("interface %s has the queueing discipline %s, which could not be put back as it is: %w", name, root, err)
	}
	return Device{Name: name, Root: root}, nil
}

func (r *route) hasFilters(index int, parent uint32) (bool, error) {
	answers, err := r.list(unix.RTM_GETTFILTER, nl.TcMsg{Ifindex: int32(index), Parent: parent})
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EOPNOTSUPP) {
		return false, fmt.Errorf("list filters: %w", err)
	}
	return len(answers) > 0, nil
}

// put makes a discipline, in the place of the one that is there, such that the kernel
// shows q.
func (r *route) put(q Qdisc, index int, parent uint32, flags int) error {
	attributes := []*nl.RtAttr{nl.NewRtAttr(nl.TCA_KIND, nl.ZeroTerminated(q.Kind))}
	if options := q.asked(); len(options) > 0 {
		attributes = append(attributes, nl.NewRtAttr(nl.TCA_OPTIONS, options))
	}
	err := r.change(unix.RTM_NEWQDISC, flags, nl.TcMsg{Ifindex: int32(index), Handle: q.Handle, Parent: parent}, attributes...)
	if err != nil {
		return q.explain(err)
	}
	return nil
}

// ErrNoKind says that the kernel lacks a queueing discipline.
var ErrNoKind = errors.New("this kernel does not have it")

func (q Qdisc) explain(err error) error {
	if errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("add the queueing discipline %s: %w (module sch_%s)", q.Kind, ErrNoKind, q.Kind)
	}
	return fmt.Errorf("add the queueing discipline %s: %w", q.Kind, err)
}

const (
	addNew  = unix.NLM_F_CREATE | unix.NLM_F_EXCL
	replace = unix.NLM_F_CREATE | unix.NLM_F_REPLACE
)
