//go:build linux

package impair

import (
	"encoding/binary"
	"strings"
	"time"

	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/plugins/internal/nft"
)

// Prefix begins the name of every table of ours.
const Prefix = "faultline_"

// table chooses packets on their way through the protocols, gate those that arrive
// before the protocols see them.
func (s Spec) table() nft.Table { return nft.Table{Family: nft.Inet, Name: Prefix + s.Mark} }
func (s Spec) gate() nft.Table  { return nft.Table{Family: nft.Netdev, Name: Prefix + s.Mark} }

// tables are those that the impairment has.
func (s Spec) tables() []nft.Table {
	if !s.Action.Queued() {
		return []nft.Table{s.table()}
	}
	var out []nft.Table
	for _, way := range s.Match.Direction.ways() {
		if way == Out {
			out = append(out, s.table())
		} else {
			out = append(out, s.gate())
		}
	}
	return out
}

const (
	// Behind what translates addresses, so that peers are seen as the wire has them.
	afterNAT = 50
	// Before what translates addresses: Docker's own answers to names, say.
	beforeNAT = -110
	// Where packets have their last look before the device's queue.
	beforeQueue = -150
)

// chains are where a table's rules stand.
func (s Spec) chains(t nft.Table) map[place]nft.Chain {
	out := map[place]nft.Chain{}
	add := func(at place, kind string, hook uint32, priority int32) {
		out[at] = nft.Chain{Table: t, Name: at.chain, Type: kind, Hook: hook, Priority: priority, Device: at.device}
	}
	switch {
	case t.Family == nft.Netdev:
		for _, d := range s.Devices {
			add(place{chain: "in_" + d.Name, way: In, device: d.Name}, "filter", unix.NF_NETDEV_INGRESS, 0)
		}
	case s.Action.Queued():
		add(place{chain: "out", way: Out}, "filter", unix.NF_INET_POST_ROUTING, beforeQueue)
	case s.Action.Redirect != 0:
		add(place{chain: "out", way: Out}, "nat", unix.NF_INET_LOCAL_OUT, beforeNAT)
	default:
		for _, way := range s.Match.Direction.ways() {
			hook := uint32(unix.NF_INET_LOCAL_OUT)
			if way == In {
				hook = unix.NF_INET_LOCAL_IN
			}
			add(place{chain: string(way), way: way}, "filter", hook, afterNAT)
			add(place{chain: string(way) + "_through", way: way}, "filter", unix.NF_INET_FORWARD, afterNAT)
		}
	}
	return out
}

// write makes the tables of the impairment, armed for ttl.
func (s Spec) write(b *nft.Batch, flags uint32, ttl time.Duration) (rules int) {
	for _, t := range s.tables() {
		b.AddTable(t, flags)
		s.sets(b, t)
		b.AddElements(t, armedSet, armed(ttl)...)
		for at, c := range s.chains(t) {
			b.AddChain(c)
			for _, r := range s.rules(at) {
				for _, action := range s.actions(at) {
					b.AddRule(t, c.Name, append(r.and(), action...)...)
					rules++
				}
			}
		}
	}
	return rules
}

// armed are the elements without which no rule acts: the two versions of IP.
func armed(ttl time.Duration) []nft.Element {
	return []nft.Element{
		{Key: binary.BigEndian.AppendUint16(nil, unix.ETH_P_IP), Timeout: ttl},
		{Key: binary.BigEndian.AppendUint16(nil, unix.ETH_P_IPV6), Timeout: ttl},
	}
}

func (s Spec) sets(b *nft.Batch, t nft.Table) {
	id := uint32(0)
	add := func(name string, kind uint32, length int, all []nft.Element) {
		id++
		b.AddSet(nft.Set{Table: t, Name: name, ID: id, KeyType: kind, KeyLen: length, Interval: true})
		b.AddElements(t, name, all...)
	}
	id++
	b.AddSet(nft.Set{Table: t, Name: armedSet, ID: id, KeyType: nft.TypeEtherType, KeyLen: 2, Timeout: true})
	if len(s.Match.Ports) > 0 {
		add(portSet, nft.TypeService, 2, elements(ports(s.Match.Ports)))
	}
	for _, way := range s.Match.Direction.ways() {
		if s.Action.Queued() && (way == In) != (t.Family == nft.Netdev) {
			continue
		}
		peers := s.Match.peers(way)
		if four := addresses(peers, false); len(four) > 0 {
			add(addressSet(way, false), nft.TypeIPv4, 4, elements(four))
		}
		if six := addresses(peers, true); len(six) > 0 {
			add(addressSet(way, true), nft.TypeIPv6, 16, elements(six))
		}
	}
}

// actions are what is done with the packets of a rule, and counts them. More than one
// stand beneath each other, each with a condition of its own.
func (s Spec) actions(at place) [][]nft.Expression {
	one := func(all ...nft.Expression) [][]nft.Expression {
		return [][]nft.Expression{append([]nft.Expression{&expr.Counter{}}, all...)}
	}
	immediate := func(v []byte) nft.Expression { return &expr.Immediate{Register: register, Data: v} }
	switch a := s.Action; {
	case a.Drop:
		return one(&expr.Verdict{Kind: expr.VerdictDrop})
	case a.Reject:
		protocol := func(op expr.CmpOp, answer *expr.Reject) []nft.Expression {
			return []nft.Expression{
				&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: register},
				&expr.Cmp{Op: op, Register: register, Data: []byte{unix.IPPROTO_TCP}},
				&expr.Counter{}, answer,
			}
		}
		return [][]nft.Expression{
			protocol(expr.CmpOpEq, &expr.Reject{Type: unix.NFT_REJECT_TCP_RST}),
			protocol(expr.CmpOpNeq, &expr.Reject{Type: unix.NFT_REJECT_ICMPX_UNREACH, Code: unix.NFT_REJECT_ICMPX_PORT_UNREACH}),
		}
	case a.Queue != nil:
		return one(&expr.Target{Name: "NFQUEUE", Rev: 3, Info: queueTarget(a.Queue.Number)})
	case a.Redirect != 0:
		return one(
			immediate(binary.BigEndian.AppendUint16(nil, a.Redirect)),
			&expr.Redir{RegisterProtoMin: register, RegisterProtoMax: register, Flags: unix.NF_NAT_RANGE_PROTO_SPECIFIED},
		)
	case at.device != "":
		return one(immediate(binary.NativeEndian.AppendUint32(nil, uint32(s.sinks[at.device]))), nft.Fwd{Register: register})
	default:
		// Behind the first rule that leads a packet away, no other has to look at it.
		return one(
			immediate(binary.NativeEndian.AppendUint32(nil, s.class())),
			&expr.Meta{Key: expr.MetaKeyPRIORITY, SourceRegister: true, Register: register},
			&expr.Verdict{Kind: expr.VerdictAccept},
		)
	}
}

// queueTarget is struct xt_NFQ_info_v3: number, how many, flags. With "bypass" packets go
// on when nobody has opened the queue.
func queueTarget(number uint16) *xt.Unknown {
	const bypass = 1
	info := binary.NativeEndian.AppendUint16(nil, number)
	info = binary.NativeEndian.AppendUint16(info, 1)
	info = binary.NativeEndian.AppendUint16(info, bypass)
	unknown := xt.Unknown(append(info, 0, 0)) // aligned to eight bytes
	return &unknown
}

// Rounds says whether a percent is too small for anything to happen.
func Rounds(percent float64) bool { return percent > 0 && share(percent) == 0 }

// Mine says whether a table is one of ours, and its mark.
func Mine(t nft.Table) (mark string, ok bool) { return strings.CutPrefix(t.Name, Prefix) }
