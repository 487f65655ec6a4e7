package hold

import (
	"bufio"
	"context"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"
)

// resolve finds the addresses of a host as this process knows it: a helper container has
// the files of its target.
func resolve(host string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

// Hosts reads the addresses of a host from a file such as hosts(5).
func Hosts(file, host string) []netip.Addr {
	var out []netip.Addr
	for _, words := range lines(file) {
		if a, err := netip.ParseAddr(words[0]); err == nil && slices.ContainsFunc(words[1:], func(w string) bool { return strings.EqualFold(w, host) }) {
			out = append(out, a)
		}
	}
	return out
}

// NameServers reads a file such as resolv.conf(5).
func NameServers(file string) []netip.Addr {
	var out []netip.Addr
	for _, words := range lines(file) {
		if words[0] == "nameserver" && len(words) > 1 {
			if a, err := netip.ParseAddr(words[1]); err == nil {
				out = append(out, a)
			}
		}
	}
	return out
}

// lines are the words of each line of a file, without comments; none of a file that
// cannot be read.
func lines(file string) (out [][]string) {
	f, err := os.Open(file)
	if err != nil {
		return nil
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		text, _, _ := strings.Cut(s.Text(), "#")
		if words := strings.Fields(text); len(words) > 0 {
			out = append(out, words)
		}
	}
	return out
}
