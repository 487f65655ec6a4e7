//go:build linux

package impair

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/plugins/internal/netns"
)

// restorable are the disciplines that are the same again when the kernel is asked for what
// it had shown: they have no classes, filters or tables that it does not show.
var restorable = []string{"pfifo", "bfifo", "tbf", "fq", "fq_codel", "codel", "cake", "sfq"}

// asked are the options with which the kernel has to be asked for a discipline so that it
// shows those of q. They are not always the same.
func (q Qdisc) asked() []byte {
	switch q.Kind {
	case "codel":
		return later(q.Options, 1, 3, 5) // TCA_CODEL_TARGET, _INTERVAL and _CE_THRESHOLD
	case "fq_codel":
		return later(q.Options, 1, 3, 7) // TCA_FQ_CODEL_TARGET, _INTERVAL and _CE_THRESHOLD
	case "sfq":
		return moreFlows(q.Options)
	}
	return q.Options
}

// later makes times a microsecond longer. The kernel keeps them in units of 1024 ns and
// cuts fractions off both when it is told and when it shows: told what it had shown, it
// would take one unit less. A microsecond more is the same number of units in any case.
func later(options []byte, times ...uint16) []byte {
	out := slices.Clone(options)
	for rest := out; len(rest) >= unix.SizeofNlAttr; {
		length := int(binary.NativeEndian.Uint16(rest))
		if length < unix.SizeofNlAttr || length > len(rest) {
			break // nothing that the kernel shows
		}
		kind := binary.NativeEndian.Uint16(rest[2:]) & nl.NLA_TYPE_MASK
		if value := rest[unix.SizeofNlAttr:length]; len(value) == 4 && slices.Contains(times, kind) {
			binary.NativeEndian.PutUint32(value, binary.NativeEndian.Uint32(value)+1)
		}
		rest = rest[min((length+3)&^3, len(rest)):]
	}
	return out
}

// moreFlows lets a sfq have more flows than packets, which it has when nobody has set
// how many packets: struct tc_sfq_qopt is quantum, period, limit, divisor and flows.
func moreFlows(options []byte) []byte {
	const limit, flows, length = 8, 16, 20
	out := slices.Clone(options)
	if len(out) >= length && binary.NativeEndian.Uint32(out[flows:]) > binary.NativeEndian.Uint32(out[limit:]) {
		binary.NativeEndian.PutUint32(out[limit:], 0) // the usual number, whichever that is
	}
	return out
}

// rehearse puts a discipline at a device of the same size in a network namespace made for
// that, and wants to be shown the same: so what cannot be put back is refused before
// anything is touched. Whoever may not make a namespace (a helper in a container) goes
// without.
func (q Qdisc) rehearse(mtu int) error {
	own, err := netns.Own()
	if err != nil {
		return err
	}
	defer own.Close()
	return own.Do(func() error { // which brings the thread back
		err := unix.Unshare(unix.CLONE_NEWNET)
		if errors.Is(err, unix.EPERM) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("make a network namespace: %w", err)
		}
		lo, err := netlink.LinkByName("lo")
		if err == nil {
			err = netlink.LinkSetMTU(lo, mtu)
		}
		if err != nil {
			return err
		}
		return withRoute(func(r *route) error {
			if err := r.put(q, lo.Attrs().Index, netlink.HANDLE_ROOT, addNew); err != nil {
				return err
			}
			now, err := r.rootOf(lo.Attrs().Index)
			if err == nil && !same(now, &q) {
				err = errors.New("the kernel shows another one when it is told what it has shown")
			}
			return err
		})
	})
}
