package cgroup_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/plugins/internal/cgroup"
	"github.com/faultline-go/faultline/plugins/internal/cgroup/cgrouptest"
	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/plugintest"
)

// TestMain also plays the processes that the tests put into groups.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 {
		switch os.Args[1] {
		case "live":
			time.Sleep(lifetime)
			return
		case "burn":
			for end := time.Now().Add(lifetime); time.Now().Before(end); {
			}
			return
		}
	}
	os.Exit(m.Run())
}

// lifetime bounds how long such a process can outlive a test that lost it.
const lifetime = 5 * time.Minute

// begin starts a process that ends with the test.
func begin(t *testing.T, part string) int {
	t.Helper()
	cmd := exec.Command(os.Args[0], part)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd.Process.Pid
}

// fixture makes a machine of files: what /proc says, and groups below "cg".
func fixture(t *testing.T, mountinfo, groups string, files map[string]string) cgroup.Machine {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("proc/self/mountinfo", strings.ReplaceAll(mountinfo, "DIR", dir))
	write("proc/7/cgroup", groups)
	for name, text := range files {
		write(name, text)
	}
	return cgroup.Machine{Proc: filepath.Join(dir, "proc")}
}

const (
	mountsV2 = "22 1 0:20 / /proc rw - proc proc rw\n" +
		"30 1 0:26 / DIR/cg rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
	mountsV1 = "31 30 0:27 / DIR/cg/cpu,cpuacct rw shared:5 - cgroup cgroup rw,cpu,cpuacct\n" +
		"32 30 0:28 / DIR/cg/memory rw - cgroup cgroup rw,memory\n" +
		"33 30 0:29 / DIR/cg/pids rw - cgroup cgroup rw,pids\n" +
		"34 30 0:30 / DIR/cg/freezer rw - cgroup cgroup rw,freezer\n" +
		"35 30 0:31 / DIR/cg/unified rw - cgroup2 cgroup2 rw\n"
)

func TestLimitsOfVersion2(t *testing.T) {
	m := fixture(t, mountsV2, "0::/a/b\n", map[string]string{
		"cg/a/memory.max": "1000\n", "cg/a/memory.current": "900\n", "cg/a/memory.stat": "anon 500\ninactive_file 300\n",
		"cg/a/b/memory.max": "max\n", "cg/a/b/memory.current": "900\n",
		"cg/a/b/cpu.max": "50000 100000\n", "cg/a/cpu.max": "max 100000\n",
		"cg/a/b/cpu.stat": "usage_usec 1500000\nuser_usec 1\n",
		"cg/a/pids.max":   "20\n", "cg/a/pids.current": "15\n", "cg/a/b/pids.max": "10\n", "cg/a/b/pids.current": "2\n",
		"cg/a/b/cpu.pressure": "some avg10=12.50 avg60=0.00 avg300=0.00 total=0\nfull avg10=1.00 avg60=0 avg300=0 total=0\n",
		"cg/a/b/cgroup.procs": "",
	})
	g, err := m.Of(7)
	if err != nil {
		t.Fatal(err)
	}
	if mem, ok, err := g.Memory(); err != nil || !ok || mem != (cgroup.Memory{Limit: 1000, Room: 400}) {
		t.Errorf("memory: %+v, %v, %v", mem, ok, err)
	}
	if cpus, ok, err := g.CPUs(); err != nil || !ok || cpus != 0.5 {
		t.Errorf("cpus: %v, %v, %v", cpus, ok, err)
	}
	if used, ok, err := g.CPUTime(); err != nil || !ok || used != 1500*time.Millisecond {
		t.Errorf("cpu time: %v, %v, %v", used, ok, err)
	}
	if pids, ok, err := g.PIDs(); err != nil || !ok || pids != (cgroup.PIDs{Limit: 20, Room: 5}) {
		t.Errorf("pids: %+v, %v, %v", pids, ok, err)
	}
	if share, ok := g.Stalled("cpu"); !ok || share != 0.125 {
		t.Errorf("stalled: %v, %v", share, ok)
	}
	if err := g.Join(42); err != nil {
		t.Fatal(err)
	}
	if pids, err := g.Processes(); err != nil || !slices.Equal(pids, []int{42}) {
		t.Errorf("processes: %v, %v", pids, err)
	}
	if f, err := g.Freezer(); err != nil || !f.Unified || !strings.HasSuffix(f.Folder, "/cg/a/b") {
		t.Errorf("freezer: %+v, %v", f, err)
	}
}

func TestLimitsOfVersion1(t *testing.T) {
	const none = "9223372036854771712\n"
	m := fixture(t, mountsV1, "4:pids:/\n3:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc\n1:freezer:/docker/abc\n0::/system\n", map[string]string{
		"cg/memory/docker/abc/memory.limit_in_bytes": "1000\n", "cg/memory/docker/abc/memory.usage_in_bytes": "700\n",
		"cg/memory/docker/abc/memory.stat":       "total_inactive_file 100\n",
		"cg/memory/docker/memory.limit_in_bytes": none, "cg/memory/docker/memory.usage_in_bytes": "5\n",
		"cg/cpu,cpuacct/docker/abc/cpu.cfs_quota_us":  "-1\n",
		"cg/cpu,cpuacct/docker/abc/cpu.cfs_period_us": "100000\n",
		"cg/cpu,cpuacct/docker/abc/cpuacct.usage":     "2500000000\n",
		"cg/memory/docker/abc/cgroup.procs":           "", "cg/cpu,cpuacct/docker/abc/cgroup.procs": "", "cg/pids/cgroup.procs": "",
	})
	g, err := m.Of(7)
	if err != nil {
		t.Fatal(err)
	}
	if mem, ok, err := g.Memory(); err != nil || !ok || mem != (cgroup.Memory{Limit: 1000, Room: 400}) {
		t.Errorf("memory: %+v, %v, %v", mem, ok, err)
	}
	if cpus, ok, err := g.CPUs(); err != nil || ok {
		t.Errorf("cpus: %v, %v, %v", cpus, ok, err)
	}
	if used, ok, err := g.CPUTime(); err != nil || !ok || used != 2500*time.Millisecond {
		t.Errorf("cpu time: %v, %v, %v", used, ok, err)
	}
	if _, ok, err := g.PIDs(); err != nil || ok {
		t.Errorf("pids: %v, %v", ok, err)
	}
	if !g.Within("abc") || g.Within("xyz") || g.Within("") {
		t.Error("the container's id is not found, or another is")
	}
	if err := g.Join(42); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"memory/docker/abc", "cpu,cpuacct/docker/abc", "pids"} {
		text, err := os.ReadFile(filepath.Join(m.Proc, "../cg", folder, "cgroup.procs"))
		if err != nil || string(text) != "42" {
			t.Errorf("%s has %q, %v", folder, text, err)
		}
	}
	if f, err := g.Freezer(); err != nil || f.Unified || !strings.HasSuffix(f.Folder, "/cg/freezer/docker/abc") {
		t.Errorf("freezer: %+v, %v", f, err)
	}
}

func TestGroupsThatCannotBeSeen(t *testing.T) {
	inner := "30 1 0:26 /docker/abc DIR/cg rw - cgroup2 cgroup2 rw\n"
	for name, group := range map[string]string{"of the host": "0::/../..\n", "beside": "0::/docker/xyz\n"} {
		t.Run(name, func(t *testing.T) {
			g, err := fixture(t, inner, group, nil).Of(7)
			if err != nil {
				t.Fatal(err)
			}
			if err := g.Join(42); err == nil || !strings.Contains(err.Error(), "on the host itself") {
				t.Errorf("joined: %v", err)
			}
		})
	}
	g, err := fixture(t, inner, "0::/docker/abc/x\n", map[string]string{"cg/x/cgroup.procs": ""}).Of(7)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Join(42); err != nil {
		t.Errorf("a group below the one that is mounted: %v", err)
	}
}

func TestNoSuchProcess(t *testing.T) {
	if _, err := cgroup.Here.Of(1 << 30); !errors.Is(err, sdk.ErrGone) {
		t.Errorf("found the groups of nobody: %v", err)
	}
}

func TestRealGroup(t *testing.T) {
	made := cgrouptest.New(t)
	made.Limit("memory", 64<<20)
	made.Limit("pids", 20)
	made.Limit("cpu", 500)
	target, guest := begin(t, "live"), begin(t, "burn")
	made.Add(target)
	g := cgrouptest.Of(t, target)
	if mem, ok, err := g.Memory(); err != nil || !ok || mem.Limit != 64<<20 || mem.Room <= 0 || mem.Room > 64<<20 {
		t.Errorf("memory: %+v, %v, %v", mem, ok, err)
	}
	if cpus, ok, err := g.CPUs(); err != nil || !ok || cpus != 0.5 {
		t.Errorf("cpus: %v, %v, %v", cpus, ok, err)
	}
	if pids, ok, err := g.PIDs(); err != nil || !ok || pids.Limit != 20 || pids.Room <= 0 || pids.Room >= 20 {
		t.Errorf("pids: %+v, %v, %v", pids, ok, err)
	}
	if err := g.Join(guest); err != nil {
		t.Fatal(err)
	}
	for _, c := range []string{"cpu", "cpuacct", "memory", "pids", "blkio"} {
		if !slices.Contains(made.PIDs(c), guest) {
			t.Errorf("the guest is not in the group of %s", c)
		}
	}
	if !made.Unified && slices.Contains(made.PIDs("freezer"), guest) {
		t.Error("the guest is where it can be frozen, and then not be killed")
	}
	before, ok, err := g.CPUTime()
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	eventually(t, "the guest's time is counted", func() bool {
		now, _, err := g.CPUTime()
		return err == nil && now-before > 50*time.Millisecond
	})
}

func TestRealFreezer(t *testing.T) {
	made := cgrouptest.New(t)
	target := begin(t, "burn")
	made.Add(target)
	f, err := cgrouptest.Of(t, target).Freezer()
	if err != nil {
		t.Fatal(err)
	}
	freezes(t, f, target)
}

// The freezer of version 2 works on a machine that has version 1 besides.
func TestRealFreezerOfVersion2(t *testing.T) {
	top := "/sys/fs/cgroup/unified"
	plugintest.Need(t, "cgroup2 beside version 1", func() error {
		_, err := os.Stat(filepath.Join(top, "cgroup.procs"))
		return err
	})
	plugintest.Need(t, "root", func() error { return unix.Access(top, unix.W_OK) })
	folder, err := os.MkdirTemp(top, "faultline-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		eventually(t, "the group is empty", func() bool { return os.Remove(folder) == nil })
	})
	target, guest := begin(t, "burn"), begin(t, "live")
	if err := os.WriteFile(filepath.Join(folder, "cgroup.procs"), []byte(fmt.Sprint(target)), 0); err != nil {
		t.Fatal(err)
	}
	m := fixture(t, "30 1 0:26 / "+top+" rw - cgroup2 cgroup2 rw\n", "0::/"+filepath.Base(folder)+"\n", nil)
	g, err := m.Of(7)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Join(guest); err != nil {
		t.Fatal(err)
	}
	if pids, err := g.Processes(); err != nil || !slices.Contains(pids, guest) {
		t.Errorf("the guest is not among %v, %v", pids, err)
	}
	before, ok, err := g.CPUTime()
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	eventually(t, "time is counted", func() bool { now, _, err := g.CPUTime(); return err == nil && now > before })
	f, err := g.Freezer()
	if err != nil {
		t.Fatal(err)
	}
	freezes(t, f, target)
}

func freezes(t *testing.T, f cgroup.Freezer, burner int) {
	t.Helper()
	used := func(pid int) string {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if is, err := f.Frozen(); err != nil || is {
		t.Fatalf("frozen at first: %v, %v", is, err)
	}
	if err := f.Freeze(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer f.Thaw(t.Context())
	if is, err := f.Frozen(); err != nil || !is {
		t.Errorf("frozen: %v, %v", is, err)
	}
	// While another one runs, this one does not. On a busy machine it may have been on its
	// last steps into the freezer when the kernel already said that it was there.
	rival := begin(t, "burn")
	at := ""
	for try := 1; ; try++ {
		at = used(burner)
		from := used(rival)
		eventually(t, "another process runs", func() bool { return used(rival) != from })
		time.Sleep(50 * time.Millisecond) // and goes on
		now := used(burner)
		if now == at {
			break
		}
		if try == 3 {
			t.Fatalf("a frozen process has run: %s then %s", at, now)
		}
	}
	if err := f.Thaw(t.Context()); err != nil {
		t.Fatal(err)
	}
	if is, err := f.Frozen(); err != nil || is {
		t.Errorf("frozen after it was thawed: %v, %v", is, err)
	}
	eventually(t, "it runs again", func() bool { return used(burner) != at })
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}
