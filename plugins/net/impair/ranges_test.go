//go:build linux

package impair

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
)

func TestElements(t *testing.T) {
	show := func(all []span) string {
		var out []string
		for _, e := range elements(all) {
			word := hex.EncodeToString(e.Key)
			if e.End {
				word = "<" + word
			}
			out = append(out, word)
		}
		return strings.Join(out, " ")
	}
	of := func(all ...string) (out []netip.Prefix) {
		for _, s := range all {
			out = append(out, netip.MustParsePrefix(s))
		}
		return out
	}
	for name, c := range map[string]struct {
		spans []span
		want  string
	}{
		"one address":           {addresses(of("10.0.0.1/32"), false), "0a000001 <0a000002"},
		"host bits are dropped": {addresses(of("10.0.0.77/24"), false), "0a000000 <0a000100"},
		"neighbours are one":    {addresses(of("10.0.1.0/24", "10.0.0.0/24"), false), "0a000000 <0a000200"},
		"one within another":    {addresses(of("10.0.0.0/8", "10.1.0.0/16"), false), "0a000000 <0b000000"},
		"in order":              {addresses(of("11.0.0.0/8", "9.0.0.0/8"), false), "09000000 <0a000000 0b000000 <0c000000"},
		"up to the last":        {addresses(of("255.255.255.0/24"), false), "ffffff00"},
		"everything":            {addresses(of("0.0.0.0/0"), false), "00000000"},
		"beyond the last":       {addresses(of("255.255.255.0/24", "255.255.255.255/32"), false), "ffffff00"},
		"the other family":      {addresses(of("fd00::/8", "10.0.0.0/8"), true), "fd" + strings.Repeat("00", 15) + " <fe" + strings.Repeat("00", 15)},
		"ports":                 {ports([]Ports{{80, 80}, {443, 445}, {81, 90}}), "0050 <005b 01bb <01be"},
		"the last port":         {ports([]Ports{{65535, 65535}}), "ffff"},
		"nothing":               {nil, ""},
	} {
		if got := show(c.spans); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
