//go:build linux

package impair

import (
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/plugins/internal/netns"
)

// Abilities are what not every kernel has.
type Abilities struct {
	Netem bool `json:"netem"`
}

// tried is what the kernel was found to have: that does not change while we run.
var tried struct {
	sync.Mutex
	can *Abilities
}

// Able tries the kernel out once, in a network namespace made for that: nothing else is
// touched. It needs root.
func Able() (Abilities, error) {
	tried.Lock()
	defer tried.Unlock()
	if tried.can == nil {
		can, err := try()
		if err != nil {
			return can, err
		}
		tried.can = &can
	}
	return *tried.can, nil
}

func try() (can Abilities, err error) {
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
	err = withRoute(func(r *route) error { return r.put(Netem{}.qdisc(leafBase), lo.Index, netlink.HANDLE_ROOT, replace) })
	if err != nil && !errors.Is(err, ErrNoKind) {
		return can, err
	}
	can.Netem = err == nil
	return can, nil
}
