//go:build linux

// Package nettest gives tests networks of their own: pairs of network namespaces with a
// wire between them, and traffic to measure on it. All of it goes with the test.
package nettest

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/plugins/internal/netns"
	"github.com/faultline-go/faultline/sdk/plugintest"
)

// Host is one end of a wire: a namespace with a loopback and one interface.
type Host struct {
	*netns.Namespace
	Name string // in netns.Dir
	Path string
	IP   netip.Addr
	IP6  netip.Addr
}

// Device is the interface of every host.
const Device = "wire0"

// Patience is how long a test waits for what has to come, however busy the machine is. What
// is waited for in vain is worth a failure; what is late is not.
const Patience = 2 * time.Minute

// Pair is two hosts with a wire between them.
type Pair struct{ Here, There Host }

// Root makes sure that namespaces can be made.
func Root(t testing.TB) {
	t.Helper()
	plugintest.Need(t, "root", func() error {
		if os.Geteuid() != 0 {
			return errors.New("this user may not make network namespaces")
		}
		return nil
	})
}

// NewPair makes two hosts that reach each other.
func NewPair(t testing.TB) Pair {
	t.Helper()
	return newPair(t, newName())
}

// Again makes a new pair in the place of another one, whose near end has the same name.
func (p Pair) Again(t testing.TB) Pair {
	t.Helper()
	Remove(t, p.Here.Path)
	return newPair(t, p.Here.Name)
}

func newName() string {
	random := make([]byte, 4)
	_, _ = rand.Read(random)
	return "fltest-" + hex.EncodeToString(random)
}

func newPair(t testing.TB, name string) Pair {
	t.Helper()
	Root(t)
	p := Pair{Here: newHost(t, name, 1), There: newHost(t, newName(), 2)}
	must(t, p.Here.Do(func() error {
		wire := &netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: Device, TxQLen: 1000},
			PeerName:  Device, PeerNamespace: netlink.NsFd(p.There.Fd()),
		}
		if err := netlink.LinkAdd(wire); err != nil {
			return fmt.Errorf("add a wire: %w", err)
		}
		return nil
	}))
	p.Here.up(t)
	p.There.up(t)
	p.settle(t, p.There.IP)
	return p
}

// Settle6 waits until the wire carries packets of IPv6 too: the kernel lets up to a second
// pass before it looks whether an interface is up.
func (p Pair) Settle6(t testing.TB) {
	t.Helper()
	p.settle(t, p.There.IP6)
}

// settle waits until the wire carries packets to an address of the far end.
func (p Pair) settle(t testing.TB, ip netip.Addr) {
	t.Helper()
	echo := p.There.Echo(t, netip.AddrPortFrom(ip, 0))
	for wait, end := 50*time.Millisecond, time.Now().Add(Patience); ; wait = min(2*wait, 5*time.Second) {
		if took, _ := p.Here.Ping(t, echo, 1, 0, wait); len(took) == 1 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the wire between two namespaces does not carry a packet to %s", ip)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newHost makes a namespace with a name, so that other processes find it.
func newHost(t testing.TB, name string, number byte) Host {
	t.Helper()
	h := Host{
		Name: name,
		IP:   netip.AddrFrom4([4]byte{10, 99, 0, number}),
		IP6:  netip.MustParseAddr(fmt.Sprintf("fd99::%d", number)),
	}
	h.Path = filepath.Join(netns.Dir, h.Name)
	must(t, os.MkdirAll(netns.Dir, 0o755))
	must(t, os.WriteFile(h.Path, nil, 0o400))
	own, err := netns.Own()
	must(t, err)
	defer own.Close()
	must(t, own.Do(func() error { // which brings the thread back
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		return unix.Mount("/proc/thread-self/ns/net", h.Path, "", unix.MS_BIND, "")
	}))
	t.Cleanup(func() { Remove(t, h.Path) })
	h.Namespace, err = netns.At(h.Path)
	must(t, err)
	t.Cleanup(func() { h.Namespace.Close() })
	return h
}

// Remove takes the name of a namespace away, and the namespace with it when nobody else
// holds it.
func Remove(t testing.TB, path string) {
	t.Helper()
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		t.Errorf("clean up %s: %v", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Errorf("clean up %s: %v", path, err)
	}
}

func (h Host) up(t testing.TB) {
	t.Helper()
	must(t, h.Do(func() error {
		// Duplicate address detection would make the first second useless.
		_ = os.WriteFile("/proc/sys/net/ipv6/conf/"+Device+"/accept_dad", []byte("0"), 0)
		for _, name := range []string{"lo", Device} {
			link, err := netlink.LinkByName(name)
			if err != nil {
				return err
			}
			if name == Device {
				for _, ip := range []netip.Addr{h.IP, h.IP6} {
					bits := 24
					if ip.Is6() {
						bits = 64
					}
					a := &netlink.Addr{IPNet: &net.IPNet{IP: ip.AsSlice(), Mask: net.CIDRMask(bits, ip.BitLen())}, Flags: unix.IFA_F_NODAD}
					if err := netlink.AddrAdd(link, a); err != nil && !(ip.Is6() && errors.Is(err, unix.EOPNOTSUPP)) {
						return fmt.Errorf("give %s the address %s: %w", name, ip, err)
					}
				}
			}
			if err := netlink.LinkSetUp(link); err != nil {
				return err
			}
		}
		return nil
	}))
}
