//go:build !linux

package main

import "runtime/debug"

// sleepLight gives back the memory that starting took.
func sleepLight() { debug.FreeOSMemory() }
