//go:build linux

package impair

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/plugins/internal/nft"
)

// The sets of our tables.
const (
	armedSet = "armed"
	portSet  = "ports"
)

// addressSet names the set of peers of one direction and family.
func addressSet(way Direction, six bool) string {
	if six {
		return string(way) + "6"
	}
	return string(way) + "4"
}

const register = 1

// place is where a chain sees packets.
type place struct {
	chain  string
	way    Direction
	device string // only in the family netdev, which sees one device only
}

type rule []nft.Expression

func (r rule) and(more ...nft.Expression) rule { return append(slices.Clone(r), more...) }

// rules says which packets a chain acts upon: each rule is a complete condition, and
// lacks only the action.
func (s Spec) rules(at place) []rule {
	start := rule{
		&expr.Meta{Key: expr.MetaKeyPROTOCOL, Register: register},
		&expr.Lookup{SourceRegister: register, SetName: armedSet},
	}
	if s.Match.Spare != 0 {
		start = start.and(
			&expr.Meta{Key: expr.MetaKeyMARK, Register: register},
			&expr.Cmp{Op: expr.CmpOpNeq, Register: register, Data: binary.NativeEndian.AppendUint32(nil, s.Match.Spare)},
		)
	}
	out := s.devices(start, at)
	out = s.families(out, at.way)
	out = s.ports(out, at.way)
	for i, r := range out {
		out[i] = s.percent(r)
	}
	return out
}

// devices repeats a rule for each device; without any it leaves the loopback out.
func (s Spec) devices(r rule, at place) []rule {
	if at.device != "" || s.Action.Redirect != 0 && len(s.Devices) == 0 {
		return []rule{r} // questions to name servers go over the loopback too
	}
	key := expr.MetaKeyOIFNAME
	if at.way == In {
		key = expr.MetaKeyIIFNAME
	}
	named := func(op expr.CmpOp, name string) rule {
		return r.and(&expr.Meta{Key: key, Register: register}, &expr.Cmp{Op: op, Register: register, Data: deviceName(name)})
	}
	if len(s.Devices) == 0 {
		return []rule{named(expr.CmpOpNeq, "lo")}
	}
	var out []rule
	for _, d := range s.Devices {
		out = append(out, named(expr.CmpOpEq, d.Name))
	}
	return out
}

func deviceName(name string) []byte {
	padded := make([]byte, unix.IFNAMSIZ)
	copy(padded, name)
	return padded
}

// family is a version of IP, and where its addresses are in the header.
type family struct {
	six         bool
	ether       uint16
	source, dst uint32
	length      uint32
	icmp        byte
}

var families = []family{
	{six: false, ether: unix.ETH_P_IP, source: 12, dst: 16, length: 4, icmp: unix.IPPROTO_ICMP},
	{six: true, ether: unix.ETH_P_IPV6, source: 8, dst: 24, length: 16, icmp: unix.IPPROTO_ICMPV6},
}

// families repeats rules for the versions of IP in which there are peers, and for the
// protocols.
func (s Spec) families(all []rule, way Direction) []rule {
	peers := s.Match.peers(way)
	var out []rule
	for _, r := range all {
		if len(peers) == 0 && !slices.Contains(s.Match.Protocols, "icmp") {
			out = append(out, s.protocols(r, family{})...)
			continue
		}
		for _, f := range families {
			if len(peers) > 0 && len(addresses(peers, f.six)) == 0 {
				continue
			}
			one := r.and(
				&expr.Meta{Key: expr.MetaKeyPROTOCOL, Register: register},
				&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: binary.BigEndian.AppendUint16(nil, f.ether)},
			)
			if len(peers) > 0 {
				offset := f.dst
				if way == In {
					offset = f.source
				}
				one = one.and(
					&expr.Payload{DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: f.length},
					&expr.Lookup{SourceRegister: register, SetName: addressSet(way, f.six)},
				)
			}
			out = append(out, s.protocols(one, f)...)
		}
	}
	return out
}

// protocols repeats a rule for each protocol. Ports are those of TCP and UDP.
func (s Spec) protocols(r rule, f family) []rule {
	names := s.Match.Protocols
	if len(names) == 0 && len(s.Match.Ports) > 0 {
		names = []string{"tcp", "udp"}
	}
	if len(names) == 0 {
		return []rule{r}
	}
	var out []rule
	for _, name := range names {
		number := map[string]byte{"tcp": unix.IPPROTO_TCP, "udp": unix.IPPROTO_UDP, "icmp": f.icmp}[name]
		out = append(out, r.and(
			&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: register},
			&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: []byte{number}},
		))
	}
	return out
}

// ports repeats rules for the ends whose port is looked at.
func (s Spec) ports(all []rule, way Direction) []rule {
	if len(s.Match.Ports) == 0 {
		return all
	}
	const source, destination = 0, 2
	var offsets []uint32
	switch {
	case s.Match.PortsOf == Target && way == Out, s.Match.PortsOf == Peer && way == In:
		offsets = []uint32{source}
	case s.Match.PortsOf == Target, s.Match.PortsOf == Peer:
		offsets = []uint32{destination}
	default:
		offsets = []uint32{source, destination}
	}
	var out []rule
	for _, r := range all {
		for _, offset := range offsets {
			out = append(out, r.and(
				&expr.Payload{DestRegister: register, Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: 2},
				&expr.Lookup{SourceRegister: register, SetName: portSet},
			))
		}
	}
	return out
}

// ofAll is how finely percents are told apart: one in a million, about.
const ofAll = 1 << 20

// share is a percent as a part of ofAll.
func share(percent float64) uint32 { return uint32(math.Round(percent / 100 * ofAll)) }

func (s Spec) percent(r rule) rule {
	if s.Match.Percent <= 0 || s.Match.Percent >= 100 {
		return r
	}
	return r.and(
		&expr.Numgen{Register: register, Modulus: ofAll, Type: unix.NFT_NG_RANDOM},
		// The number is in the machine's order, and bytes are compared.
		&expr.Byteorder{SourceRegister: register, DestRegister: register, Op: expr.ByteorderHton, Len: 4, Size: 4},
		&expr.Cmp{Op: expr.CmpOpLt, Register: register, Data: binary.BigEndian.AppendUint32(nil, share(s.Match.Percent))},
	)
}
