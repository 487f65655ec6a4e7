//go:build linux

// Package nft writes and reads the nftables of a network namespace, by netlink.
//
// It does little, and what it does is what faults need and the usual library lacks:
// whole transactions in one message, tables that belong to the process that made them
// (the kernel removes them with it), and set elements with a timeout that is renewed.
// The expressions of rules are those of github.com/google/nftables/expr.
package nft

import (
	"encoding/binary"
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/plugins/internal/ask"
)

// Conn talks to the nftables of the network namespace in which it was dialled, from
// whichever thread. It is not safe for use by several goroutines at once.
type Conn struct {
	s *ask.Socket
}

// Dial opens a connection to the nftables of the calling thread's namespace. Tables with
// the flag Owner live as long as the connection that made them.
func Dial() (*Conn, error) {
	s, err := ask.Open(unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, fmt.Errorf("talk to nftables: %w", err)
	}
	return &Conn{s}, nil
}

// Close ends the connection, and with it the tables that it owns. Soon after a table was
// removed it takes until the kernel has freed that, which is when no processor can be
// using it any more.
func (c *Conn) Close() error { return c.s.Close() }

// header types of the nftables subsystem.
func message(kind int) netlink.HeaderType {
	return netlink.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8 | kind)
}

// body puts the nfgenmsg of every netfilter message before its attributes.
func body(family byte, resource uint16, attributes []byte) []byte {
	b := []byte{family, unix.NFNETLINK_V0, 0, 0}
	binary.BigEndian.PutUint16(b[2:], resource)
	return append(b, attributes...)
}

// Commit carries a batch out, whole or not at all.
func (c *Conn) Commit(b *Batch) error {
	if b.err != nil {
		return b.err
	}
	if len(b.messages) == 0 {
		return nil
	}
	all := make([]netlink.Message, 0, len(b.messages)+2)
	all = append(all, netlink.Message{
		Header: netlink.Header{Type: unix.NFNL_MSG_BATCH_BEGIN, Flags: netlink.Request},
		Data:   body(0, unix.NFNL_SUBSYS_NFTABLES, nil),
	})
	for i, m := range b.messages {
		// Only the last one is acknowledged: an error of any is answered at once, and
		// everything before the answer to the last has then been done.
		if i == len(b.messages)-1 {
			m.Header.Flags |= netlink.Acknowledge
		}
		all = append(all, m)
	}
	all = append(all, netlink.Message{
		Header: netlink.Header{Type: unix.NFNL_MSG_BATCH_END, Flags: netlink.Request},
		Data:   body(0, unix.NFNL_SUBSYS_NFTABLES, nil),
	})
	return c.s.Together(all, len(all)-2)
}

// dump asks for a list.
func (c *Conn) dump(kind int, family byte, attributes []byte) ([]netlink.Message, error) {
	return c.s.Do(netlink.Message{
		Header: netlink.Header{Type: message(kind), Flags: netlink.Request | netlink.Dump},
		Data:   body(family, 0, attributes),
	})
}
