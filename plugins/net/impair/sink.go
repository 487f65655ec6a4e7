//go:build linux

package impair

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Packets that arrive have no queue. Those that are chosen are handed over to a device of
// ours, an ifb, which has one and gives them back behind it, as if they had just arrived.

// sink names the device for the packets of the n-th device.
func (s Spec) sink(n int) string { return fmt.Sprintf("fl%s%c", s.Mark[:10], 'a'+rune(n%26)) }

// sinkRoot is the handle of the discipline at a sink.
const sinkRoot = leafBase

// noAddresses has a device give itself no address of IPv6 (IN6_ADDR_GEN_MODE_NONE).
const noAddresses = 1

// dig makes the sinks, each with the discipline that does the harm.
func (s *Spec) dig(r *route) error {
	s.sinks = map[string]int{}
	for i, d := range s.Devices {
		name := s.sink(i)
		ifb := &netlink.Ifb{LinkAttrs: netlink.LinkAttrs{Name: name, TxQLen: 1000}}
		if err := netlink.LinkAdd(ifb); err != nil {
			if errors.Is(err, unix.EOPNOTSUPP) {
				return fmt.Errorf("direction in: this kernel has no device that packets could wait in (module ifb)")
			}
			return fmt.Errorf("direction in: add a device that packets wait in: %w", err)
		}
		index, err := indexOf(name)
		if err != nil {
			return err
		}
		if err := r.put(s.effect(sinkRoot), index, netlink.HANDLE_ROOT, replace); err != nil {
			return err
		}
		ifb.Index = index
		// It has nothing to say itself: what it sent would wait and be lost with the packets
		// that are counted there. Without IPv6 it cannot say anything.
		if err := netlink.LinkSetIP6AddrGenMode(ifb, noAddresses); err != nil &&
			!errors.Is(err, unix.EAFNOSUPPORT) && !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("device %s: %w", name, err)
		}
		if err := netlink.LinkSetUp(ifb); err != nil {
			return fmt.Errorf("switch device %s on: %w", name, err)
		}
		s.sinks[d.Name] = index
	}
	return nil
}

// fill takes the sinks away. Nothing leads into them any more.
func (s Spec) fill() (changed bool, err error) {
	for i := range s.Devices {
		link, err := netlink.LinkByName(s.sink(i))
		var none netlink.LinkNotFoundError
		if errors.As(err, &none) {
			continue
		}
		if err == nil {
			err = netlink.LinkDel(link)
		}
		if err != nil && !errors.Is(err, unix.ENODEV) {
			return changed, fmt.Errorf("take away device %s: %w", s.sink(i), err)
		}
		changed = true
	}
	return changed, nil
}

// dug says whether the sink of the n-th device is there and works.
func (s Spec) dug(r *route, n int) (is bool, seen queueStats, err error) {
	index, err := indexOf(s.sink(n))
	if errors.Is(err, errNoDevice) {
		return false, seen, nil
	}
	if err != nil {
		return false, seen, err
	}
	return s.stands(r, index, sinkRoot, netlink.HANDLE_ROOT)
}
