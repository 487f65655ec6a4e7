//go:build linux

package main

import (
	"net"
	"os"

	"github.com/faultline-go/faultline/plugins/proxy/relay"
)

// connOf makes a connection of a socket's descriptor, which it takes over.
func connOf(fd int) (relay.Stream, error) {
	f := os.NewFile(uintptr(fd), "socket")
	defer f.Close()
	c, err := net.FileConn(f) // has a descriptor of its own
	if err != nil {
		return nil, err
	}
	return c.(relay.Stream), nil
}
