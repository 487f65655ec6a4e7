package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/plugins/internal/cgroup/cgrouptest"
	"github.com/faultline-go/faultline/plugins/internal/pressure"
	"github.com/faultline-go/faultline/sdk"
)

// Tests of what the faults do to their target, measured from outside of the plugin.

func TestCPUIsBurntInTheTargetsGroup(t *testing.T) {
	s := begin(t, map[string]int64{"cpu": 300}) // thousandths of a core
	f, c := hostCPU.Fault(), pressure.CPUConfig{Load: 100}
	groups := cgrouptest.Of(t, s.cmd.Process.Pid)
	before, ok, err := groups.CPUTime()
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	u := injected(t, f, s.candidate(), c)
	// Under a quota of 0.3 cores it burns that and no more, on however many threads.
	biting(t, f, c, u, func(e sdk.Effect) bool {
		return e.Measures["pressure_cores"] > 0.05 && e.Measures["pressure_cores"] < 0.8 && e.Measures["group_cores"] > 0.05
	})
	if now, _, err := groups.CPUTime(); err != nil || now <= before {
		t.Errorf("the group used %s, then %s, %v", before, now, err)
	}
	reverted(t, f, u)
	if s.guests() != 0 {
		t.Error("a pressure process is still in the group")
	}
}

func TestLoadIsAShare(t *testing.T) {
	s := begin(t, nil)
	f, c := hostCPU.Fault(), pressure.CPUConfig{Cores: 1, Load: 20}
	u := injected(t, f, s.candidate(), c)
	// On a busy machine it gets less; it never takes much more.
	biting(t, f, c, u, func(e sdk.Effect) bool {
		return e.Measures["pressure_cores"] > 0.05 && e.Measures["pressure_cores"] < 0.4
	})
}

func TestMemoryIsHeldInTheTargetsGroup(t *testing.T) {
	s := begin(t, map[string]int64{"memory": 512 << 20})
	f, c := hostMemory.Fault(), pressure.MemoryConfig{Size: amount("25%"), Floor: *amount("10%")}
	groups := cgrouptest.Of(t, s.cmd.Process.Pid)
	before, _, err := groups.Memory()
	if err != nil {
		t.Fatal(err)
	}
	u := injected(t, f, s.candidate(), c)
	after, _, err := groups.Memory()
	if taken := before.Room - after.Room; err != nil || taken < 128<<20 || taken > 256<<20 {
		t.Errorf("%d bytes are gone from the group, %v", taken, err)
	}
	biting(t, f, c, u, func(e sdk.Effect) bool { return e.Measures["pressure_resident_bytes"] >= 128<<20 })
	found := s.PIDs("memory")
	for _, pid := range found {
		if pid != s.cmd.Process.Pid && oomScore(t, pid) != "1000" {
			t.Errorf("the kernel would take the target first: the pressure's score is %s", oomScore(t, pid))
		}
	}
	reverted(t, f, u)
	if back, _, err := groups.Memory(); err != nil || back.Room < before.Room-16<<20 {
		t.Errorf("after the revert there is room for %d bytes, before for %d, %v", back.Room, before.Room, err)
	}
}

func oomScore(t *testing.T, pid int) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// What would cross the floor is refused; a limit that comes nearer while the fault is on
// makes it give back.
func TestTheFloorIsNeverCrossed(t *testing.T) {
	s := begin(t, map[string]int64{"memory": 512 << 20})
	f := hostMemory.Fault()
	for _, c := range []pressure.MemoryConfig{{Size: amount("95%"), Floor: *amount("10%")}, {Until: amount("100%"), Floor: *amount("1MB")}, {Size: amount("600MiB"), Floor: *amount("0")}} {
		_, err := f.Prepare(t.Context(), sdk.PrepareTarget{Candidate: s.candidate()}, c)
		if err == nil || !strings.Contains(err.Error(), "would cross the floor") {
			t.Errorf("prepared %+v: %v", c, err)
		}
	}
	const floor = 64 << 20
	c := pressure.MemoryConfig{Size: amount("256MiB"), Floor: *amount("64MiB")}
	u := injected(t, f, s.candidate(), c)
	biting(t, f, c, u, func(e sdk.Effect) bool { return e.Measures["pressure_resident_bytes"] >= 256<<20 })
	s.Limit("memory", 300<<20)
	groups := cgrouptest.Of(t, s.cmd.Process.Pid)
	eventually(t, because("there is as much as the floor asks for"), func() bool {
		m, _, err := groups.Memory()
		return err == nil && m.Room >= floor
	})
	biting(t, f, c, u, func(e sdk.Effect) bool { return e.Measures["pressure_resident_bytes"] < 256<<20 })
	s.Limit("memory", 512<<20)
	biting(t, f, c, u, func(e sdk.Effect) bool { return e.Measures["pressure_resident_bytes"] >= 256<<20 })
}

func TestDiskIsFilledAndLeavesNoFile(t *testing.T) {
	disk := smallDisk(t, 64<<20)
	target := machine(t)
	f := hostDiskFill.Fault()
	for _, c := range []pressure.DiskConfig{
		{Path: disk, Size: amount("63MiB"), Reserve: *amount("5%")}, {Path: disk, Until: amount("100%"), Reserve: *amount("1MiB")},
	} {
		_, err := f.Prepare(t.Context(), sdk.PrepareTarget{Candidate: target}, c)
		if err == nil || !strings.Contains(err.Error(), "would cross the reserve") {
			t.Errorf("prepared %+v: %v", c, err)
		}
	}
	c := pressure.DiskConfig{Path: disk, Until: amount("90%"), Reserve: *amount("1MiB")}
	u := injected(t, f, target, c)
	if free := freeIn(t, disk); free > 7<<20 || free < 6<<20 {
		t.Errorf("%d bytes are free, want a tenth of 64 MiB", free)
	}
	if entries, err := os.ReadDir(disk); err != nil || len(entries) > 0 {
		t.Errorf("the disk has %v, %v", entries, err)
	}
	biting(t, f, c, u, func(e sdk.Effect) bool { return e.Measures["pressure_file_bytes"] > 50<<20 })
	// Somebody else needs what the fault has taken: it gives back.
	if err := os.WriteFile(filepath.Join(disk, "theirs"), make([]byte, 6<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, because("the reserve is free"), func() bool { return freeIn(t, disk) >= 1<<20 })
	if err := os.Remove(filepath.Join(disk, "theirs")); err != nil {
		t.Fatal(err)
	}
	reverted(t, f, u)
	if free := freeIn(t, disk); free != 64<<20 {
		t.Errorf("%d bytes are free after the revert", free)
	}
}

// A reserve of 0 lets a disk run full: the next write fails.
func TestAFullDisk(t *testing.T) {
	disk := smallDisk(t, 16<<20)
	f, c := hostDiskFill.Fault(), pressure.DiskConfig{Path: disk, Until: amount("100%"), Reserve: *amount("0")}
	u := injected(t, f, machine(t), c)
	if err := os.WriteFile(filepath.Join(disk, "more"), make([]byte, 1<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("wrote to a full disk: %v", err)
	}
	reverted(t, f, u)
	if err := os.WriteFile(filepath.Join(disk, "more"), make([]byte, 1<<20), 0o600); err != nil {
		t.Error(err)
	}
}

func TestIOMovesBytes(t *testing.T) {
	f, c := hostIO.Fault(), pressure.IOConfig{Path: t.TempDir(), Mode: "both", Workers: 2, Size: 2 << 20, Rate: 8 * (4 << 20)}
	u := injected(t, f, machine(t), c)
	// At its rate: it may get less on a busy disk, and never much more.
	biting(t, f, c, u, func(e sdk.Effect) bool {
		return e.Measures["read_bytes_per_s"] > 1<<20 && e.Measures["read_bytes_per_s"] < 12<<20 &&
			e.Measures["written_bytes_per_s"] > 1<<20 && e.Measures["written_bytes_per_s"] < 12<<20
	})
	if entries, err := os.ReadDir(c.Path); err != nil || len(entries) > 0 {
		t.Errorf("the folder has %v, %v", entries, err)
	}
	c.Path = smallDisk(t, 1<<20)
	if _, err := f.Prepare(t.Context(), sdk.PrepareTarget{Candidate: machine(t)}, c); err == nil || !strings.Contains(err.Error(), "lies in memory") {
		t.Errorf("prepared on a file system without a disk: %v", err)
	}
}

func TestProcessesRunOut(t *testing.T) {
	s := begin(t, map[string]int64{"pids": 80})
	if out := s.do("fork"); out != "<nil>" {
		t.Fatal(out)
	}
	f, c := hostPIDs.Fault(), pressure.ProcessesConfig{}
	u := injected(t, f, s.candidate(), c)
	if out := s.do("fork"); !strings.Contains(out, "resource temporarily unavailable") {
		t.Errorf("a process was started beyond the limit: %s", out)
	}
	biting(t, f, c, u, func(e sdk.Effect) bool {
		return e.Measures["pressure_processes"] > 10 && e.Measures["processes_left"] == 0
	})
	reverted(t, f, u)
	if out := s.do("fork"); out != "<nil>" {
		t.Errorf("after the revert: %s", out)
	}
}

func TestProcessesNeedALimit(t *testing.T) {
	f := hostPIDs.Fault()
	for what, target := range map[string]sdk.Candidate{"group": begin(t, nil).candidate(), "machine": machine(t)} {
		_, err := f.Prepare(t.Context(), sdk.PrepareTarget{Candidate: target}, pressure.ProcessesConfig{})
		if err == nil || !strings.Contains(err.Error(), "with processes") {
			t.Errorf("prepared on a %s without a limit: %v", what, err)
		}
	}
	c := pressure.ProcessesConfig{Processes: 5}
	u := injected(t, f, machine(t), c)
	biting(t, f, c, u, func(e sdk.Effect) bool { return e.Measures["pressure_processes"] == 5 })
}

func TestFilesRunOut(t *testing.T) {
	s := begin(t, nil)
	c := fdsConfig{Free: 2}
	u := injected(t, hostFDs, s.candidate(), c)
	for range 2 {
		if out := s.do("open"); out != "<nil>" {
			t.Errorf("a file less than promised: %s", out)
		}
	}
	if out := s.do("open"); !strings.Contains(out, "too many open files") {
		t.Errorf("a file was opened beyond the limit: %s", out)
	}
	biting(t, hostFDs, c, u, func(e sdk.Effect) bool { return e.Measures["free_files"] == 0 })
	if r := reverted(t, hostFDs, u); r.Outcome != sdk.PutBack {
		t.Errorf("%+v", r)
	}
	if out := s.do("open"); out != "<nil>" {
		t.Errorf("after the revert: %s", out)
	}
}

func TestFilesLimitOfSomebodyElse(t *testing.T) {
	s := begin(t, nil)
	u := injected(t, hostFDs, s.candidate(), fdsConfig{})
	theirs := unix.Rlimit{Cur: u.Set + 7, Max: u.Hard}
	if err := unix.Prlimit(s.cmd.Process.Pid, unix.RLIMIT_NOFILE, &theirs, nil); err != nil {
		t.Fatal(err)
	}
	if r := reverted(t, hostFDs, u); r.Outcome != sdk.ForeignChange {
		t.Errorf("%+v", r)
	}
	if soft, _, err := filesLimit(s); err != nil || soft != theirs.Cur {
		t.Errorf("the limit that somebody else set is %d, %v", soft, err)
	}
}

// The pressure ends with its target, whose control group could not be removed
// otherwise.
func TestPressureEndsWithItsTarget(t *testing.T) {
	s := begin(t, nil)
	f, c := hostCPU.Fault(), pressure.CPUConfig{Cores: 1, Load: 10}
	u := injected(t, f, s.candidate(), c)
	s.kill()
	eventually(t, because("the group is empty"), func() bool { return len(s.PIDs("memory")) == 0 })
	e, err := f.Observe(t.Context(), c, u)
	if err != nil || e.Bites || !strings.Contains(e.Detail, "has ended") {
		t.Errorf("observed %+v, %v", e, err)
	}
}

// amount is one as a scenario writes it.
func amount(text string) *sdk.Amount {
	a := new(sdk.Amount)
	if err := a.UnmarshalText([]byte(text)); err != nil {
		panic(err)
	}
	return a
}
