//go:build linux

// Command faultline-plugin-process breaks processes of the machine that it runs
// on: it kills them and starts them again, or stops them and lets them go on.
//
// A process is told from its successors by an incarnation (pid, start time in
// clock ticks, boot id) and is signalled through a pidfd, so that a pid that the
// kernel has given to somebody else meanwhile is never hit. What a process is
// across restarts, its logical id, is the pid file that names it, or else its
// executable, arguments and user.
//
// It never offers pid 1, kernel threads, itself, the processes that it descends
// from (the engine, the shell it was called from), and anything whose executable
// is called faultline or faultline-plugin-….
package main

import "github.com/faultline-go/faultline/sdk"

func main() { sdk.Serve(plugin()) }
