//go:build linux

package impair

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/vishvananda/netlink"
)

// Stray is something that carries a mark of ours.
type Stray struct {
	// Mark is the impairment's, as far as it can be read from what is there: of a queueing
	// discipline and of a device less than the whole.
	Mark string
	What string // for people: what it is, and with which command it goes
	// Armed is set for a table through which packets are led just now.
	Armed bool
}

// Of says whether a stray belongs to an impairment.
func (s Stray) Of(mark string) bool {
	if len(mark) != markLength {
		return false
	}
	if root, ok := strings.CutPrefix(s.Mark, rootMark); ok {
		return root == fmt.Sprintf("%x", Spec{Mark: mark}.number())
	}
	return strings.HasPrefix(mark, s.Mark)
}

// rootMark begins what a discipline shows of its mark, which is a number.
const rootMark = "root:"

// sinkMark is what of a mark a name has that Spec.sink gave: "fl", ten hexadecimal digits
// and a letter. (Not a regular expression: the helper must stay small.)
func sinkMark(name string) (mark string, ok bool) {
	rest, ok := strings.CutPrefix(name, "fl")
	if !ok || len(rest) != 11 || rest[10] < 'a' || rest[10] > 'z' {
		return "", false
	}
	mark = rest[:10]
	return mark, strings.Trim(mark, "0123456789abcdef") == ""
}

// Strays lists what there is of ours in the site's namespace.
func (s *Site) Strays() (out []Stray, err error) {
	tables, err := s.conn.Tables(prefix)
	if err != nil {
		return nil, err
	}
	armed := map[string]bool{}
	for _, t := range tables {
		mark := strings.TrimPrefix(t.Name, prefix)
		if len(mark) != markLength { // the proxy's have a name of their own
			continue
		}
		live, _, err := s.conn.Live(t, armedSet)
		if err != nil {
			return nil, err
		}
		armed[mark] = armed[mark] || live > 0
		family := "inet"
		if t == (Spec{Mark: mark}).gate() {
			family = "netdev"
		}
		out = append(out, Stray{Mark: mark, What: fmt.Sprintf("table %s (nft delete table %s %s)", t.Name, family, t.Name), Armed: live > 0})
	}
	links, err := interfaces()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	for _, l := range links {
		name := l.Attrs().Name
		if m, ok := sinkMark(name); ok && l.Type() == "ifb" {
			out = append(out, Stray{Mark: m, What: fmt.Sprintf("device %s (ip link delete %s)", name, name)})
			continue
		}
		root, err := s.route.treeAt(l.Attrs().Index)
		if err != nil {
			return nil, fmt.Errorf("interface %s: %w", name, err)
		}
		if root != nil {
			out = append(out, Stray{
				Mark: fmt.Sprintf("%s%x", rootMark, root.Handle&0x0fff_0000),
				What: fmt.Sprintf("queueing discipline %s of %s (tc qdisc delete dev %s root)", root, name, name),
			})
		}
	}
	// What a live table leads packets into is as live as that.
	for i := range out {
		for mark, is := range armed {
			out[i].Armed = out[i].Armed || is && out[i].Of(mark)
		}
	}
	return out, nil
}

// interfaces lists those of the caller's namespace. While others come and go the kernel
// says that its list may lack some; it is asked again.
func interfaces() ([]netlink.Link, error) {
	const tries = 50
	for try := 1; ; try++ {
		links, err := netlink.LinkList()
		if !errors.Is(err, netlink.ErrDumpInterrupted) || try == tries {
			return links, err
		}
	}
}

// Interfaces are those of the caller's namespace. Unlike the list of package net it is whole
// also while others come and go.
func Interfaces() (out []net.Interface, err error) {
	links, err := interfaces()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	for _, l := range links {
		a := l.Attrs()
		out = append(out, net.Interface{Index: a.Index, MTU: a.MTU, Name: a.Name, HardwareAddr: a.HardwareAddr, Flags: a.Flags})
	}
	return out, nil
}

// treeAt is the root of a device if that is one of our trees: with a leaf of ours.
func (r *route) treeAt(index int) (root *Qdisc, err error) {
	all, err := r.qdiscs(index)
	if err != nil {
		return nil, err
	}
	for _, q := range all {
		if q.parent == netlink.HANDLE_ROOT && q.ours() {
			root = &q
		}
	}
	if root == nil {
		return nil, nil
	}
	number := root.Handle & 0x0fff_0000
	for _, q := range all {
		if q.parent == root.Handle|2 && q.Handle == leafBase|number {
			return root, nil
		}
	}
	return nil, nil
}
