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
	"errors"
	"fmt"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Conn talks to the nftables of the network namespace in which it was dialled, from
// whichever thread. It is not safe for use by several goroutines at once.
type Conn struct {
	c *netlink.Conn
}

// Dial opens a connection to the nftables of the calling thread's namespace. Tables with
// the flag Owner live as long as the connection that made them.
func Dial() (*Conn, error) {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, fmt.Errorf("talk to nftables: %w", err)
	}
	_ = c.SetOption(netlink.ExtendedAcknowledge, true) // only for better texts of errors
	return &Conn{c}, nil
}

// Close ends the connection, and with it the tables that it owns.
func (c *Conn) Close() error { return c.c.Close() }

// lingering is how long a connection stays open after Leave: for what the kernel does
// meanwhile.
const lingering = 250 * time.Millisecond

// Leave ends the connection a moment later, and does not wait for that. After a table was
// removed, Close waits until the kernel has freed it, which it does when no processor can
// be using it any more: that takes far longer than all the rest, and everybody who wants
// to change the namespace's tables waits, too. A table that is owned is removed with
// Close only.
func (c *Conn) Leave() { time.AfterFunc(lingering, func() { _ = c.c.Close() }) }

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
	sent, err := c.c.SendMessages(all)
	if err != nil {
		return fmt.Errorf("send to nftables: %w", err)
	}
	last := sent[len(sent)-2].Header.Sequence
	for {
		// An error stands for the whole batch, but the kernel may say more than one: all
		// up to the answer of the last are read, so that the next call finds none of them.
		answers, err := c.c.Receive()
		if err != nil {
			return errors.Join(err, c.drain())
		}
		for _, a := range answers {
			if a.Header.Sequence == last {
				return nil
			}
		}
	}
}

// drain reads answers that are still under way after an error. The kernel has queued
// all of them by the time that the first can be read.
func (c *Conn) drain() error {
	raw, err := c.c.SyscallConn()
	if err != nil {
		return err
	}
	buffer := make([]byte, 1<<16)
	return raw.Read(func(fd uintptr) bool {
		for {
			if _, _, err := unix.Recvfrom(int(fd), buffer, unix.MSG_DONTWAIT); err != nil {
				return true
			}
		}
	})
}

// dump asks for a list.
func (c *Conn) dump(kind int, family byte, attributes []byte) ([]netlink.Message, error) {
	return c.c.Execute(netlink.Message{
		Header: netlink.Header{Type: message(kind), Flags: netlink.Request | netlink.Dump},
		Data:   body(family, 0, attributes),
	})
}
