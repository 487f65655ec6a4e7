//go:build linux

package main

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/faultline-go/faultline/plugins/internal/incarnation"
	"github.com/faultline-go/faultline/sdk"
)

func TestDescription(t *testing.T) {
	d, err := sdk.Describe(plugin())
	if err != nil {
		t.Fatal(err)
	}
	if d.Fault("process_kill") == nil || d.Fault("process_pause") == nil || d.Target("process") == nil {
		t.Errorf("the plugin offers %+v", d)
	}
}

func TestDiscover(t *testing.T) {
	b := newBench(t)
	tok := token(t)
	file := filepath.Join(t.TempDir(), "web.pid")
	p := begin(t, "serve", tok, file)
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Base(os.Args[0])
	for name, match := range map[string]map[string]any{
		"command":        {"command": tok},
		"regexp":         {"command": "play s.rve " + tok + " "},
		"name":           {"name": binary, "command": tok},
		"user":           {"user": me.Username, "command": tok},
		"uid":            {"user": me.Uid, "command": tok},
		"parent":         {"parent": strconv.Itoa(os.Getpid()), "command": tok},
		"parent by name": {"parent": binary, "command": tok},
		"pid file":       {"pid_file": file},
		"pattern":        {"pid_file": filepath.Join(filepath.Dir(file), "*.pid")},
	} {
		found := b.discover(match)
		if len(found) != 1 || found[0].Attributes["pid"] != p.pid() {
			t.Errorf("%s: found %+v, want pid %d", name, found, p.pid())
			continue
		}
		c := found[0]
		if c.Attributes["name"] != binary || c.Attributes["user"] != me.Username || c.Attributes["ppid"] != os.Getpid() ||
			!strings.Contains(c.Attributes["command"].(string), tok) || c.Attributes["state"] != "sleeping" && c.Attributes["state"] != "running" {
			t.Errorf("%s: attributes %+v", name, c.Attributes)
		}
		if at := c.Attributes["start_time"].(int64); time.Since(time.Unix(at, 0)).Abs() > time.Minute {
			t.Errorf("%s: started at %d, now is %d", name, at, time.Now().Unix())
		}
	}
	for name, match := range map[string]map[string]any{
		"command": {"command": "no such " + tok},
		"name":    {"name": "no-such-name", "command": tok},
		"user":    {"user": "no-such-user", "command": tok},
		"parent":  {"parent": "1", "command": tok},
		"file":    {"pid_file": file + ".missing"},
	} {
		if found := b.discover(match); len(found) != 0 {
			t.Errorf("%s: found %+v", name, found)
		}
	}
	for name, match := range map[string]map[string]any{
		"everything":    {},
		"expression":    {"command": "("},
		"relative path": {"pid_file": "web.pid"},
	} {
		if _, err := b.tryDiscover(match); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestIdentity(t *testing.T) {
	b := newBench(t)
	tok := token(t)
	one := begin(t, "serve", tok)
	single := b.serving(tok)
	if strings.Contains(single.ID, "#") {
		t.Errorf("a process that is alone has the id %s", single.ID)
	}
	two := begin(t, "serve", tok)
	both := b.discover(map[string]any{"command": tok})
	if len(both) != 2 {
		t.Fatalf("found %+v", both)
	}
	for i, p := range []*part{one, two} {
		if c := both[i]; c.Attributes["pid"] != p.pid() || c.ID != single.ID+"#"+strconv.Itoa(i+1) {
			t.Errorf("%d is %s with pid %v, want pid %d", i, c.ID, c.Attributes["pid"], p.pid())
		}
	}
	// The first one dies: its id must not fall to the second one.
	one.kill()
	h, err := b.tryPrepare("process_pause", nil, both[0], false)
	if err != nil {
		t.Fatal(err)
	}
	if !h.prepared.Gone {
		t.Errorf("prepared %+v for a process that is dead", h.prepared)
	}
	// The second one is the only one left: the original id is now its own.
	if h := b.prepare("process_pause", nil, single); h.prepared.Incarnation != both[1].Incarnation {
		t.Errorf("prepared %s, want %s", h.prepared.Incarnation, both[1].Incarnation)
	}
}

func TestPIDFile(t *testing.T) {
	b := newBench(t)
	tok := token(t)
	p := begin(t, "serve", tok)
	file := filepath.Join(t.TempDir(), "web.pid")
	match := map[string]any{"pid_file": file}
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if found := b.discover(match); len(found) != 0 {
		t.Errorf("an empty pid file names %+v", found)
	}
	writeWhole(file, "hello\n")
	if _, err := b.tryDiscover(match); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a pid file without a pid: %v", err)
	}
	writeWhole(file, strconv.Itoa(p.pid())+"\nmore lines\n")
	if found := b.discover(match); len(found) != 1 || found[0].ID != "pidfile:"+file || !strings.HasPrefix(found[0].Name, "web (pid ") {
		t.Errorf("the pid file names %+v", found)
	}
	// A file that is older than the process which has its number now.
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(file, old, old); err != nil {
		t.Fatal(err)
	}
	if found := b.discover(match); len(found) != 0 {
		t.Errorf("a stale pid file names %+v", found)
	}
	writeWhole(file, strconv.Itoa(p.pid())+"\n")
	p.kill()
	if found := b.discover(match); len(found) != 0 {
		t.Errorf("the pid file of a dead process names %+v", found)
	}
}

func TestZombiesAreDead(t *testing.T) {
	b := newBench(t)
	tok := token(t)
	cmd := exec.Command(os.Args[0], "play", "quit", tok)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	eventually(t, "the process is a zombie", func() bool {
		p, ok, err := readProcess(cmd.Process.Pid)
		return err == nil && ok && p.state == "Z"
	})
	if found := b.discover(map[string]any{"parent": strconv.Itoa(os.Getpid()), "name": filepath.Base(os.Args[0])}); len(found) != 0 {
		t.Errorf("a zombie is offered: %+v", found)
	}
}

func TestSpared(t *testing.T) {
	b := newBench(t)
	binary := filepath.Join(t.TempDir(), "faultline-plugin-other")
	if err := os.Link(os.Args[0], binary); err != nil {
		text, err := os.ReadFile(os.Args[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(binary, text, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	tok := token(t)
	cmd := exec.Command(binary, "play", "serve", tok)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	eventually(t, "the plugin runs", func() bool { return len(having(t, tok)) == 1 })
	if found := b.discover(map[string]any{"command": tok}); len(found) != 0 {
		t.Errorf("a plugin is offered: %+v", found)
	}
	for _, c := range b.discover(map[string]any{"command": "."}) {
		pid := c.Attributes["pid"].(int)
		if pid == 1 || pid == os.Getpid() || pid == os.Getppid() || c.Attributes["command"] == "" {
			t.Errorf("%s is offered", c.Name)
		}
	}
	boot, err := incarnation.BootID()
	if err != nil {
		t.Fatal(err)
	}
	me, _, err := readProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	// Not even a plan that somebody made up gets through.
	h, err := b.tryPrepare("process_pause", nil, sdk.Candidate{
		Kind: "process", ID: "command:x", Incarnation: boot,
		Attributes: map[string]any{"pid": me.PID, "start_ticks": me.Start},
	}, false)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(h.prepared.Err, "never a target") {
		t.Errorf("prepared %+v", h.prepared)
	}
}
