//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/faultline-go/faultline/plugins/internal/netns"
	"github.com/faultline-go/faultline/plugins/net/impair"
	"github.com/faultline-go/faultline/plugins/net/nettest"
	"github.com/faultline-go/faultline/sdk"
)

// What no journal knows of is found by its marks, in named namespaces and in those of
// processes; what somebody holds, and what a journal knows, is not.
func TestStraysAreFound(t *testing.T) {
	nettest.Root(t)
	named := nettest.NewPair(t).Here
	// A process with a network of its own, as a container has.
	alone := exec.Command("sleep", "600")
	alone.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := alone.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = alone.Process.Kill(); _ = alone.Wait() })
	process, err := netns.OfProcess(alone.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	defer process.Close()

	cut := impair.Spec{Mark: newMark(), Match: impair.Match{Direction: impair.Both}, Action: impair.Action{Drop: true}}
	slow := impair.Spec{Mark: newMark(), Match: impair.Match{Direction: impair.Both}, Action: impair.Action{Rate: &impair.Rate{Bytes: 1000, Burst: 2000, Limit: 2000}}}
	live := impair.Spec{Mark: newMark(), Match: impair.Match{Direction: impair.In}, Action: impair.Action{Drop: true}}
	inside := func(n *netns.Namespace, f func(*impair.Site) error) {
		t.Helper()
		if err := n.Do(func() error {
			s, err := impair.Open(false)
			if err != nil {
				return err
			}
			return errors.Join(f(s), s.Close())
		}); err != nil {
			t.Fatal(err)
		}
	}
	const long = time.Hour
	inside(process, func(s *impair.Site) error { return s.In(cut, long) })
	inside(named.Namespace, func(s *impair.Site) error {
		d, err := impair.LookAt(nettest.Device)
		slow.Devices = []impair.Device{d}
		return errors.Join(err, s.In(slow, long), s.In(live, long))
	})
	found := func(known ...impair.Spec) (ours string) {
		t.Helper()
		var records []json.RawMessage
		for _, s := range known {
			raw, err := json.Marshal(undo{Spec: s})
			if err != nil {
				t.Fatal(err)
			}
			records = append(records, raw)
		}
		all, err := plugin().Scan(context.Background(), records)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range all { // other tests may have some, too
			if strings.Contains(r.Target, named.Name) || strings.Contains(r.Target, "/proc/") {
				if r.Kind != sdk.ResidueMarked {
					t.Errorf("found %+v", r)
				}
				ours += r.Target + ": " + r.Detail + "\n"
			}
		}
		return ours
	}
	if is := found(); strings.Contains(is, cut.Mark) || strings.Contains(is, named.Name) {
		t.Errorf("found what somebody holds: %s", is)
	}
	// Nobody renews them any more.
	inside(process, func(s *impair.Site) error { return s.Renew(cut, time.Millisecond) })
	inside(named.Namespace, func(s *impair.Site) error { return s.Renew(slow, time.Millisecond) })
	is := found()
	for _, want := range []string{
		"/proc/", "table inet faultline_" + cut.Mark, "table netdev faultline_" + slow.Mark, "table inet faultline_" + slow.Mark,
		"tc qdisc delete dev " + nettest.Device + " root", "ip link delete fl" + slow.Mark[:10] + "a",
	} {
		if !strings.Contains(is, want) {
			t.Errorf("found %s; want %q", is, want)
		}
	}
	if strings.Contains(is, live.Mark) {
		t.Errorf("found what somebody holds: %s", is)
	}
	if is := found(cut, slow); strings.Contains(is, cut.Mark) || strings.Contains(is, named.Name) {
		t.Errorf("found what a journal knows: %s", is)
	}
	inside(process, func(s *impair.Site) error { _, err := s.Out(cut); return err })
	inside(named.Namespace, func(s *impair.Site) error {
		_, err := s.Out(slow)
		return err
	})
	if is := found(); strings.Contains(is, cut.Mark) || strings.Contains(is, named.Name) {
		t.Errorf("found what is gone: %s", is)
	}
}
