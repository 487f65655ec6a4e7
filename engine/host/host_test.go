package host

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/engine/trust"
	"github.com/faultline-go/faultline/sdk/wire"
)

// installed makes a folder with the test binary as the plugins of these names.
func installed(t *testing.T, names ...string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range names {
		if err := os.Symlink(self, filepath.Join(dir, Prefix+name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// playing makes a Host whose plugin testfile plays a role. Sockets go into a folder
// of their own, which must be empty at the end, when no process may be left either.
func playing(t *testing.T, role string, change ...func(*Options)) *Host {
	t.Helper()
	tmp, err := os.MkdirTemp("/tmp", "h-")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", tmp)
	t.Cleanup(func() {
		left, err := os.ReadDir(tmp)
		if err != nil || len(left) > 0 {
			t.Errorf("left in the folder for sockets: %v, %v", left, err)
		}
		os.RemoveAll(tmp)
		noChildren(t)
	})
	o := Options{
		PluginDirs: []string{installed(t, "testfile")},
		Environ:    func() []string { return append(os.Environ(), plays+"="+role) },
		Inherit:    []string{plays, "GORACE"},
	}
	for _, c := range change {
		c(&o)
	}
	return New(o)
}

// noChildren fails when this process has children.
func noChildren(t *testing.T) {
	t.Helper()
	var info unix.Siginfo
	err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	if !errors.Is(err, unix.ECHILD) {
		t.Errorf("a child process is left (%v)", err)
	}
}

func start(t *testing.T, h *Host, q wire.Configure) *Plugin {
	t.Helper()
	p, err := h.Start(t.Context(), "testfile", q)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

// act runs an action of the test plugin.
func act(t *testing.T, p *Plugin, typ string) string {
	t.Helper()
	out, err := p.Act(t.Context(), typ, []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(out, `\x0a`, "\n") // what a plugin says of an action is a line
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.After(2 * time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-deadline:
			t.Fatalf("not within two minutes: %s", what)
		case <-tick.C:
		}
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// dead says whether a process is gone, or a zombie that nobody reaps.
func dead(pid int) bool {
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(raw), ") ")
	return strings.HasPrefix(rest, "Z")
}

func openFiles(t *testing.T) []string {
	t.Helper()
	var out []string
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if to, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && !strings.HasPrefix(to, "/proc/") {
			out = append(out, to)
		}
	}
	slices.Sort(out)
	return out
}

func TestStartTalkClose(t *testing.T) {
	h := playing(t, "plugin")
	warm := start(t, h, wire.Configure{}) // the runtime opens descriptors of its own at the first process
	warm.Kill()
	before := openFiles(t)

	p := start(t, h, wire.Configure{})
	if p.Name != "testfile" || p.Version != "1.2.3" || p.Description.Fault("testfile_mark") == nil || len(p.SHA256) != 64 {
		t.Errorf("plugin %s %s, description %+v, checksum %s", p.Name, p.Version, p.Description, p.SHA256)
	}
	if exists(p.sockets) {
		t.Error("the socket's folder is still there")
	}
	mark := filepath.Join(t.TempDir(), "mark")
	if err := inject(t.Context(), p, "testfile_mark", mark); err != nil {
		t.Fatal(err)
	}
	pid := p.PID()
	if pgid, err := unix.Getpgid(pid); pgid != pid || err != nil {
		t.Errorf("the plugin's process group is %d (%v), not its own %d", pgid, err, pid)
	}
	if err := p.Err(); err != nil {
		t.Errorf("Err of a running plugin: %v", err)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if exists(mark) {
		t.Error("the plugin ended without putting back")
	}
	select {
	case <-p.Done():
	default:
		t.Error("Done is open after Close")
	}
	if err := p.Err(); err != nil {
		t.Errorf("Err after Close: %v", err)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if !dead(pid) {
		t.Error("the process is still there")
	}
	// What has ended with the plugin may close its own a moment later.
	eventually(t, "no other files are open than before:\n"+strings.Join(before, "\n"), func() bool { return slices.Equal(before, openFiles(t)) })
	if _, err := p.Act(t.Context(), "testfile_exit", []byte(`{}`)); err == nil {
		t.Error("a closed plugin still answers")
	}
}

func TestManyAtOnce(t *testing.T) {
	h := playing(t, "plugin", func(o *Options) { o.StateDir, o.CacheDir = t.TempDir(), t.TempDir() })
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			p, err := h.Start(t.Context(), "testfile", wire.Configure{Run: "r", RunDir: t.TempDir()})
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := p.Discover(t.Context(), "nothing", nil); err == nil {
				t.Error("an unknown target was discovered")
			}
			if err := p.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
		all.Go(func() {
			if _, err := h.Describe(t.Context(), "testfile"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func TestAPluginThatEndsByItself(t *testing.T) {
	p := start(t, playing(t, "plugin"), wire.Configure{})
	if _, err := p.Act(t.Context(), "testfile_exit", []byte(`{}`)); !errors.Is(err, wire.ErrGone) || !strings.Contains(err.Error(), "exit status 7: I am off") {
		t.Errorf("the call that ended the plugin: %v", err)
	}
	<-p.Done()
	if err := p.Err(); err == nil || !strings.Contains(err.Error(), "exit status 7") || !strings.Contains(err.Error(), "I am off") {
		t.Errorf("Err: %v", err)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := p.Err(); err == nil {
		t.Error("Err is forgotten after Close")
	}
}

func TestTheProcessGroupEndsWithThePlugin(t *testing.T) {
	for name, end := range map[string]func(*testing.T, *Plugin){
		"close": func(t *testing.T, p *Plugin) {
			if err := p.Close(t.Context()); err != nil {
				t.Error(err)
			}
		},
		"kill":  func(t *testing.T, p *Plugin) { p.Kill() },
		"crash": func(t *testing.T, p *Plugin) { _, _ = p.Act(t.Context(), "testfile_exit", []byte(`{}`)); <-p.Done() },
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, playing(t, "plugin"), wire.Configure{})
			child, err := strconv.Atoi(act(t, p, "testfile_child"))
			if err != nil || dead(child) {
				t.Fatalf("child %d: %v", child, err)
			}
			end(t, p)
			eventually(t, "the plugin's child is gone", func() bool { return dead(child) })
		})
	}
}

func TestSigtermRevertsAndEnds(t *testing.T) {
	p := start(t, playing(t, "plugin"), wire.Configure{})
	mark := filepath.Join(t.TempDir(), "mark")
	if err := inject(t.Context(), p, "testfile_mark", mark); err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(p.PID(), unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	if exists(mark) {
		t.Error("the plugin ended without putting back")
	}
	if err := p.Err(); err == nil || !strings.Contains(err.Error(), "ended by itself (exit status 0)") {
		t.Errorf("Err: %v", err)
	}
}

func TestCloseIsBounded(t *testing.T) {
	for name, stop := range map[string]func(*testing.T, *Plugin){
		"a fault that sticks": func(t *testing.T, p *Plugin) {
			if err := inject(t.Context(), p, "testfile_sticky", filepath.Join(t.TempDir(), "mark")); err != nil {
				t.Fatal(err)
			}
		},
		"stopped": func(t *testing.T, p *Plugin) {
			if err := unix.Kill(p.PID(), unix.SIGSTOP); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, playing(t, "stubborn"), wire.Configure{})
			stop(t, p)
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			if err := p.Close(ctx); err == nil || !strings.Contains(err.Error(), "was killed") {
				t.Errorf("Close: %v", err)
			}
			if !dead(p.PID()) {
				t.Error("the process is still there")
			}
		})
	}
}

func TestWhatPluginsPrint(t *testing.T) {
	var mu sync.Mutex
	var lines []string
	h := playing(t, "noisy", func(o *Options) {
		o.Stderr = func(plugin, line string) {
			mu.Lock()
			defer mu.Unlock()
			lines = append(lines, plugin+": "+line)
		}
	})
	p := start(t, h, wire.Configure{})
	has := func(line string) func() bool {
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			return slices.Contains(lines, "testfile: "+line)
		}
	}
	// The first of these crashes an engine that lets go-plugin parse it.
	for _, line := range []string{`{"@message":1}`, `\x1b[31mred\x1b[0m`, "raw words", "on descriptor 1", "on standard output", "on standard error"} {
		eventually(t, "the line "+line+" comes", has(line))
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, l := range lines {
		if len(l) > 4<<10+len("testfile: ") {
			t.Errorf("a line of %d bytes", len(l))
		}
	}
}

func TestEnvironmentAndDescriptors(t *testing.T) {
	t.Setenv("FAULTLINE_VAR_token", "secret")
	t.Setenv("FAULTLINE_STATE_DIR", "/somewhere")
	t.Setenv("PLUGIN_CLIENT_CERT", "inherited")
	t.Setenv("HOST_TEST_TOKEN", "named")
	t.Setenv("HOST_TEST_SECRET", "not named")
	t.Setenv("LC_TIME", "C")
	secret := filepath.Join(t.TempDir(), "held")
	f, err := os.Create(secret)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := playing(t, "plugin")
	p, err := h.Start(t.Context(), "testfile", wire.Configure{}, Inherit("HOST_TEST_TOKEN", "HOST_TEST_UNSET", "FAULTLINE_VAR_token", "PLUGIN_CLIENT_CERT"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	env := strings.Split(act(t, p, "testfile_environment"), "\n")
	for kv, want := range map[string]bool{
		"FAULTLINE_VAR_token=secret": false, "PLUGIN_CLIENT_CERT=inherited": false,
		"FAULTLINE_STATE_DIR=/somewhere": true, "HOST_TEST_TOKEN=named": true, "HOST_TEST_SECRET=not named": false, "LC_TIME=C": true, wire.CookieKey + "=" + wire.CookieValue: true,
	} {
		if slices.Contains(env, kv) != want {
			t.Errorf("%s in the plugin's environment: %v, want %v", kv, !want, want)
		}
	}
	open := act(t, p, "testfile_descriptors")
	for _, bad := range []string{secret, "faultline-plugin", ".test"} {
		if strings.Contains(open, bad) {
			t.Errorf("the plugin has inherited %s:\n%s", bad, open)
		}
	}
}

func TestTheCopyOfARun(t *testing.T) {
	state, run := t.TempDir(), t.TempDir()
	h := playing(t, "plugin", func(o *Options) { o.StateDir = state })
	p := start(t, h, wire.Configure{Run: "r", RunDir: run})
	if want := filepath.Join(state, "plugins", p.SHA256, Prefix+"testfile"); p.Path != want {
		t.Errorf("runs from %s, want %s", p.Path, want)
	}
	p.Kill()

	// Its original is gone; recovery starts the copy.
	again := New(Options{
		Environ: h.opts.Environ, Inherit: h.opts.Inherit,
		Trust: func(trust.Binary) (trust.Basis, error) {
			return "", errors.New("nobody is asked what a run has started")
		},
	})
	r, err := again.StartBinary(t.Context(), p.Path, p.SHA256, wire.Configure{Run: "r", RunDir: run})
	if err != nil {
		t.Fatal(err)
	}
	if r.Name != "testfile" || r.SHA256 != p.SHA256 {
		t.Errorf("started %s %s", r.Name, r.SHA256)
	}
	r.Kill()

	// A damaged copy is refused by recovery, and made anew by the next run.
	if err := os.Chmod(p.Path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(p.Path, 100); err != nil {
		t.Fatal(err)
	}
	if _, err := again.StartBinary(t.Context(), p.Path, p.SHA256, wire.Configure{}); err == nil || !strings.Contains(err.Error(), "not the binary that the run used") {
		t.Errorf("StartBinary of a damaged copy: %v", err)
	}
	p = start(t, h, wire.Configure{Run: "r", RunDir: run})
	p.Kill()
	if err := os.Remove(p.Path); err != nil {
		t.Fatal(err)
	}
	if _, err := again.StartBinary(t.Context(), p.Path, p.SHA256, wire.Configure{}); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "put faultline-plugin-testfile") {
		t.Errorf("StartBinary of a missing copy: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(state, "plugins", "*", ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
