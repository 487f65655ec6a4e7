//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "faultline-plugin-net works on Linux only")
	os.Exit(1)
}
