package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// playShop makes the test binary play the shop, so that the tests start real
// processes and build nothing.
const playShop = "SHOP_TEST_PLAY"

func TestMain(m *testing.M) {
	if os.Getenv(playShop) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// patience is how long a test waits for what happens at once on an idle machine.
const patience = 2 * time.Minute

// child is a shop process that a test started.
type child struct {
	*exec.Cmd
	address string
	pidFile string
	stderr  *lockedBuffer
	stdin   io.WriteCloser
	exited  chan struct{}
}

// start runs the shop with args, waits until it serves, and ends it with the test.
func start(t *testing.T, args ...string) *child {
	t.Helper()
	dir := t.TempDir()
	addrFile, pidFile := filepath.Join(dir, "addr"), filepath.Join(dir, "pid")
	args = append(args, "-addr-file", addrFile, "-pid-file", pidFile)
	c := &child{Cmd: exec.Command(os.Args[0], args...), pidFile: pidFile, stderr: &lockedBuffer{}, exited: make(chan struct{})}
	c.Env = append(os.Environ(), playShop+"=1")
	c.Stderr = c.stderr
	stdin, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.stdin = stdin
	c.begin(t)
	eventually(t, "the pid file", func() error {
		select {
		case <-c.exited:
			return fmt.Errorf("the process ended: %s", c.stderr)
		default:
		}
		text, err := os.ReadFile(pidFile)
		if err == nil && string(text) != fmt.Sprintln(c.Process.Pid) {
			err = fmt.Errorf("pid file says %q, want %d", text, c.Process.Pid)
		}
		return err
	})
	address, err := os.ReadFile(addrFile)
	if err != nil {
		t.Fatalf("the pid file is there and the address file is not: %v", err)
	}
	c.address = strings.TrimSpace(string(address))
	return c
}

// begin starts the process, and ends it with the test.
func (c *child) begin(t *testing.T) {
	t.Helper()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { defer close(c.exited); _ = c.Wait() }()
	t.Cleanup(func() {
		_ = c.Process.Kill()
		<-c.exited
	})
}

// gone waits until the process has ended and returns its exit code.
func (c *child) gone(t *testing.T) int {
	t.Helper()
	select {
	case <-c.exited:
		return c.ProcessState.ExitCode()
	case <-time.After(patience):
		t.Fatalf("process %d still runs: %s", c.Process.Pid, c.stderr)
		return 0
	}
}

// eventually polls until ok returns nil, and fails with its last error.
func eventually(t *testing.T, what string, ok func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
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

// get asks url once and decodes the JSON answer.
func get[T any](t *testing.T, url string) (int, T) {
	t.Helper()
	var body T
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&body); err != nil {
		t.Fatalf("decode %s: %v", url, err)
	}
	return response.StatusCode, body
}

type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func TestCommandLineErrors(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "usage: shop"},
		{[]string{"till"}, "usage: shop"},
		{[]string{"store", "now"}, `unexpected argument "now"`},
		{[]string{"store", "-speed", "9"}, "flag provided but not defined"},
		{[]string{"web"}, "-store is missing"},
		{[]string{"web", "-store", "7000"}, "want http://host:port or redis://host:port"},
		{[]string{"web", "-store", "ftp://x:1"}, `scheme "ftp" is neither`},
		{[]string{"web", "-store", "redis://x:1/nodb"}, "read -store"},
		{[]string{"web", "-store", "http://x:1", "-store-timeout", "0s"}, "must be above zero"},
		{[]string{"gateway"}, "-backends names nobody"},
		{[]string{"gateway", "-backends", "http://x"}, "no host:port"},
		{[]string{"gateway", "-backends", "x", "-attempt-timeout", "0s"}, "must be above zero"},
	} {
		var stderr bytes.Buffer
		ended, cancel := context.WithCancel(t.Context())
		cancel() // a command line that is wrongly accepted serves for no time
		if code := run(ended, c.args, nil, &stderr); code != 2 {
			t.Errorf("shop %q: exit code %d, want 2", c.args, code)
		}
		if !strings.Contains(stderr.String(), c.want) {
			t.Errorf("shop %q says %q, want %q in it", c.args, stderr.String(), c.want)
		}
	}
}

func TestPortInUse(t *testing.T) {
	first := start(t, "store")
	var stderr bytes.Buffer
	if code := run(t.Context(), []string{"store", "-listen", first.address}, nil, &stderr); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if !strings.Contains(stderr.String(), "open the port") {
		t.Errorf("says %q", stderr.String())
	}
}

func TestWhatEndsAProcess(t *testing.T) {
	t.Run("SIGTERM", func(t *testing.T) {
		c := start(t, "store", "-until-eof")
		if err := c.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if code := c.gone(t); code != 0 {
			t.Errorf("exit code %d: %s", code, c.stderr)
		}
		if _, err := os.Stat(c.pidFile); !os.IsNotExist(err) {
			t.Errorf("the pid file outlives a clean stop: %v", err)
		}
	})
	t.Run("end of input", func(t *testing.T) {
		c := start(t, "store", "-until-eof")
		c.stdin.Close()
		if code := c.gone(t); code != 0 {
			t.Errorf("exit code %d: %s", code, c.stderr)
		}
	})
	t.Run("age", func(t *testing.T) {
		// Nobody waits until it serves: it may be too old by then.
		c := &child{Cmd: exec.Command(os.Args[0], "store", "-max-life", "1s"), stderr: &lockedBuffer{}, exited: make(chan struct{})}
		c.Env, c.Stderr = append(os.Environ(), playShop+"=1"), c.stderr
		c.begin(t)
		if code := c.gone(t); code != 0 || !strings.Contains(c.stderr.String(), "lived for 1s") {
			t.Errorf("exit code %d: %s", code, c.stderr)
		}
	})
}

func TestCleanStopLeavesASuccessorsPidFile(t *testing.T) {
	c := start(t, "store")
	if err := writeWhole(c.pidFile, "1\n"); err != nil {
		t.Fatal(err)
	}
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	c.gone(t)
	if text, err := os.ReadFile(c.pidFile); err != nil || string(text) != "1\n" {
		t.Errorf("pid file is %q, %v; want the successor's", text, err)
	}
}

func TestWriteWholeCleansUpAfterFailure(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "taken")
	if err := os.MkdirAll(filepath.Join(target, "in-the-way"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := writeWhole(target, "x"); err == nil {
		t.Fatal("a directory was replaced by a file")
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}
