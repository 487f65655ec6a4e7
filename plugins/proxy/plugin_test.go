//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2/client"
	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/plugintest"
	"github.com/faultline-go/faultline/sdk/wire"
)

// fresh serves a plugin of its own with settings.
func fresh(t *testing.T, settings any) (*proxies, *wire.Client) {
	t.Helper()
	p := newProxies()
	c := plugintest.Client(t, plugin(p), plugintest.WithSettings(settings))
	t.Cleanup(func() { require(t, p.close()) })
	return p, c
}

func discover(t *testing.T, c *wire.Client, match string) []sdk.Candidate {
	t.Helper()
	found, err := c.Discover(t.Context(), listenerKind, json.RawMessage(match))
	require(t, err)
	return found
}

func dialed(t *testing.T, address string) error {
	t.Helper()
	return connect(sdk.Candidate{Attributes: map[string]any{"listen": address}}, answer(10))
}

func TestListenersOfTheSettingsAreOpenBeforeAnythingElse(t *testing.T) {
	upstream, one, two := echoServer(t), freeAddress(t), freeAddress(t)
	_, c := fresh(t, map[string]any{"listener": []map[string]any{
		{"name": "one", "listen": one, "upstream": upstream},
		{"name": "two", "listen": two, "upstream": upstream, "protocol": "http"},
	}})
	require(t, dialed(t, one))
	if found := discover(t, c, `{"name": "t*"}`); len(found) != 1 || found[0].Name != "two" || found[0].Attributes["protocol"] != "http" {
		t.Errorf("%+v", found)
	}
	if found := discover(t, c, `{}`); len(found) != 2 {
		t.Errorf("%+v", found)
	}
}

func TestListenerThatATargetDeclares(t *testing.T) {
	upstream, listen := echoServer(t), freeAddress(t)
	_, c := fresh(t, nil)
	match := fmt.Sprintf(`{"listen": %q, "upstream": %q}`, listen, upstream)
	if found := discover(t, c, match); len(found) != 1 || found[0].ID != "proxy:"+listen {
		t.Errorf("%+v", found)
	}
	require(t, dialed(t, listen))
	discover(t, c, match) // is the same one
	for match, want := range map[string]string{
		fmt.Sprintf(`{"listen": %q, "upstream": "127.0.0.1:1"}`, listen):                    "is declared before",
		fmt.Sprintf(`{"listen": %q, "upstream": %q}`, upstream, listen):                     "address already in use",
		`{"listen": "nonsense", "upstream": "127.0.0.1:1"}`:                                 "is no address",
		fmt.Sprintf(`{"listen": %q, "upstream": %q}`, "127.0.0.1:30000", "127.0.0.1:30000"): "to itself",
	} {
		if _, err := c.Discover(t.Context(), listenerKind, json.RawMessage(match)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", match, err)
		}
	}
}

// Whoever plans opens nothing: a run may be using the address.
func TestPlanningOpensNothing(t *testing.T) {
	p := newProxies()
	defer p.close()
	listen := freeAddress(t)
	require(t, p.configure(context.Background(), settings{
		ToxiproxyAPI: freeAddress(t),
		Listeners:    []listenerBlock{{Name: "x", Listen: listen, Upstream: "127.0.0.1:1", Protocol: "tcp"}},
	}))
	found, err := p.discover(context.Background(), match{})
	if err != nil || len(found) != 1 {
		t.Fatalf("%+v, %v", found, err)
	}
	if _, err := p.prepare(context.Background(), sdk.PrepareTarget{Candidate: found[0]}, downConfig{}); err != nil {
		t.Fatal(err)
	}
	if err := dialed(t, listen); !nobody(err) {
		t.Errorf("planning has opened the listener: %v", err)
	}
}

func TestConfigurations(t *testing.T) {
	d, err := sdk.Describe(plugin(newProxies()))
	require(t, err)
	if len(d.Faults) != 14 {
		t.Errorf("%d faults", len(d.Faults))
	}
	target, c := listenerBefore(echoServer(t), protocolTCP)(t), plugintest.Client(t, plugin(shared))
	for _, x := range []struct{ fault, config, want string }{
		{"proxy_delay", `{"delay": "0s"}`, "would change nothing"},
		{"proxy_delay", `{"delay": "10ms", "jitter": "20ms"}`, "jitter"},
		{"proxy_delay", `{"delay": "10ms", "direction": "sideways"}`, "none of"},
		{"proxy_delay", `{"delay": "10ms", "percent": 101}`, "above the maximum"},
		{"proxy_bandwidth", `{"rate": "fast"}`, "write a number"},
		{"proxy_bandwidth", `{"rate": "1bit"}`, "below the minimum, 8bit"},
		{"proxy_slicer", `{"size": 0}`, "below the minimum"},
		{"proxy_slicer", `{"size": 5, "variation": 5}`, "variation"},
		{"proxy_limit", `{}`, "missing"},
		{"proxy_down", `{"percent": 10}`, "unknown argument"},
		{"proxy_http_abort", `{}`, "say how requests end"},
		{"proxy_http_abort", `{"status": 500, "break_off": true}`, "say how requests end"},
		{"proxy_http_abort", `{"grpc_status": "BROKEN"}`, "not the name of an error"},
		{"proxy_http_body", `{}`, "exactly one"},
		{"proxy_http_body", `{"truncate": 1, "content_type": "text/plain"}`, "content_type"},
		{"proxy_http_abort", `{"status": 500}`, `protocol = "http"`}, // on a listener for bytes
	} {
		all, err := c.Prepare(t.Context(), wire.Prepare{Type: x.fault, Config: json.RawMessage(x.config), Targets: []sdk.Candidate{target}})
		if err == nil && len(all) == 1 && all[0].Err != "" {
			err = fmt.Errorf("%s", all[0].Err)
		}
		if err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s %s: %v", x.fault, x.config, err)
		}
	}
}

// The report has figures: how long data was held back, and how much of it.
func TestEffectIsMeasured(t *testing.T) {
	p := newProxies()
	defer p.close()
	p.inRun = true
	target := listenerBefore(echoServer(t), protocolTCP)(t)
	c := delayConfig{Delay: 40 * time.Millisecond, answers: answers{"downstream"}, connectionShare: connectionShare{Percent: 100}}
	made, err := p.prepare(t.Context(), sdk.PrepareTarget{Candidate: target}, c)
	require(t, err)
	require(t, p.inject(t.Context(), c, made.Undo))
	if e, err := p.observe(t.Context(), c, made.Undo); err != nil || e.Bites {
		t.Errorf("without traffic: %+v, %v", e, err)
	}
	require(t, connect(target, answer(100)))
	e, err := p.observe(t.Context(), c, made.Undo)
	require(t, err)
	if d := e.Measures["delay_p50_s"]; !e.Bites || d < 0.04 || e.Measures["bytes"] != 100 || e.Measures["connections_hit"] != 1 {
		t.Errorf("%+v", e)
	}
}

// A plugin that hangs cannot let go of its fault: a recovery ends it.
func TestAPluginThatHangsIsEnded(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), hangEnv+"=1")
	in, err := cmd.StdinPipe()
	require(t, err)
	out, err := cmd.StdoutPipe()
	require(t, err)
	require(t, cmd.Start())
	waited := make(chan struct{})
	go func() { _ = cmd.Wait(); close(waited) }()
	defer func() { in.Close(); _ = cmd.Process.Kill(); <-waited }()
	line, err := bufio.NewReader(out).ReadString('\n')
	require(t, err)
	var u undo
	require(t, json.Unmarshal([]byte(line), &u))
	require(t, cmd.Process.Signal(unix.SIGSTOP))
	require(t, unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WSTOPPED|unix.WNOWAIT, nil))
	p := newProxies()
	defer p.close()
	r, err := p.revert(t.Context(), u)
	if err != nil || r.Outcome != sdk.PutBack || !strings.Contains(r.Proof, "was killed") {
		t.Fatalf("%+v, %v", r, err)
	}
	<-waited
	if r, err := p.revert(t.Context(), u); err != nil || r.Outcome != sdk.AlreadyGone {
		t.Errorf("%+v, %v", r, err)
	}
}

// hangEnv makes the test binary a process that holds a fault and prints its record.
const hangEnv = "PROXY_TEST_HOLDS_A_FAULT"

func holdAFault() {
	p := newProxies()
	us, err := p.self()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	raw, _ := json.Marshal(undo{Fault: "f", Owner: us, Listener: listener{Listen: "127.0.0.1:1"}})
	fmt.Printf("%s\n", raw)
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

func TestToxiproxyClients(t *testing.T) {
	api := freeAddress(t)
	fresh(t, map[string]any{"toxiproxy_api": api})
	p, err := toxiproxy.NewClient(api).CreateProxy("db", "127.0.0.1:0", echoServer(t))
	require(t, err)
	require(t, dialed(t, p.Listen))
	_, err = p.AddToxic("", "reset_peer", "", 1, nil)
	require(t, err)
	if err := dialed(t, p.Listen); !isReset(err) {
		t.Errorf("under reset_peer: %v", err)
	}
}

// Another process of another user must not end faults.
func TestControlIsForTheSameUser(t *testing.T) {
	l, err := net.Listen("unix", socketPrefix+"test-"+freeAddress(t))
	require(t, err)
	defer l.Close()
	c, err := net.Dial("unix", l.Addr().String())
	require(t, err)
	defer c.Close()
	server, err := l.Accept()
	require(t, err)
	defer server.Close()
	if !peerIsOurs(server) {
		t.Error("a connection of our own user is refused")
	}
}
