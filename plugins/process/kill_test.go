//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/faultline-go/faultline/plugins/internal/incarnation"
	"github.com/faultline-go/faultline/sdk"
)

func TestKillAndRestart(t *testing.T) {
	b := newBench(t)
	p := begin(t, "serve", token(t))
	h := b.prepare("process_kill", map[string]any{"restart": again(p.token)}, b.serving(p.token))
	second := b.prepare("process_kill", map[string]any{"restart": again(p.token)}, h.target)
	if string(second.prepared.Undo) != string(h.prepared.Undo) {
		t.Errorf("a second Prepare says %s, the first said %s", second.prepared.Undo, h.prepared.Undo)
	}
	if o := h.observe(); o.Bites {
		t.Errorf("bites before it is injected: %+v", o)
	}
	h.revert(sdk.AlreadyGone) // a crash before Inject
	h.scan(0)
	h.mustInject()
	<-p.ended
	if o := h.observe(); !o.Bites || o.Ended {
		t.Errorf("observed %+v", o)
	}
	h.scan(1)
	r := h.revert(sdk.PutBack)
	now := having(t, p.token)
	if len(now) != 1 || !strings.Contains(r.Proof, fmt.Sprint("pid ", now[0].PID)) {
		t.Fatalf("running %+v, proof %q", now, r.Proof)
	}
	h.revert(sdk.AlreadyGone)
	h.scan(0)
	if o := h.observe(); !o.Bites || !o.Ended {
		t.Errorf("observed after the revert: %+v", o)
	}
	if left := having(t, p.token); len(left) != 1 || left[0].Incarnation != now[0].Incarnation {
		t.Errorf("running %+v, not only %+v", left, now)
	}
	// What came back is the same target, and can be killed again.
	if target := b.serving(p.token); target.ID != h.target.ID {
		t.Errorf("the id is %s now, it was %s", target.ID, h.target.ID)
	}
	next := b.prepare("process_kill", map[string]any{"restart": again(p.token)}, h.target).mustInject()
	next.revert(sdk.PutBack)
}

// The started process has its own session and nothing of ours.
func TestRestartIsDetached(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	// A descriptor as a careless parent would leave it to us: without close-on-exec.
	leaked, err := syscall.Open("/dev/zero", syscall.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(leaked)
	t.Setenv("FAULTLINE_TEST_SECRET", "open sesame")
	t.Setenv("FAULTLINE_TEST_OTHER", "not asked for")

	b := newBench(t)
	p := begin(t, "serve", token(t))
	out := filepath.Join(t.TempDir(), "out.log")
	if err := os.WriteFile(out, []byte("before\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	restart := again(p.token)
	restart["output"], restart["environment"] = out, []string{"FAULTLINE_TEST_SECRET"}
	h := b.prepare("process_kill", map[string]any{"restart": restart}, b.serving(p.token)).mustInject()
	if strings.Contains(string(h.prepared.Undo), "sesame") {
		t.Errorf("the undo record holds a secret: %s", h.prepared.Undo)
	}
	h.revert(sdk.PutBack)
	now := having(t, p.token)[0]
	if now.session != now.PID {
		t.Errorf("the session is %d, the pid %d", now.session, now.PID)
	}
	env := environ(now.PID)
	var got []string
	for _, v := range env {
		if strings.HasPrefix(v, "FAULTLINE_TEST_") {
			got = append(got, v)
		}
	}
	if len(got) != 1 || got[0] != "FAULTLINE_TEST_SECRET=open sesame" {
		t.Errorf("the environment has %q", got)
	}
	eventually(t, "the output is appended", func() bool {
		text, _ := os.ReadFile(out)
		return string(text) == "before\nup\n"
	})
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", now.PID))
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		to, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", now.PID, fd.Name()))
		switch {
		case errors.Is(err, fs.ErrNotExist): // closed by now
		case fd.Name() == "0" && to == "/dev/null":
		case (fd.Name() == "1" || fd.Name() == "2") && to == out:
		case strings.HasPrefix(to, "anon_inode:"): // the Go runtime's own
		case strings.Contains(to, "cgroup"), strings.HasPrefix(to, "/sys/"): // and this too
		default:
			t.Errorf("it holds descriptor %s: %s", fd.Name(), to)
		}
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", now.PID))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		text, ok := strings.CutPrefix(line, "SigIgn:\t")
		if !ok {
			continue
		}
		ignored, err := strconv.ParseUint(strings.TrimSpace(text), 16, 64)
		// Signals 32 and 33 belong to the C library, which nobody asks to die by.
		if cLibrary := uint64(1)<<31 | 1<<32; err != nil || ignored&^cLibrary != 0 {
			t.Errorf("it ignores the signals %s (%v)", text, err)
		}
	}
}

func TestKillWithPIDFile(t *testing.T) {
	b := newBench(t)
	tok := token(t)
	file := filepath.Join(t.TempDir(), "web.pid")
	begin(t, "serve", tok, file)
	target := b.discover(map[string]any{"pid_file": file})[0]
	h := b.prepare("process_kill", map[string]any{"restart": again(tok, file)}, target).mustInject()
	if o := h.observe(); !o.Bites || o.Ended {
		t.Errorf("observed %+v", o)
	}
	h.scan(1)
	h.revert(sdk.PutBack)
	now := having(t, tok)
	if len(now) != 1 || now[0].PID != pidIn(t, file) {
		t.Errorf("running %+v, the file names %d", now, pidIn(t, file))
	}
	h.revert(sdk.AlreadyGone)
	h.scan(0)
}

// The new process runs but does not say so: that is not yet put back, and trying
// again does not start another.
func TestRestartWithoutItsPIDFile(t *testing.T) {
	b := newBench(t)
	tok := token(t)
	file := filepath.Join(t.TempDir(), "web.pid")
	begin(t, "serve", tok, file)
	target := b.discover(map[string]any{"pid_file": file})[0]
	h := b.prepare("process_kill", map[string]any{"restart": again(tok)}, target).mustInject()
	var u killUndo
	if err := json.Unmarshal(h.prepared.Undo, &u); err != nil {
		t.Fatal(err)
	}
	c, err := u.startOnce(t.Context())
	if err != nil || c == nil {
		t.Fatal(c, err)
	}
	if c, err := u.startOnce(t.Context()); err != nil || c != nil {
		t.Errorf("started a second time: %v, %v", c, err)
	}
	if o := h.observe(); o.Ended {
		t.Errorf("observed %+v", o)
	}
	h.scan(1)
	writeWhole(file, fmt.Sprintln(c.pid))
	h.revert(sdk.AlreadyGone)
}

func TestKillRestartedHalfWay(t *testing.T) {
	b := newBench(t)
	p := begin(t, "serve", token(t))
	h := b.prepare("process_kill", map[string]any{"restart": again(p.token)}, b.serving(p.token)).mustInject()
	var u killUndo
	if err := json.Unmarshal(h.prepared.Undo, &u); err != nil {
		t.Fatal(err)
	}
	// A revert that dies here has started the process and told nobody.
	if c, err := u.startOnce(t.Context()); err != nil || c == nil {
		t.Fatal(c, err)
	}
	h.revert(sdk.AlreadyGone)
	if now := having(t, p.token); len(now) != 1 {
		t.Errorf("running %+v", now)
	}
}

// What an earlier revert has started dies under the eyes of the next one, which then
// starts it itself.
func TestKillRestartedInVain(t *testing.T) {
	b := newBench(t)
	p := begin(t, "serve", token(t))
	h := b.prepare("process_kill", map[string]any{"restart": again(p.token)}, b.serving(p.token)).mustInject()
	var u killUndo
	if err := json.Unmarshal(h.prepared.Undo, &u); err != nil {
		t.Fatal(err)
	}
	c, err := u.startOnce(t.Context())
	if err != nil || c == nil {
		t.Fatal(c, err)
	}
	first := having(t, p.token)
	if len(first) != 1 {
		t.Fatalf("running %+v", first)
	}
	started, err := first[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	defer started.Close()
	reverted := make(chan sdk.Reverted)
	go func() {
		r, err := revertKill(t.Context(), u)
		if err != nil { // it has seen the first one alive, and then dead: as the SDK does, once more
			r, err = revertKill(t.Context(), u)
		}
		if err != nil {
			t.Error(err)
		}
		reverted <- r
	}()
	if err := started.Signal(syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	if r := <-reverted; r.Outcome != sdk.PutBack {
		t.Errorf("reverted %+v", r)
	}
	if now := having(t, p.token); len(now) != 1 || now[0].Incarnation == first[0].Incarnation {
		t.Errorf("running %+v, before %+v", now, first)
	}
}

func TestKillHasManyReverts(t *testing.T) {
	b := newBench(t)
	p := begin(t, "serve", token(t))
	h := b.prepare("process_kill", map[string]any{"restart": again(p.token)}, b.serving(p.token)).mustInject()
	var all sync.WaitGroup
	var mu sync.Mutex
	outcomes := map[string]int{}
	for range 4 {
		all.Go(func() {
			r := h.tryRevert()
			mu.Lock()
			defer mu.Unlock()
			outcomes[r.Outcome]++
		})
	}
	all.Wait()
	if now := having(t, p.token); len(now) != 1 {
		t.Errorf("running %+v", now)
	}
	if outcomes[string(sdk.PutBack)] != 1 || outcomes[string(sdk.AlreadyGone)] != 3 {
		t.Errorf("outcomes %v", outcomes)
	}
}

// Reverts in processes of their own race, and some of them are killed over it, early
// and late.
func TestKillRevertsAreKilled(t *testing.T) {
	b := newBench(t)
	p := begin(t, "serve", token(t))
	for i := range 6 {
		h := b.prepare("process_kill", map[string]any{"restart": again(p.token)}, b.serving(p.token)).mustInject()
		victim := begin(t, "revert", string(h.prepared.Undo))
		rival := begin(t, "revert", string(h.prepared.Undo))
		if i > 0 {
			timer := time.NewTimer(time.Duration(i) * 4 * time.Millisecond)
			<-timer.C
		}
		victim.kill()
		<-rival.ended
		h.revert(sdk.AlreadyGone)
		if now := having(t, p.token); len(now) != 1 {
			t.Fatalf("round %d: running %+v", i, now)
		}
	}
}

func TestKillWithLauncher(t *testing.T) {
	b := newBench(t)
	p := begin(t, "serve", token(t))
	restart := map[string]any{"command": []string{os.Args[0], "play", "launch", p.token}}
	h := b.prepare("process_kill", map[string]any{"restart": restart}, b.serving(p.token)).mustInject()
	h.revert(sdk.PutBack)
	if now := having(t, p.token); len(now) != 1 || now[0].args[2] != "serve" {
		t.Errorf("running %+v", now)
	}
	h.revert(sdk.AlreadyGone)
	if now := having(t, p.token); len(now) != 1 {
		t.Errorf("running %+v", now)
	}
}

func TestRestartThatFails(t *testing.T) {
	b := newBench(t)
	p := begin(t, "serve", token(t))
	restart := map[string]any{"command": []string{os.Args[0], "play", "fail", p.token}}
	h := b.prepare("process_kill", map[string]any{"restart": restart}, b.serving(p.token)).mustInject()
	r := h.tryRevert()
	if r.Outcome != "failed" || !r.Residue || !strings.Contains(r.Err, "exit status 3") {
		t.Errorf("reverted %+v", r)
	}
	h.scan(1)
}

func TestKillUnderSupervisor(t *testing.T) {
	b := newBench(t)
	p := begin(t, "supervise", token(t))
	eventually(t, "the server runs", func() bool { return len(b.discover(map[string]any{"command": "serve " + p.token})) == 1 })
	target := b.discover(map[string]any{"command": "serve " + p.token})[0]
	h := b.prepare("process_kill", map[string]any{"restart": map[string]any{"supervisor": true}}, target).mustInject()
	eventually(t, "the supervisor brings it back", func() bool {
		o := h.observe()
		if !o.Bites {
			t.Fatalf("observed %+v", o)
		}
		return o.Ended
	})
	h.revert(sdk.AlreadyGone)
	h.scan(0)
}

// One of two identical processes comes back: that counts for one of them.
func TestKillIdenticalProcesses(t *testing.T) {
	b := newBench(t)
	tok := token(t)
	begin(t, "serve", tok)
	begin(t, "serve", tok)
	config := map[string]any{"restart": again(tok)}
	var holds []*hold
	for _, target := range b.discover(map[string]any{"command": tok}) {
		holds = append(holds, b.prepare("process_kill", config, target))
	}
	for _, h := range holds {
		h.mustInject()
	}
	replacement := begin(t, "serve", tok)
	if first, second := holds[0].observe(), holds[1].observe(); !first.Ended || second.Ended {
		t.Errorf("after one came back: %+v, %+v", first, second)
	}
	replacement.kill()
	holds[1].revert(sdk.PutBack)
	if o := holds[0].observe(); o.Ended {
		t.Errorf("the restart of the second counts for the first: %+v", o)
	}
	holds[0].revert(sdk.PutBack)
	holds[1].revert(sdk.AlreadyGone)
	if now := having(t, tok); len(now) != 2 {
		t.Errorf("running %+v", now)
	}
}

// A worker that the killed process leaves behind is not its successor.
func TestKillLeavesWorkers(t *testing.T) {
	b := newBench(t)
	p := begin(t, "fork", token(t))
	restart := map[string]any{"command": []string{os.Args[0], "play", "fork", p.token}}
	h := b.prepare("process_kill", map[string]any{"restart": restart}, b.serving(p.token))
	c, err := net.Dial("unix", "@faultline-test/"+p.token) // a worker, after Prepare
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(c).ReadString('\n'); err != nil && err != io.EOF {
		t.Fatal(err)
	}
	c.Close()
	eventually(t, "the worker runs", func() bool { return len(having(t, p.token)) == 2 })
	h.mustInject()
	if o := h.observe(); o.Ended {
		t.Errorf("observed %+v", o)
	}
	h.revert(sdk.PutBack)
}

func TestKillWithoutRestart(t *testing.T) {
	b := newBench(t)
	p := begin(t, "serve", token(t))
	target := b.serving(p.token)
	h, err := b.tryPrepare("process_kill", nil, target, false)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(h.prepared.Err, "irreversible") {
		t.Errorf("prepared %+v", h.prepared)
	}
	h, err = b.tryPrepare("process_kill", nil, target, true)
	if err != nil || h.prepared.Err != "" {
		t.Fatal(err, h.prepared.Err)
	}
	h.mustInject()
	h.revert(sdk.AlreadyGone)
	h.scan(0)
	if now := having(t, p.token); len(now) != 0 {
		t.Errorf("running %+v", now)
	}
}

func TestKillOfTheDead(t *testing.T) {
	b := newBench(t)
	p := begin(t, "serve", token(t))
	target := b.serving(p.token)
	h := b.prepare("process_kill", map[string]any{"restart": again(p.token)}, target)
	p.kill()
	if i := h.inject(); !i.Gone {
		t.Errorf("injected %+v", i)
	}
	later, err := b.tryPrepare("process_kill", map[string]any{"restart": again(p.token)}, target, false)
	if err != nil {
		t.Fatal(err)
	}
	if !later.prepared.Gone {
		t.Errorf("prepared %+v", later.prepared)
	}
}

// The target is replaced between Prepare and Inject: the new one is not hit.
func TestKillOfTheReplaced(t *testing.T) {
	b := newBench(t)
	tok := token(t)
	file := filepath.Join(t.TempDir(), "web.pid")
	p := begin(t, "serve", tok, file)
	target := b.discover(map[string]any{"pid_file": file})[0]
	config := map[string]any{"restart": again(tok, file)}
	h := b.prepare("process_kill", config, target)
	p.kill()
	replacement := begin(t, "serve", tok, file)
	if i := h.inject(); !i.Gone {
		t.Errorf("injected %+v", i)
	}
	h.revert(sdk.AlreadyGone)
	if state := stateOf(t, replacement.pid()); state == "Z" {
		t.Error("the replacement was hit")
	}
	// A later Prepare of the same target sees the new one.
	if next := b.prepare("process_kill", config, target); next.prepared.Incarnation == h.prepared.Incarnation {
		t.Errorf("prepared %s", next.prepared.Incarnation)
	}
}

func TestKillOfTheDeaf(t *testing.T) {
	b := newBench(t)
	p := begin(t, "deaf", token(t))
	restart := map[string]any{"command": []string{os.Args[0], "play", "deaf", p.token}}
	h := b.prepare("process_kill", map[string]any{"signal": "SIGTERM", "end_within": "100ms", "restart": restart}, b.serving(p.token))
	h.mustInject()
	<-p.ended
	h.revert(sdk.PutBack)
}

// An injection that is called off half-way leaves a process that is dead or alive, and
// not one that dies later.
func TestKillCalledOff(t *testing.T) {
	b := newBench(t)
	p := begin(t, "deaf", token(t))
	restart := map[string]any{"command": []string{os.Args[0], "play", "deaf", p.token}}
	h := b.prepare("process_kill", map[string]any{"restart": restart}, b.serving(p.token))
	var u killUndo
	if err := json.Unmarshal(h.prepared.Undo, &u); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := processKill.Inject(ctx, killConfig{Signal: "SIGTERM", EndWithin: time.Minute}, u); err != nil {
		t.Fatal(err)
	}
	<-p.ended
	h.revert(sdk.PutBack)
}

func TestKillAfterReboot(t *testing.T) {
	b := newBench(t)
	p := begin(t, "serve", token(t))
	h := b.prepare("process_kill", map[string]any{"restart": again(p.token)}, b.serving(p.token))
	boot, err := incarnation.BootID()
	if err != nil {
		t.Fatal(err)
	}
	h.prepared.Undo = json.RawMessage(strings.ReplaceAll(string(h.prepared.Undo), boot, "another-boot"))
	if i := h.inject(); !i.Gone {
		t.Errorf("injected %+v", i)
	}
	h.revert(sdk.AlreadyGone)
	h.scan(0)
	if now := having(t, p.token); len(now) != 1 || now[0].PID != p.pid() {
		t.Errorf("running %+v", now)
	}
}

func TestKillRefuses(t *testing.T) {
	b := newBench(t)
	p := begin(t, "serve", token(t))
	target := b.serving(p.token)
	for name, c := range map[string]struct {
		restart map[string]any
		want    string
	}{
		"nobody":            {map[string]any{}, "command"},
		"both":              {map[string]any{"command": []string{"x"}, "supervisor": true}, "supervisor"},
		"no such program":   {map[string]any{"command": []string{"/no/such/program"}}, "/no/such/program"},
		"no such directory": {map[string]any{"command": []string{"true"}, "directory": "/no/such/dir"}, "/no/such/dir"},
		"relative output":   {map[string]any{"command": []string{"true"}, "output": "log"}, "absolute"},
		"no output folder":  {map[string]any{"command": []string{"true"}, "output": "/no/such/dir/log"}, "/no/such/dir/log"},
		"no such user":      {map[string]any{"command": []string{"true"}, "user": "no-such-user"}, "no-such-user"},
		"unset variable":    {map[string]any{"command": []string{"true"}, "environment": []string{"FAULTLINE_TEST_UNSET"}}, "FAULTLINE_TEST_UNSET"},
		"value of variable": {map[string]any{"command": []string{"true"}, "environment": []string{"A=b"}}, "A=b"},
	} {
		h, err := b.tryPrepare("process_kill", map[string]any{"restart": c.restart}, target, false)
		got := h.prepared.Err
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%s: %q does not name %q", name, got, c.want)
		}
	}
}
