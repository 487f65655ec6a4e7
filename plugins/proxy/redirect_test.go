//go:build linux

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/plugins/internal/netns"
	"github.com/faultline-go/faultline/plugins/internal/nft"
	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/plugintest"
)

// islandEnv makes the test binary a server in a network of its own, which it is started
// in.
const islandEnv = "PROXY_TEST_IS_AN_ISLAND"

const (
	islandEcho = "127.0.0.1:7007"
	islandWeb  = "127.0.0.1:8008"
)

// island serves until its standard input ends.
func island() {
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	fail(err)
	lo, err := unix.NewIfreq("lo")
	fail(err)
	lo.SetUint16(unix.IFF_UP)
	fail(unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo))
	l, err := net.Listen("tcp", islandEcho)
	fail(err)
	go func() {
		for {
			c, err := l.Accept()
			fail(err)
			go func() {
				_, _ = io.Copy(c, c)
				c.Close()
			}()
		}
	}()
	w, err := net.Listen("tcp", islandWeb)
	fail(err)
	go http.Serve(w, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }))
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

func needsRoot(t testing.TB) {
	t.Helper()
	plugintest.Need(t, "root", func() error {
		if os.Geteuid() != 0 {
			return errors.New("this user may not make network namespaces")
		}
		return nil
	})
}

// newIsland starts a server in a network of its own, as a target.
func newIsland(t testing.TB) sdk.Candidate {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), islandEnv+"=1")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	in, err := cmd.StdinPipe()
	require(t, err)
	out, err := cmd.StdoutPipe()
	require(t, err)
	require(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if err != nil || line != "ready\n" {
		t.Fatalf("%q, %v", line, err)
	}
	pid := cmd.Process.Pid
	_, start, err := state(pid)
	require(t, err)
	return sdk.Candidate{
		Kind: "process", Interfaces: []string{"process"}, ID: fmt.Sprintf("island:%d", pid), Name: fmt.Sprintf("island %d", pid),
		Attributes: map[string]any{"pid": float64(pid), "start_ticks": float64(start)},
	}
}

// visit connects to an address in the network of an island; an island that is gone is
// nobody.
func visit(c sdk.Candidate, address string, use func(net.Conn) error) error {
	pid, _ := c.Attributes["pid"].(float64)
	n, err := netns.OfProcess(int(pid))
	if errors.Is(err, netns.ErrGone) {
		return nil
	}
	if err != nil {
		return err
	}
	defer n.Close()
	var conn net.Conn
	if err := n.Do(func() (err error) {
		conn, err = net.DialTimeout("tcp", address, enough)
		return err
	}); err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(enough)); err != nil {
		return err
	}
	return use(conn)
}

// rulesIn counts our rules in the network of an island.
func rulesIn(c sdk.Candidate) (string, error) {
	pid, _ := c.Attributes["pid"].(float64)
	n, err := netns.OfProcess(int(pid))
	if err != nil {
		return "gone", nil
	}
	defer n.Close()
	var found int
	err = n.Do(func() error {
		x, err := nft.Dial()
		if err != nil {
			return err
		}
		defer x.Close()
		all, err := x.Tables(tablePrefix)
		for _, table := range all {
			n, counted := x.Counted(table)
			found += n.Counters // of the rules that lead
			err = errors.Join(err, counted)
		}
		return err
	})
	return fmt.Sprintf("%d rules", found), err
}

func sinkIsland(t testing.TB, c sdk.Candidate) {
	t.Helper()
	p, err := os.FindProcess(int(c.Attributes["pid"].(float64)))
	require(t, err)
	require(t, p.Kill())
	// Its parent, this test, waits for it at the end: until then it is a zombie.
	for letter := ""; letter != "Z"; {
		letter, _, err = state(p.Pid)
		require(t, err)
	}
}

// The kernel ends what leads connections to a proxy with the process that put it there,
// whichever way that ends.
func TestFaultsOnProcessesKeepTheirPromises(t *testing.T) {
	needsRoot(t)
	var cases []plugintest.Case
	for _, c := range []struct {
		fault  string
		config map[string]any
		bitten func(sdk.Candidate) (bool, error)
	}{
		{"proxy_delay", map[string]any{"delay": added, "ports": []string{"7007"}}, slowly(seen, func(c sdk.Candidate) error {
			return visit(c, islandEcho, answer(10))
		})},
		{"proxy_refuse", map[string]any{"ports": []string{"7007"}}, func(c sdk.Candidate) (bool, error) {
			err := visit(c, islandEcho, answer(10))
			if nobody(err) {
				return true, nil
			}
			return false, err
		}},
		{"proxy_http_abort", map[string]any{"status": 418, "ports": []string{"8008"}, "traffic": "out"}, func(c sdk.Candidate) (bites bool, err error) {
			err = visit(c, islandWeb, func(conn net.Conn) error {
				fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
				raw, err := io.ReadAll(conn)
				bites = strings.HasPrefix(string(raw), "HTTP/1.1 418")
				if !bites && !strings.HasSuffix(string(raw), "hello") {
					return fmt.Errorf("answer %q, %w", raw, err)
				}
				return nil
			})
			return bites, err
		}},
	} {
		cases = append(cases, plugintest.Case{
			Plugin: plugin(shared), Type: c.fault, Config: c.config, Target: newIsland, Bitten: c.bitten,
			State: rulesIn, Destroy: sinkIsland, SameUndo: sameProxy,
		})
	}
	plugintest.Faults(t, cases...)
}

// Connections that were there before a fault, or are when it ends, live on.
func TestConnectionsOutliveTheirRedirection(t *testing.T) {
	needsRoot(t)
	p := newProxies()
	defer p.close()
	target := newIsland(t)
	c := delayConfig{Delay: 100 * time.Millisecond, connectionShare: connectionShare{Percent: 100, led: led{Ports: []string{"7007"}, Traffic: "in"}}}
	require(t, visit(target, islandEcho, func(old net.Conn) error {
		made, err := p.prepare(t.Context(), sdk.PrepareTarget{Candidate: target}, c)
		require(t, err)
		require(t, p.inject(t.Context(), c, made.Undo))
		quickest := time.Hour // a busy machine is late now and then, the fault always is
		for n := 0; n < 100 && quickest > 90*time.Millisecond; n++ {
			at := time.Now()
			require(t, answer(10)(old))
			quickest = min(quickest, time.Since(at))
		}
		if quickest > 90*time.Millisecond {
			t.Errorf("an older connection is never answered before %s", quickest)
		}
		return visit(target, islandEcho, func(led net.Conn) error {
			at := time.Now()
			require(t, answer(10)(led))
			if took := time.Since(at); took < 100*time.Millisecond {
				t.Errorf("a new connection was answered after %s", took)
			}
			e, err := p.observe(t.Context(), c, made.Undo)
			if err != nil || !e.Bites || e.Measures["delay_p50_s"] < 0.1 {
				t.Errorf("%+v, %v", e, err)
			}
			r, err := p.revert(t.Context(), made.Undo)
			if err != nil || r.Outcome != sdk.PutBack {
				t.Errorf("%+v, %v", r, err)
			}
			require(t, answer(10)(led)) // goes on through what was its proxy
			return answer(10)(old)
		})
	}))
	require(t, visit(target, islandEcho, answer(10)))
}

func TestRedirectionIsChecked(t *testing.T) {
	needsRoot(t)
	target := newIsland(t)
	for _, x := range []struct {
		ports []string
		want  string
	}{{nil, "say with ports"}, {[]string{"http"}, "is no port"}, {[]string{"70000"}, "is no port"}} {
		if _, err := subjectOf(t.Context(), target, led{Ports: x.ports, Traffic: "in"}); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%v: %v", x.ports, err)
		}
	}
	target.Attributes["start_ticks"] = 1.
	if _, err := subjectOf(t.Context(), target, led{Ports: []string{"1"}, Traffic: "in"}); !errors.Is(err, sdk.ErrGone) {
		t.Errorf("another process with the same id: %v", err)
	}
}
