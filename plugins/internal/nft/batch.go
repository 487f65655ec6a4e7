//go:build linux

package nft

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Families of tables.
const (
	Inet   = unix.NFPROTO_INET
	IPv4   = unix.NFPROTO_IPV4
	Netdev = unix.NFPROTO_NETDEV
)

// Table names a table.
type Table struct {
	Family byte
	Name   string
}

// Owner makes a table belong to the connection that adds it: nobody else may change it,
// and the kernel removes it when the connection ends (Linux 5.12).
const Owner uint32 = 0x2

// Chain is a chain that sees packets.
type Chain struct {
	Table    Table
	Name     string
	Type     string // filter, nat or route; empty: no packet comes there by itself
	Hook     uint32 // unix.NF_INET_*, or unix.NF_NETDEV_INGRESS
	Priority int32
	Device   string // in the family netdev
}

// Set holds values of one kind and length.
type Set struct {
	Table    Table
	Name     string
	ID       uint32 // distinct within a batch
	KeyType  uint32 // what `nft` shows the values as
	KeyLen   int    // bytes
	Interval bool   // the elements are the beginnings and, marked, the ends of ranges
	Timeout  bool   // elements may run out
}

// What `nft` calls the types of the values; the kernel does not look at them.
const (
	TypeIPv4      = 7
	TypeIPv6      = 8
	TypeEtherType = 10
	TypeService   = 13 // a port
)

// Element is a value in a set.
type Element struct {
	Key     []byte
	End     bool          // the first value behind a range, in a set with intervals
	Timeout time.Duration // in a set with timeouts; 0: none
}

// Batch collects changes that are made together. Errors are kept until Commit.
type Batch struct {
	messages []netlink.Message
	err      error
}

// Empty says whether there is anything to change.
func (b *Batch) Empty() bool { return len(b.messages) == 0 }

func (b *Batch) add(kind int, flags netlink.HeaderFlags, family byte, attributes ...netlink.Attribute) {
	raw, err := netlink.MarshalAttributes(attributes)
	if err != nil && b.err == nil {
		b.err = fmt.Errorf("write a message for nftables: %w", err)
	}
	b.messages = append(b.messages, netlink.Message{
		Header: netlink.Header{Type: message(kind), Flags: netlink.Request | flags},
		Data:   body(family, 0, raw),
	})
}

func text(kind uint16, s string) netlink.Attribute {
	return netlink.Attribute{Type: kind, Data: append([]byte(s), 0)}
}

func number(kind uint16, n uint32) netlink.Attribute {
	return netlink.Attribute{Type: kind, Data: binary.BigEndian.AppendUint32(nil, n)}
}

func (b *Batch) nested(kind uint16, inner ...netlink.Attribute) netlink.Attribute {
	raw, err := netlink.MarshalAttributes(inner)
	if err != nil && b.err == nil {
		b.err = fmt.Errorf("write a message for nftables: %w", err)
	}
	return netlink.Attribute{Type: unix.NLA_F_NESTED | kind, Data: raw}
}

const create = netlink.Create | netlink.Excl

// AddTable makes a new table; one of that name must not exist.
func (b *Batch) AddTable(t Table, flags uint32) {
	b.add(unix.NFT_MSG_NEWTABLE, create, t.Family, text(unix.NFTA_TABLE_NAME, t.Name), number(unix.NFTA_TABLE_FLAGS, flags))
}

// DelTable removes a table with all that is in it.
func (b *Batch) DelTable(t Table) {
	b.add(unix.NFT_MSG_DELTABLE, 0, t.Family, text(unix.NFTA_TABLE_NAME, t.Name))
}

// AddChain makes a chain that sees packets at its hook, if it has a type.
func (b *Batch) AddChain(c Chain) {
	if c.Type == "" {
		b.add(unix.NFT_MSG_NEWCHAIN, create, c.Table.Family, text(unix.NFTA_CHAIN_TABLE, c.Table.Name), text(unix.NFTA_CHAIN_NAME, c.Name))
		return
	}
	hook := []netlink.Attribute{
		number(unix.NFTA_HOOK_HOOKNUM, c.Hook),
		number(unix.NFTA_HOOK_PRIORITY, uint32(c.Priority)),
	}
	if c.Device != "" {
		hook = append(hook, text(unix.NFTA_HOOK_DEV, c.Device))
	}
	b.add(unix.NFT_MSG_NEWCHAIN, create, c.Table.Family,
		text(unix.NFTA_CHAIN_TABLE, c.Table.Name),
		text(unix.NFTA_CHAIN_NAME, c.Name),
		b.nested(unix.NFTA_CHAIN_HOOK, hook...),
		text(unix.NFTA_CHAIN_TYPE, c.Type),
	)
}

// FlushChain removes all rules of a chain. The chain stays. Connections whose addresses it
// has changed go on as long as it is there and the kernel tracks connections at all, which
// it does only where some rule needs that (see Track).
func (b *Batch) FlushChain(t Table, chain string) {
	b.add(unix.NFT_MSG_DELRULE, 0, t.Family, text(unix.NFTA_RULE_TABLE, t.Name), text(unix.NFTA_RULE_CHAIN, chain))
}

// Track makes the kernel track connections for as long as the table is there: a chain of
// this name, where no packet comes by, has a rule that needs it.
func (b *Batch) Track(t Table, chain string) {
	b.AddChain(Chain{Table: t, Name: chain})
	b.AddRule(t, chain, &expr.Ct{Key: expr.CtKeySTATE, Register: 1})
}

// AddSet makes a set.
func (b *Batch) AddSet(s Set) {
	var flags uint32
	if s.Interval {
		flags |= unix.NFT_SET_INTERVAL
	}
	if s.Timeout {
		flags |= unix.NFT_SET_TIMEOUT
	}
	b.add(unix.NFT_MSG_NEWSET, create, s.Table.Family,
		text(unix.NFTA_SET_TABLE, s.Table.Name),
		text(unix.NFTA_SET_NAME, s.Name),
		number(unix.NFTA_SET_FLAGS, flags),
		number(unix.NFTA_SET_KEY_TYPE, s.KeyType),
		number(unix.NFTA_SET_KEY_LEN, uint32(s.KeyLen)),
		number(unix.NFTA_SET_ID, s.ID),
	)
}

// AddElements puts values into a set. A value that is there stays as it is.
func (b *Batch) AddElements(t Table, set string, all ...Element) {
	b.elements(unix.NFT_MSG_NEWSETELEM, netlink.Create, t, set, all)
}

// RenewElements gives values in a set a new timeout, and puts in those that are missing.
func (b *Batch) RenewElements(t Table, set string, all ...Element) {
	// Kernels before 6.12 do not touch the timeout of a value that is there, and to
	// remove one that is not is an error. Within a batch it is there in any case.
	b.elements(unix.NFT_MSG_NEWSETELEM, netlink.Create, t, set, all)
	b.elements(unix.NFT_MSG_DELSETELEM, 0, t, set, all)
	b.elements(unix.NFT_MSG_NEWSETELEM, netlink.Create, t, set, all)
}

// ClearElements empties a set.
func (b *Batch) ClearElements(t Table, set string) {
	b.add(unix.NFT_MSG_DELSETELEM, 0, t.Family,
		text(unix.NFTA_SET_ELEM_LIST_TABLE, t.Name), text(unix.NFTA_SET_ELEM_LIST_SET, set))
}

func (b *Batch) elements(kind int, flags netlink.HeaderFlags, t Table, set string, all []Element) {
	var list []netlink.Attribute
	for _, e := range all {
		one := []netlink.Attribute{b.nested(unix.NFTA_SET_ELEM_KEY, netlink.Attribute{Type: unix.NFTA_DATA_VALUE, Data: e.Key})}
		if e.End {
			one = append(one, number(unix.NFTA_SET_ELEM_FLAGS, unix.NFT_SET_ELEM_INTERVAL_END))
		}
		if e.Timeout > 0 && kind == unix.NFT_MSG_NEWSETELEM {
			one = append(one, netlink.Attribute{
				Type: unix.NFTA_SET_ELEM_TIMEOUT,
				Data: binary.BigEndian.AppendUint64(nil, uint64(max(e.Timeout.Milliseconds(), 1))),
			})
		}
		list = append(list, b.nested(unix.NFTA_LIST_ELEM, one...))
	}
	b.add(kind, flags, t.Family,
		text(unix.NFTA_SET_ELEM_LIST_TABLE, t.Name),
		text(unix.NFTA_SET_ELEM_LIST_SET, set),
		b.nested(unix.NFTA_SET_ELEM_LIST_ELEMENTS, list...),
	)
}

// Expression is a part of a rule: an expr.Any, or one of this package.
type Expression any

// Fwd hands the packet over to a device, in the family netdev. The device's index is in
// the register.
type Fwd struct{ Register uint32 }

const fwdRegister = 1 // NFTA_FWD_SREG_DEV

func (b *Batch) expression(family byte, e Expression) ([]byte, error) {
	switch e := e.(type) {
	case expr.Any:
		return expr.Marshal(family, e)
	case Fwd:
		return netlink.MarshalAttributes([]netlink.Attribute{
			text(unix.NFTA_EXPR_NAME, "fwd"),
			b.nested(unix.NFTA_EXPR_DATA, number(fwdRegister, e.Register)),
		})
	}
	return nil, fmt.Errorf("%T is no expression", e)
}

// AddRule puts a rule at the end of a chain.
func (b *Batch) AddRule(t Table, chain string, expressions ...Expression) {
	var list []netlink.Attribute
	for _, e := range expressions {
		raw, err := b.expression(t.Family, e)
		if err != nil && b.err == nil {
			b.err = fmt.Errorf("write a rule for nftables: %w", err)
		}
		list = append(list, netlink.Attribute{Type: unix.NLA_F_NESTED | unix.NFTA_LIST_ELEM, Data: raw})
	}
	b.add(unix.NFT_MSG_NEWRULE, netlink.Create|netlink.Append, t.Family,
		text(unix.NFTA_RULE_TABLE, t.Name),
		text(unix.NFTA_RULE_CHAIN, chain),
		b.nested(unix.NFTA_RULE_EXPRESSIONS, list...),
	)
}
