//go:build linux

package impair

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/faultline-go/faultline/plugins/internal/nft"
)

// span is a range of values of equal length, both ends included.
type span struct{ first, last []byte }

// merged puts spans in order, and those together that touch: the kernel's intervals may
// not overlap.
func merged(all []span) []span {
	slices.SortFunc(all, func(a, b span) int { return bytes.Compare(a.first, b.first) })
	var out []span
	for _, s := range all {
		if n := len(out); n > 0 {
			next, none := after(out[n-1].last)
			if none || bytes.Compare(s.first, next) <= 0 {
				if bytes.Compare(s.last, out[n-1].last) > 0 {
					out[n-1].last = s.last
				}
				continue
			}
		}
		out = append(out, s)
	}
	return out
}

// after is the next value; none when there is none.
func after(v []byte) (next []byte, none bool) {
	next = slices.Clone(v)
	for i := len(next) - 1; i >= 0; i-- {
		next[i]++
		if next[i] != 0 {
			return next, false
		}
	}
	return nil, true
}

// elements writes spans as the kernel wants them: each beginning, and the first value
// behind each end.
func elements(all []span) []nft.Element {
	var out []nft.Element
	for _, s := range merged(all) {
		out = append(out, nft.Element{Key: s.first})
		if end, none := after(s.last); !none {
			out = append(out, nft.Element{Key: end, End: true})
		}
	}
	return out
}

// addresses are the spans of the prefixes of one family.
func addresses(all []netip.Prefix, six bool) []span {
	var out []span
	for _, p := range all {
		if p.Addr().Is6() != six {
			continue
		}
		first := p.Masked().Addr().AsSlice()
		last := slices.Clone(first)
		for bit := p.Bits(); bit < len(last)*8; bit++ {
			last[bit/8] |= 0x80 >> (bit % 8)
		}
		out = append(out, span{first, last})
	}
	return out
}

func ports(all []Ports) []span {
	var out []span
	for _, p := range all {
		out = append(out, span{binary.BigEndian.AppendUint16(nil, p.First), binary.BigEndian.AppendUint16(nil, p.Last)})
	}
	return out
}
