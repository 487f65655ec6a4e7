//go:build linux

package impair

import (
	"fmt"

	netlinkconn "github.com/mdlayher/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// route talks to the traffic control of the namespace in which it was dialled: one socket
// for all that is asked in a visit.
type route struct{ c *netlinkconn.Conn }

func dialRoute() (*route, error) {
	c, err := netlinkconn.Dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		return nil, fmt.Errorf("talk to traffic control: %w", err)
	}
	return &route{c}, nil
}

func (r *route) close() error { return r.c.Close() }

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
func (r *route) request(kind int, flags netlinkconn.HeaderFlags, m nl.TcMsg, attributes ...*nl.RtAttr) ([]netlinkconn.Message, error) {
	m.Family = nl.FAMILY_ALL
	data := m.Serialize()
	for _, a := range attributes {
		data = append(data, a.Serialize()...)
	}
	return r.c.Execute(netlinkconn.Message{
		Header: netlinkconn.Header{Type: netlinkconn.HeaderType(kind), Flags: netlinkconn.Request | flags}, Data: data,
	})
}

func (r *route) list(kind int, m nl.TcMsg) ([]netlinkconn.Message, error) {
	return r.request(kind, netlinkconn.Dump, m)
}

func (r *route) change(kind, flags int, m nl.TcMsg, attributes ...*nl.RtAttr) error {
	_, err := r.request(kind, netlinkconn.Acknowledge|netlinkconn.HeaderFlags(flags), m, attributes...)
	return err
}
