//go:build !linux

// Command faultline-plugin-proxy breaks connections in a TCP proxy of its own.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "faultline-plugin-proxy moves data by splice(2) and finds its processes in /proc: it works on Linux only")
	os.Exit(1)
}
