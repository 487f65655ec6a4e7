//go:build linux

package impair

import (
	"errors"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/plugins/internal/netns"
)

// Abilities are what not every kernel has.
type Abilities struct {
	Netem bool `json:"netem"`
}

// Able tries the kernel out, in a network namespace made for that: nothing else is
// touched. It needs root.
func Able() (can Abilities, err error) {
	own, err := netns.Own()
	if err != nil {
		return can, err
	}
	defer own.Close()
	err = own.Do(func() error { // which brings the thread back
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make a network namespace: %w: that needs root", err)
		}
		can, err = AbleHere()
		return err
	})
	return can, err
}

// AbleHere tries the kernel out on the loopback of the caller's namespace, which must be
// one that nobody uses.
func AbleHere() (can Abilities, err error) {
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		return can, fmt.Errorf("try the kernel out: %w", err)
	}
	err = Netem{}.qdisc(leafBase).put(lo.Index, netlink.HANDLE_ROOT, replace)
	if err != nil && !errors.Is(err, ErrNoKind) {
		return can, err
	}
	can.Netem = err == nil
	return can, nil
}
