//go:build linux

package impair

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
)

// Choose finds the interfaces of the caller's namespace that an impairment works on, and
// what they have now: the named one, else all that carry traffic. Rules that are for all
// of them need no list.
func Choose(named string, s Spec) ([]Device, error) {
	names, err := carriers()
	if named != "" {
		names, err = []string{named}, nil
	}
	if err != nil {
		return nil, err
	}
	if named == "" && !s.Action.Queued() {
		return nil, nil
	}
	var out []Device
	for _, name := range slices.Sorted(slices.Values(names)) {
		var d Device
		if s.Action.Queued() && s.Match.Direction != In {
			d, err = LookAt(name)
		} else {
			d, err = Device{Name: name}, Carries(name)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	if named != "" && s.Match.Direction != In {
		return out, carriesAll(named, s.Match.To)
	}
	return out, nil
}

// carriesAll refuses an interface that packets to the given peers do not take.
func carriesAll(device string, to []netip.Prefix) error {
	for _, p := range to {
		routes, err := netlink.RouteGet(p.Addr().AsSlice())
		if err != nil || len(routes) == 0 {
			return fmt.Errorf("to = %s: the target has no route there: %w", p, errors.Join(err))
		}
		link, err := netlink.LinkByIndex(routes[0].LinkIndex)
		if err != nil {
			return fmt.Errorf("to = %s: %w", p, err)
		}
		if link.Attrs().Name != device {
			return fmt.Errorf("interface %s does not carry the traffic to %s: it takes %s", device, p, link.Attrs().Name)
		}
	}
	return nil
}

// carriers are the interfaces of the caller's namespace that carry traffic.
func carriers() ([]string, error) {
	all, err := Interfaces()
	if err != nil {
		return nil, err
	}
	var out []string
	for _, i := range all {
		if i.Flags&net.FlagUp != 0 && i.Flags&net.FlagLoopback == 0 {
			out = append(out, i.Name)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("the target has no interface that carries traffic: nothing but its loopback is up")
	}
	return out, nil
}
