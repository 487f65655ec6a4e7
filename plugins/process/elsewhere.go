//go:build !linux

// Command faultline-plugin-process breaks processes of a Linux machine.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "faultline-plugin-process reads /proc and signals through pidfds: it works on Linux only")
	os.Exit(1)
}
