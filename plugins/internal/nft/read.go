//go:build linux

package nft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// genmsg is the length of the nfgenmsg before the attributes of an answer.
const genmsg = 4

func attributes(m netlink.Message) (*netlink.AttributeDecoder, error) {
	if len(m.Data) < genmsg {
		return nil, errors.New("nftables sent a message that is too short")
	}
	d, err := netlink.NewAttributeDecoder(m.Data[genmsg:])
	if err != nil {
		return nil, err
	}
	d.ByteOrder = binary.BigEndian
	return d, nil
}

// Tables lists the tables of every family whose name begins with prefix.
func (c *Conn) Tables(prefix string) ([]Table, error) {
	answers, err := c.dump(unix.NFT_MSG_GETTABLE, unix.NFPROTO_UNSPEC, nil)
	if err != nil {
		return nil, fmt.Errorf("list nftables: %w", err)
	}
	var out []Table
	for _, m := range answers {
		d, err := attributes(m)
		if err != nil {
			return nil, fmt.Errorf("list nftables: %w", err)
		}
		for d.Next() {
			if d.Type() == unix.NFTA_TABLE_NAME && strings.HasPrefix(d.String(), prefix) {
				out = append(out, Table{Family: m.Data[0], Name: d.String()})
			}
		}
		if err := d.Err(); err != nil {
			return nil, fmt.Errorf("list nftables: %w", err)
		}
	}
	return out, nil
}

// Count is what the counters of a table's rules have seen.
type Count struct {
	Rules    int
	Counters int // how many there are
	Packets  uint64
	Bytes    uint64
}

// Counted adds up the counters of a table. A table that does not exist has no rules.
func (c *Conn) Counted(t Table) (Count, error) {
	var sum Count
	raw, err := netlink.MarshalAttributes([]netlink.Attribute{text(unix.NFTA_RULE_TABLE, t.Name)})
	if err != nil {
		return sum, err
	}
	answers, err := c.dump(unix.NFT_MSG_GETRULE, t.Family, raw)
	if errors.Is(err, unix.ENOENT) {
		return sum, nil
	}
	if err != nil {
		return sum, fmt.Errorf("read the rules of table %s: %w", t.Name, err)
	}
	for _, m := range answers {
		if err := sum.rule(m, t.Name); err != nil {
			return sum, fmt.Errorf("read the rules of table %s: %w", t.Name, err)
		}
	}
	return sum, nil
}

// rule adds the counters of one rule, if it is of the table: kernels before 5.2 list
// those of all.
func (n *Count) rule(m netlink.Message, table string) error {
	d, err := attributes(m)
	if err != nil {
		return err
	}
	ours := false
	var found Count
	for d.Next() {
		switch d.Type() {
		case unix.NFTA_RULE_TABLE:
			ours = d.String() == table
		case unix.NFTA_RULE_EXPRESSIONS:
			d.Nested(func(list *netlink.AttributeDecoder) error {
				for list.Next() {
					list.Nested(found.expression)
				}
				return nil
			})
		}
	}
	if ours {
		n.Rules++
		n.Counters += found.Counters
		n.Packets += found.Packets
		n.Bytes += found.Bytes
	}
	return d.Err()
}

func (n *Count) expression(e *netlink.AttributeDecoder) error {
	name := ""
	for e.Next() {
		switch e.Type() {
		case unix.NFTA_EXPR_NAME:
			name = e.String()
		case unix.NFTA_EXPR_DATA:
			if name != "counter" {
				continue
			}
			n.Counters++
			e.Nested(func(c *netlink.AttributeDecoder) error {
				for c.Next() {
					switch c.Type() {
					case unix.NFTA_COUNTER_PACKETS:
						n.Packets += c.Uint64()
					case unix.NFTA_COUNTER_BYTES:
						n.Bytes += c.Uint64()
					}
				}
				return nil
			})
		}
	}
	return nil
}

// Live counts the elements of a set that have not run out, and says how long the last of
// them still has. A set that does not exist has none.
func (c *Conn) Live(t Table, set string) (n int, left time.Duration, err error) {
	raw, err := netlink.MarshalAttributes([]netlink.Attribute{
		text(unix.NFTA_SET_ELEM_LIST_TABLE, t.Name), text(unix.NFTA_SET_ELEM_LIST_SET, set),
	})
	if err != nil {
		return 0, 0, err
	}
	answers, err := c.dump(unix.NFT_MSG_GETSETELEM, t.Family, raw)
	if errors.Is(err, unix.ENOENT) {
		return 0, 0, nil
	}
	for _, m := range answers {
		if err != nil {
			break
		}
		var d *netlink.AttributeDecoder
		if d, err = attributes(m); err != nil {
			break
		}
		for d.Next() {
			if d.Type() == unix.NFTA_SET_ELEM_LIST_ELEMENTS {
				d.Nested(func(list *netlink.AttributeDecoder) error {
					for list.Next() {
						n++
						list.Nested(func(e *netlink.AttributeDecoder) error {
							for e.Next() {
								if e.Type() == unix.NFTA_SET_ELEM_EXPIRATION {
									left = max(left, time.Duration(e.Uint64())*time.Millisecond)
								}
							}
							return nil
						})
					}
					return nil
				})
			}
		}
		err = d.Err()
	}
	if err != nil {
		return 0, 0, fmt.Errorf("read set %s of table %s: %w", set, t.Name, err)
	}
	return n, left, nil
}
