//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/faultline-go/faultline/plugins/internal/netns"
	"github.com/faultline-go/faultline/plugins/net/impair"
	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
)

// match is the match block of a net_interface target.
type match struct {
	Name      string `hcl:"name" example:"eth0" doc:"Name of the interface; * and ? stand for any characters."`
	Namespace string `hcl:"namespace,optional" doc:"Network namespace in which to look: a name as ip netns knows it, or the path of a file; * and ? stand for any characters of a name. Default: this machine's own."`
}

var interfaces = sdk.Target[match]{
	Type: "net_interface",
	Doc: "Interfaces of this machine, or of a named network namespace. A fault on an interface hits everybody who uses it, " +
		"also packets that are only passed on: narrow it with to, from and ports.",
	Interfaces: []string{"netns"},
	Attributes: []schema.Attribute{
		{Name: "interface", Type: "string", Doc: "name of the interface"},
		{Name: "namespace", Type: "string", Doc: "name of the network namespace; absent for this machine's own"},
		{Name: "netns", Type: "string", Doc: "file that stands for the network namespace"},
		{Name: "addresses", Type: "list(string)", Doc: "addresses, with the length of their network"},
		{Name: "mac", Type: "string", Doc: "hardware address; empty without one"},
		{Name: "mtu", Type: "number", Doc: "longest packet, in bytes"},
		{Name: "up", Type: "bool", Doc: "whether it is switched on"},
		{Name: "loopback", Type: "bool", Doc: "whether it is the loopback"},
	},
	Discover: discover,
}

// ownPath stands for this machine's own namespace: that of its first process, wherever
// a plugin itself may run.
const ownPath = "/proc/1/ns/net"

func discover(_ context.Context, m match) ([]sdk.Candidate, error) {
	if _, err := path.Match(m.Name, ""); err != nil || m.Name == "" {
		return nil, fmt.Errorf("match interfaces: name = %q is no pattern", m.Name)
	}
	files := []string{ownPath}
	switch {
	case strings.HasPrefix(m.Namespace, "/"):
		files = []string{m.Namespace}
	case m.Namespace != "":
		var err error
		if files, err = filepath.Glob(filepath.Join(netns.Dir, m.Namespace)); err != nil || strings.Contains(m.Namespace, "/") {
			return nil, fmt.Errorf("match interfaces: namespace = %q is no name of a network namespace", m.Namespace)
		}
	}
	var out []sdk.Candidate
	for _, file := range files {
		found, err := interfacesIn(file, m.Name)
		if errors.Is(err, netns.ErrGone) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("match interfaces: %w", err)
		}
		out = append(out, found...)
	}
	slices.SortFunc(out, func(a, b sdk.Candidate) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}

func interfacesIn(file, pattern string) (out []sdk.Candidate, err error) {
	n, err := netns.At(file)
	if err != nil {
		return nil, err
	}
	defer n.Close()
	err = n.Do(func() error {
		all, err := impair.Interfaces()
		if err != nil {
			return err
		}
		for _, i := range all {
			if ok, _ := path.Match(pattern, i.Name); !ok {
				continue
			}
			addresses := []string{}
			if found, err := i.Addrs(); err == nil {
				for _, a := range found {
					addresses = append(addresses, a.String())
				}
			}
			out = append(out, candidate(file, n.ID, i, addresses))
		}
		return nil
	})
	return out, err
}

func candidate(file string, id netns.ID, i net.Interface, addresses []string) sdk.Candidate {
	c := sdk.Candidate{
		ID: "interface:" + i.Name, Name: i.Name, Incarnation: id.String(),
		Attributes: map[string]any{
			"interface": i.Name, "netns": file, "addresses": addresses, "mac": i.HardwareAddr.String(), "mtu": i.MTU,
			"up": i.Flags&net.FlagUp != 0, "loopback": i.Flags&net.FlagLoopback != 0,
		},
	}
	if file != ownPath {
		name := strings.TrimPrefix(file, netns.Dir+"/")
		c.ID, c.Name = c.ID+"@"+name, i.Name+" of "+name
		c.Attributes["namespace"] = name
	}
	return c
}
