package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/plugins/internal/pressure"
	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/plugintest"
)

// Every fault keeps what the contract of a fault promises, also when the plugin is
// killed at any point of it.
func TestFaultsKeepTheirPromises(t *testing.T) {
	disk := smallDisk(t, 256<<20)
	var cases []plugintest.Case
	for _, c := range []struct {
		typ    string
		limits map[string]int64
		config map[string]any
	}{
		{typ: "host_cpu", config: map[string]any{"cores": 1, "load": 10}},
		{typ: "host_memory", limits: map[string]int64{"memory": 512 << 20}, config: map[string]any{"size": "16MiB"}},
		{typ: "host_disk_fill", config: map[string]any{"path": disk, "size": "1MiB"}},
		{typ: "host_io", config: map[string]any{"path": t.TempDir(), "workers": 1, "size": "1MiB", "rate": "1MiB"}},
		{typ: "host_pids", limits: map[string]int64{"pids": 60}},
		{typ: "host_fds"},
	} {
		var all sync.Map // subjects by target
		of := func(target sdk.Candidate) *subject {
			s, _ := all.Load(target.ID)
			return s.(*subject)
		}
		kit := plugintest.Case{
			Plugin: plugin(), Type: c.typ, Config: c.config,
			Target: func(t testing.TB) sdk.Candidate {
				s := begin(t, c.limits)
				target := s.candidate()
				all.Store(target.ID, s)
				return target
			},
			Bitten: func(target sdk.Candidate) (bool, error) { return of(target).guests() > 0, nil },
			State: func(target sdk.Candidate) (string, error) {
				soft, hard, err := filesLimit(of(target))
				return fmt.Sprintf("may open %d files, at most %d", soft, hard), err
			},
			Destroy: func(_ testing.TB, target sdk.Candidate) { of(target).kill() },
			Replace: func(_ testing.TB, target sdk.Candidate) { of(target).kill(); of(target).start() },
			SameUndo: func(a, b json.RawMessage) bool {
				var x, y pressure.Undo
				return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && pressure.SameUndo(x, y)
			},
		}
		if c.typ == "host_fds" {
			kit.Bitten = func(target sdk.Candidate) (bool, error) {
				soft, _, err := filesLimit(of(target))
				return soft > 0 && soft < 100, err
			}
			kit.SameUndo = nil
		}
		cases = append(cases, kit)
	}
	plugintest.Faults(t, cases...)
	entries, err := os.ReadDir(disk)
	if err != nil || len(entries) > 0 {
		t.Errorf("the disk has %v, %v", entries, err)
	}
}

// filesLimit reads a process's limits of open files; zero when it is gone.
func filesLimit(s *subject) (soft, hard uint64, err error) {
	var limit unix.Rlimit
	err = unix.Prlimit(s.cmd.Process.Pid, unix.RLIMIT_NOFILE, nil, &limit)
	if errors.Is(err, unix.ESRCH) {
		return 0, 0, nil
	}
	return limit.Cur, limit.Max, err
}
