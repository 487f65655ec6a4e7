//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/faultline-go/faultline/sdk/schema"
)

// spared says which of all processes are never offered as targets, and why: the
// machine cannot live without them, or faultline could not put them back.
func spared() (func(process) string, error) {
	ancestors := map[int]bool{}
	for pid := os.Getpid(); pid > 0 && !ancestors[pid]; {
		ancestors[pid] = true
		p, ok, err := readProcess(pid)
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		pid = p.parent
	}
	return func(p process) string {
		name := filepath.Base(executableOf(p.PID))
		switch {
		case p.PID == 1:
			return "it is pid 1, the machine depends on it"
		case p.kernel:
			return "it is a kernel thread"
		case p.PID == os.Getpid():
			return "it is this plugin"
		case ancestors[p.PID]:
			return "faultline itself runs under it"
		case name == "faultline" || strings.HasPrefix(name, schema.BinaryPrefix):
			return "it is a part of faultline"
		}
		return ""
	}, nil
}
