//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/plugintest"
)

// All targets of a conformance run share one command line: each runs in a folder of
// its own, and writes its pid file there. A restart without a directory of its own
// leads back to that folder.
const (
	sharedToken = "conformance"
	sharedFile  = "web.pid"
)

func newServer(t testing.TB) sdk.Candidate {
	t.Helper()
	dir := t.TempDir()
	beginIn(t, dir, "serve", sharedToken, sharedFile)
	found, err := discover(t.Context(), match{PIDFile: filepath.Join(dir, sharedFile)})
	if err != nil || len(found) != 1 {
		t.Fatalf("found %+v, %v", found, err)
	}
	found[0].Kind, found[0].Interfaces = processTarget.Type, processTarget.Interfaces
	return found[0]
}

func dirOf(c sdk.Candidate) string { return filepath.Dir(strings.TrimPrefix(c.ID, filePrefix)) }

// statOf reads the state letter of the process that a target's pid file names; "-"
// when there is none.
func statOf(c sdk.Candidate) (pid int, state string, err error) {
	text, err := os.ReadFile(filepath.Join(dirOf(c), sharedFile))
	if err != nil {
		return 0, "", err
	}
	if _, err := fmt.Sscan(string(text), &pid); err != nil {
		return 0, "", err
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return pid, "-", nil
	}
	_, after, _ := bytes.Cut(stat, []byte(") "))
	if state = string(after[:1]); state == "Z" || state == "X" {
		state = "-"
	}
	return pid, state, nil
}

func isDead(c sdk.Candidate) (bool, error) {
	_, state, err := statOf(c)
	return state == "-", err
}

func isStopped(c sdk.Candidate) (bool, error) {
	_, state, err := statOf(c)
	return state == "T", err
}

func upOrNot(c sdk.Candidate) (string, error) {
	_, state, err := statOf(c)
	switch state {
	case "-":
		return "dead", err
	case "T", "t":
		return "stopped", err
	}
	return "up", err
}

func destroy(t testing.TB, c sdk.Candidate) {
	t.Helper()
	pid, state, err := statOf(c)
	if err != nil {
		t.Fatal(err)
	}
	if state == "-" {
		return
	}
	p, alive, err := readProcess(pid)
	if err != nil || !alive {
		t.Fatal(alive, err)
	}
	h, err := p.open()
	if err != nil {
		t.Fatal(err)
	}
	defer h.close()
	if err := h.send(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := h.waitDead(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func replace(t testing.TB, c sdk.Candidate) {
	t.Helper()
	destroy(t, c)
	beginIn(t, dirOf(c), "serve", sharedToken, sharedFile)
}

func TestFaultsKeepTheirPromises(t *testing.T) {
	plugintest.Faults(t,
		plugintest.Case{
			Plugin: plugin(), Type: "process_pause",
			Target: newServer, Bitten: isStopped, State: upOrNot, Destroy: destroy, Replace: replace,
		},
		plugintest.Case{
			Plugin: plugin(), Type: "process_kill",
			Config: map[string]any{"restart": again(sharedToken, sharedFile)},
			Target: newServer, Bitten: isDead, State: upOrNot, Destroy: destroy, Replace: replace,
			StartsTarget: true,
		},
	)
}
