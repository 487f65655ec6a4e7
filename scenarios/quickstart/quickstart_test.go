package quickstart_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/faultline-go/faultline/internal/programs"
	"github.com/faultline-go/faultline/scenarios/quickstart"
)

const patience = 2 * time.Minute

// holdShop makes the test binary start a shop in the folder it names and hold
// it until it is killed: the caller that dies.
const holdShop = "QUICKSTART_TEST_HOLD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(holdShop); dir != "" {
		if _, err := quickstart.Start(context.Background(), os.Args[1], dir, true); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println("started")
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	code := m.Run()
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

var built struct {
	once sync.Once
	dir  string
	err  error
}

// shopBinary builds the real shop, once for all tests.
func shopBinary(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "shop"); built.err == nil {
			built.err = programs.Put(built.dir, "shop")
		}
	})
	if built.err != nil {
		t.Fatalf("build the shop: %v", built.err)
	}
	return filepath.Join(built.dir, "shop")
}

func startShop(t *testing.T, retry bool) *quickstart.Shop {
	t.Helper()
	shop, err := quickstart.Start(t.Context(), shopBinary(t), filepath.Join(t.TempDir(), "shop"), retry)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := shop.Stop(); err != nil {
			t.Error(err)
		}
		nobodyLeft(t, shop.Dir())
	})
	return shop
}

// statuses counts the answers to n checkouts.
func statuses(t *testing.T, shop *quickstart.Shop, n int) map[int]int {
	t.Helper()
	count := map[int]int{}
	for range n {
		response, err := http.Get(shop.URL() + "/checkout")
		if err != nil {
			t.Fatal(err)
		}
		var body map[string]any
		if err := json.NewDecoder(response.Body).Decode(&body); err != nil {
			t.Errorf("decode the answer: %v", err)
		}
		response.Body.Close()
		count[response.StatusCode]++
	}
	return count
}

// settles waits until 30 checkouts are answered as they should be. The gateway asks the
// web processes in turn, so that each has its share; on a busy machine the shop's own
// timeouts lose one now and then.
func settles(t *testing.T, when string, shop *quickstart.Shop, want map[int]int) {
	t.Helper()
	eventually(t, when, func() error {
		if got := statuses(t, shop, 30); !maps.Equal(got, want) {
			return fmt.Errorf("answers by status %v, want %v", got, want)
		}
		return nil
	})
}

func pidIn(t *testing.T, shop *quickstart.Shop, name string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(shop.Dir(), name+".pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// inDir lists the processes whose command line names dir.
func inDir(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(files) == 0 {
		t.Fatalf("cannot list processes: %v", err)
	}
	var found []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(text), dir+"/") {
			found = append(found, file+": "+strings.ReplaceAll(string(text), "\x00", " "))
		}
	}
	return found
}

func nobodyLeft(t *testing.T, dir string) {
	t.Helper()
	if left := inDir(t, dir); len(left) > 0 {
		t.Errorf("processes left: %q", left)
	}
}

func eventually(t *testing.T, what string, ok func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ok()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// killAndRestart does by hand what the game day does: SIGKILL to web1, then the
// restart command of the scenario, from a process that is no part of the shop.
func killAndRestart(t *testing.T, shop *quickstart.Shop, between func()) (pid int) {
	t.Helper()
	v, killed := shop.Variables(), pidIn(t, shop, "web1")
	if err := syscall.Kill(killed, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the killed process is gone", func() error {
		if syscall.Kill(killed, 0) == nil {
			return errors.New("still there")
		}
		return nil
	})
	between()

	again := exec.Command(v["shop"], "web", "-name", "web1", "-listen", v["web1_listen"], "-store", v["store"],
		"-pid-file", filepath.Join(v["dir"], "web1.pid"), "-max-life", "5m")
	again.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := again.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = again.Wait() }()
	t.Cleanup(func() { _ = again.Process.Kill(); <-ended })
	eventually(t, "the new process's pid file", func() error {
		if got := pidIn(t, shop, "web1"); got != again.Process.Pid {
			return fmt.Errorf("it says %d, want %d", got, again.Process.Pid)
		}
		return nil
	})
	return again.Process.Pid
}

func TestKillWithoutRetryLosesRequestsUntilTheRestart(t *testing.T) {
	shop := startShop(t, false)
	settles(t, "before", shop, map[int]int{200: 30})
	killAndRestart(t, shop, func() { settles(t, "during", shop, map[int]int{200: 20, 502: 10}) })
	settles(t, "after", shop, map[int]int{200: 30})
	if err := shop.Stop(); err != nil {
		t.Error(err)
	}
	nobodyLeft(t, shop.Dir())
	if left, _ := filepath.Glob(filepath.Join(shop.Dir(), "*.pid")); len(left) > 0 {
		t.Errorf("pid files left: %q", left)
	}
	if err := shop.Stop(); err != nil {
		t.Errorf("second stop: %v", err)
	}
}

func TestKillWithRetryIsNotNoticed(t *testing.T) {
	shop := startShop(t, true)
	// What is lost right after the death counts, so that another try needs another one.
	for try := 1; ; try++ {
		settles(t, "before", shop, map[int]int{200: 30})
		var got map[int]int
		killAndRestart(t, shop, func() { got = statuses(t, shop, 30) })
		if got[200] == 30 {
			return
		}
		if try == 5 {
			t.Fatalf("during: answers by status %v, want 30 of 200", got)
		}
	}
}

func TestStopEndsPausedProcesses(t *testing.T) {
	shop := startShop(t, true)
	pid := killAndRestart(t, shop, func() {})
	for _, frozen := range []int{pid, pidIn(t, shop, "web2")} {
		if err := syscall.Kill(frozen, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	if err := shop.Stop(); err != nil {
		t.Error(err)
	}
	nobodyLeft(t, shop.Dir())
}

func TestStopLeavesStrangersAlone(t *testing.T) {
	shop := startShop(t, true)
	// A process that runs the shop program, but for another folder.
	other := startShop(t, true)
	stranger := pidIn(t, other, "web1")
	if err := syscall.Kill(pidIn(t, shop, "web1"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(shop.Dir(), "web1.pid"), fmt.Appendln(nil, stranger), 0o600); err != nil {
		t.Fatal(err)
	}
	// And one that is no shop at all: this test.
	if err := os.WriteFile(filepath.Join(shop.Dir(), "web2.pid"), fmt.Appendln(nil, os.Getpid()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := shop.Stop(); err != nil {
		t.Error(err)
	}
	settles(t, "the other shop", other, map[int]int{200: 30})
}

func TestShopDiesWithItsCaller(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "shop")
	caller := exec.Command(os.Args[0], shopBinary(t))
	caller.Env = append(os.Environ(), holdShop+"="+dir)
	caller.Stderr = os.Stderr
	stdin, err := caller.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := caller.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := caller.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, len("started\n"))
	_, read := io.ReadFull(stdout, line)
	before := inDir(t, dir)
	if err := caller.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = caller.Wait()
	if read != nil || len(before) != 5 {
		t.Errorf("the caller said %q (%v) and started %q, want 5 processes", line, read, before)
	}
	eventually(t, "the shop ends", func() error {
		if left := inDir(t, dir); len(left) > 0 {
			return fmt.Errorf("still there: %q", left)
		}
		return nil
	})
}

func TestStartFails(t *testing.T) {
	t.Run("no program", func(t *testing.T) {
		dir := t.TempDir()
		if _, err := quickstart.Start(t.Context(), filepath.Join(dir, "missing"), dir, true); err == nil || !strings.Contains(err.Error(), "start store") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("a process that ends at once", func(t *testing.T) {
		dir := t.TempDir()
		program := filepath.Join(dir, "program")
		if err := os.WriteFile(program, []byte("#!/bin/sh\necho no such luck >&2\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		if _, err := quickstart.Start(t.Context(), program, dir, true); err == nil || !strings.Contains(err.Error(), "no such luck") {
			t.Errorf("error %v, want the log's last line in it", err)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errors.New("not today"))
		dir := t.TempDir()
		if _, err := quickstart.Start(ctx, shopBinary(t), dir, true); err == nil {
			t.Error("a cancelled start succeeds")
		}
		nobodyLeft(t, dir)
	})
}

func TestAddressesAreLoopback(t *testing.T) {
	shop := startShop(t, true)
	host, _, err := net.SplitHostPort(shop.Variables()["web1_listen"])
	if err != nil || !net.ParseIP(host).IsLoopback() {
		t.Errorf("web1 listens on %q, %v", host, err)
	}
}
