//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/plugintest"
)

// All targets of a fault share one command line: each runs in a folder of its own, and
// writes its pid file there. A restart without a directory of its own leads back to
// that folder.
const sharedFile = "web.pid"

// A server's command line ends with a token, which says which fault it is for.
type server string

func (token server) start(t testing.TB) sdk.Candidate {
	t.Helper()
	dir := t.TempDir()
	beginIn(t, dir, "serve", string(token), sharedFile)
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
	h, err := p.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if err := h.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := h.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (token server) replace(t testing.TB, c sdk.Candidate) {
	t.Helper()
	destroy(t, c)
	beginIn(t, dirOf(c), "serve", string(token), sharedFile)
}

func TestFaultsKeepTheirPromises(t *testing.T) {
	const paused, killed = server("paused"), server("killed")
	plugintest.Faults(t,
		plugintest.Case{
			Plugin: plugin(), Type: "process_kill",
			Config: map[string]any{"restart": again(string(killed), sharedFile)},
			Target: killed.start, Bitten: isDead, State: upOrNot, Destroy: destroy, Replace: killed.replace,
			StartsTarget: true, SameUndo: sameButOthers,
			Parallel: 1, // one of the same command line that starts meanwhile may be the killed one on its way back
		},
		plugintest.Case{
			Plugin: plugin(), Type: "process_pause",
			Target: paused.start, Bitten: isStopped, State: upOrNot, Destroy: destroy, Replace: paused.replace,
		},
	)
}

// sameButOthers compares undo records, but for the other processes of the same command
// line, which come and go.
func sameButOthers(a, b json.RawMessage) bool {
	var x, y killUndo
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	x.Identical, y.Identical = nil, nil
	return reflect.DeepEqual(x, y)
}
