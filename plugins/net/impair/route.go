//go:build linux

package impair

import (
	"fmt"

	netlinkmsg "github.com/mdlayher/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/plugins/internal/ask"
)

// route talks to the traffic control of the namespace in which it was dialled: one socket
// for all that is asked in a visit.
type route struct{ s *ask.Socket }

func dialRoute() (*route, error) {
	s, err := ask.Open(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("talk to traffic control: %w", err)
	}
	return &route{s}, nil
}

func (r *route) close() error { return r.s.Close() }

// withRoute is for a single question.
func withRoute(ask func(*route) error) error {
	r, err := dialRoute()
	if err != nil {
		return err
	}
	defer r.close()
	return ask(r)
}

// request sends one message. What is changed is acknowledged.
func (r *route) request(kind int, flags netlinkmsg.HeaderFlags, m nl.TcMsg, attributes ...*nl.RtAttr) ([]netlinkmsg.Message, error) {
	m.Family = nl.FAMILY_ALL
	data := m.Serialize()
	for _, a := range attributes {
		data = append(data, a.Serialize()...)
	}
	return r.s.Do(netlinkmsg.Message{
		Header: netlinkmsg.Header{Type: netlinkmsg.HeaderType(kind), Flags: netlinkmsg.Request | flags}, Data: data,
	})
}

func (r *route) list(kind int, m nl.TcMsg) ([]netlinkmsg.Message, error) {
	return r.request(kind, netlinkmsg.Dump, m)
}

func (r *route) change(kind, flags int, m nl.TcMsg, attributes ...*nl.RtAttr) error {
	_, err := r.request(kind, netlinkmsg.Acknowledge|netlinkmsg.HeaderFlags(flags), m, attributes...)
	return err
}
