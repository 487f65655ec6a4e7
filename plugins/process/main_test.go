//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/plugintest"
	"github.com/faultline-go/faultline/sdk/wire"
)

// The test binary also plays the processes that the tests break:
//
//	<binary> play PART TOKEN [PIDFILE]
//
// TOKEN makes a command line that no other process has.
func TestMain(m *testing.M) {
	if len(os.Args) > 3 && os.Args[1] == "play" {
		play(os.Args[2], os.Args[3], append(os.Args[4:], "")[0])
		return
	}
	plugintest.Main(m, plugin())
}

// lifetime bounds how long a played process can outlive a test that lost it.
const lifetime = 20 * time.Minute

func play(part, token, pidFile string) {
	switch part {
	case "serve":
	case "deaf":
		signal.Ignore(syscall.SIGTERM)
	case "fail":
		os.Exit(3)
	case "quit": // well, but without having started anything
		return
	case "launch": // starts the server and ends
		if err := exec.Command(os.Args[0], "play", "serve", token).Start(); err != nil {
			panic(err)
		}
		return
	case "revert": // the undo record comes as the token
		var u killUndo
		if err := json.Unmarshal([]byte(token), &u); err != nil {
			panic(err)
		}
		fmt.Println("up")
		if _, err := revertKill(context.Background(), u); err != nil {
			panic(err)
		}
		return
	case "supervise":
		supervise(token)
		return
	case "fork": // like a server with workers that run its own command line
		workers(token)
	}
	if pidFile != "" {
		writeWhole(pidFile, strconv.Itoa(os.Getpid())+"\n")
	}
	fmt.Println("up")
	time.Sleep(lifetime)
}

// supervise keeps a server up until its own standard input ends.
func supervise(token string) {
	for {
		cmd := exec.Command(os.Args[0], "play", "serve", token)
		stdin, _ := cmd.StdinPipe()
		defer stdin.Close()
		if err := cmd.Start(); err != nil {
			panic(err)
		}
		died := make(chan struct{})
		go func() { cmd.Wait(); close(died) }()
		fmt.Println("up")
		ended := make(chan struct{})
		go func() { os.Stdin.Read(make([]byte, 1)); close(ended) }()
		select {
		case <-died:
		case <-ended:
			cmd.Process.Kill()
			return
		}
	}
}

// workers starts a child with the very same command line, except that it does not
// start another.
func workers(token string) {
	if os.Getenv("WORKER") != "" {
		time.Sleep(lifetime)
		return
	}
	listen, err := net.Listen("unix", "@faultline-test/"+token)
	if err != nil {
		panic(err)
	}
	go func() { // one worker for each connection
		for {
			c, err := listen.Accept()
			if err != nil {
				return
			}
			cmd := exec.Command(os.Args[0], os.Args[1:]...)
			cmd.Env = append(os.Environ(), "WORKER=1")
			if err := cmd.Start(); err != nil {
				panic(err)
			}
			fmt.Fprintln(c, cmd.Process.Pid)
			c.Close()
		}
	}()
}

func writeWhole(path, text string) {
	if err := os.WriteFile(path+".new", []byte(text), 0o644); err != nil {
		panic(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		panic(err)
	}
}

// token is unlike that of any other test, or run of the tests.
func token(t testing.TB) string {
	return fmt.Sprintf("%s-%d-%d", t.Name(), os.Getpid(), time.Now().UnixNano())
}

// part is a played process.
type part struct {
	t     testing.TB
	cmd   *exec.Cmd
	token string
	ended chan struct{}
}

// begin starts a part and waits until it is up.
func begin(t testing.TB, name, token string, more ...string) *part {
	t.Helper()
	return beginIn(t, "", name, token, more...)
}

func beginIn(t testing.TB, dir, name, token string, more ...string) *part {
	t.Helper()
	cmd := exec.Command(os.Args[0], append([]string{"play", name, token}, more...)...)
	cmd.Dir = dir
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &part{t, cmd, token, make(chan struct{})}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || line != "up\n" {
		t.Fatalf("%s says %q, %v", name, line, err)
	}
	go func() { cmd.Wait(); close(p.ended) }()
	t.Cleanup(func() {
		stdin.Close()
		if name == "supervise" {
			select {
			case <-p.ended:
			case <-time.After(time.Minute):
			}
		}
		cmd.Process.Kill()
		<-p.ended
		endAll(t, token, dir)
	})
	return p
}

func (p *part) pid() int { return p.cmd.Process.Pid }

// kill ends the process from outside, as if by accident.
func (p *part) kill() {
	p.t.Helper()
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Fatal(err)
	}
	<-p.ended
}

// having lists the live processes with a token on their command line.
func having(t testing.TB, token string) []process {
	t.Helper()
	all, err := processes()
	if err != nil {
		t.Fatal(err)
	}
	var out []process
	for _, p := range all {
		if ok, err := p.fill(); err != nil {
			t.Fatal(err)
		} else if ok && len(p.args) > 3 && p.args[3] == token {
			out = append(out, p)
		}
	}
	return out
}

// endAll ends what a test started by way of a restart, and of that only what runs in
// dir, unless that is empty.
func endAll(t testing.TB, token, dir string) {
	for _, p := range having(t, token) {
		if in, _ := os.Readlink(fmt.Sprintf("/proc/%d/cwd", p.PID)); dir != "" && in != dir {
			continue
		}
		if h, err := p.Open(); err == nil {
			if h.Signal(syscall.SIGKILL) == nil {
				h.Wait(context.Background())
			}
			h.Close()
		}
	}
}

// bench is the plugin behind the SDK, as the engine sees it.
type bench struct {
	t *testing.T
	wire.Server
}

func newBench(t *testing.T) bench {
	t.Helper()
	s, err := sdk.NewServer(plugin())
	if err != nil {
		t.Fatal(err)
	}
	ctx, closeSession := context.WithCancel(context.Background())
	open, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.Session(ctx, func() (wire.Renewal, error) {
			close(open)
			<-ctx.Done()
			return wire.Renewal{}, ctx.Err()
		}, func(wire.LeaseEvent) error { return nil })
	}()
	<-open
	t.Cleanup(func() { closeSession(); <-ended })
	return bench{t, s}
}

func (b bench) discover(match map[string]any) []sdk.Candidate {
	b.t.Helper()
	out, err := b.tryDiscover(match)
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

func (b bench) tryDiscover(match map[string]any) ([]sdk.Candidate, error) {
	return b.Server.Discover(b.t.Context(), "process", asJSON(b.t, match))
}

// serving discovers the only process with a token.
func (b bench) serving(token string) sdk.Candidate {
	b.t.Helper()
	found := b.discover(map[string]any{"command": token})
	if len(found) != 1 {
		b.t.Fatalf("found %d processes with %s, not 1", len(found), token)
	}
	return found[0]
}

// hold is one fault on one target, from Prepare on.
type hold struct {
	bench
	typ      string
	config   json.RawMessage
	target   sdk.Candidate
	prepared wire.Prepared
	fault    string
}

var holds atomic.Int64

func (b bench) tryPrepare(typ string, config map[string]any, target sdk.Candidate, accept bool) (*hold, error) {
	b.t.Helper()
	h := &hold{
		bench: b, typ: typ, config: asJSON(b.t, config), target: target,
		fault: fmt.Sprintf("%s-%d", typ, holds.Add(1)),
	}
	err := b.Server.Prepare(b.t.Context(), wire.Prepare{
		Type: typ, Config: h.config, Targets: []sdk.Candidate{target}, AcceptIrreversible: accept,
	}, func(p wire.Prepared) error { h.prepared = p; return nil })
	return h, err
}

func (b bench) prepare(typ string, config map[string]any, target sdk.Candidate) *hold {
	b.t.Helper()
	h, err := b.tryPrepare(typ, config, target, false)
	if err != nil {
		b.t.Fatal(err)
	}
	if h.prepared.Err != "" {
		b.t.Fatal(h.prepared.Err)
	}
	return h
}

func (h *hold) undo() wire.Undo { return wire.Undo{Target: h.target.ID, Undo: h.prepared.Undo} }

func (h *hold) lease() wire.Lease { return wire.Lease{Run: "run", Fault: h.fault} }

func (h *hold) inject() (out wire.Injected) {
	h.t.Helper()
	h.t.Cleanup(func() { // whatever the test did, the lease is over before its processes are ended
		_ = h.Server.Revert(context.Background(), wire.Revert{Lease: h.lease(), Type: h.typ, By: "cleanup", Targets: []wire.Undo{h.undo()}},
			func(wire.Reverted) error { return nil })
	})
	err := h.Server.Inject(h.t.Context(), wire.Inject{
		Lease: h.lease(), Type: h.typ, Config: h.config, Targets: []wire.Undo{h.undo()}, TTL: time.Hour, HardEnd: time.Hour,
	}, func(i wire.Injected) error { out = i; return nil })
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

func (h *hold) mustInject() *hold {
	h.t.Helper()
	if i := h.inject(); i.Err != "" {
		h.t.Fatal(i.Err)
	}
	return h
}

func (h *hold) observe() (out wire.Observed) {
	h.t.Helper()
	err := h.Server.Observe(h.t.Context(), wire.Observe{Type: h.typ, Config: h.config, Targets: []wire.Undo{h.undo()}},
		func(o wire.Observed) error { out = o; return nil })
	if err != nil || out.Err != "" {
		h.t.Fatal(err, out.Err)
	}
	return out
}

// tryRevert reverts through a plugin that knows nothing of the injection, as a
// guardian would.
func (h *hold) tryRevert() (out wire.Reverted) {
	h.t.Helper()
	fresh := newBench(h.t)
	_ = fresh.Server.Revert(h.t.Context(), wire.Revert{Lease: h.lease(), Type: h.typ, By: "test", Targets: []wire.Undo{h.undo()}},
		func(r wire.Reverted) error { out = r; return nil })
	return out
}

func (h *hold) revert(want sdk.Outcome) wire.Reverted {
	h.t.Helper()
	r := h.tryRevert()
	if r.Outcome != string(want) {
		h.t.Fatalf("reverted %+v, want %s", r, want)
	}
	if r.Proof == "" {
		h.t.Errorf("reverted %+v without a proof", r)
	}
	return r
}

func (h *hold) scan(want int) {
	h.t.Helper()
	var found []wire.Finding
	err := h.Server.Scan(h.t.Context(), []wire.Known{{Type: h.typ, Fault: "f1", Targets: []wire.Undo{h.undo()}}},
		func(f wire.Finding) error { found = append(found, f); return nil })
	if err != nil {
		h.t.Fatal(err)
	}
	if len(found) != want {
		h.t.Fatalf("a scan finds %+v, want %d", found, want)
	}
	for _, f := range found {
		if f.Fault != "f1" || f.Target != h.target.ID || f.Kind != sdk.ResidueMatches {
			h.t.Errorf("a scan finds %+v", f)
		}
	}
}

func asJSON(t *testing.T, v any) json.RawMessage {
	t.Helper()
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// eventually waits for something that another process brings about.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
		<-tick.C
	}
}

func again(token string, more ...string) map[string]any {
	return map[string]any{"command": append([]string{os.Args[0], "play", "serve", token}, more...)}
}

func pidIn(t *testing.T, file string) int {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(text[:len(text)-1]))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func init() { os.Args[0], _ = filepath.Abs(os.Args[0]) }
