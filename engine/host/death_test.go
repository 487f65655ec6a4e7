package host

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// engine starts this binary as an engine that has injected a fault.
func engine(t *testing.T, mark string) (*exec.Cmd, ready) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), plays+"=engine", "HOST_TEST_DIR="+installed(t, "testfile"), "HOST_TEST_MARK="+mark)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var r ready
	if err := json.Unmarshal([]byte(line), &r); err != nil {
		t.Fatalf("the engine said %q", line)
	}
	return cmd, r
}

func TestTheEngineDies(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "mark")
	cmd, r := engine(t, mark)
	if !exists(mark) || dead(r.Plugin) {
		t.Fatal("the fault is not in, or the plugin is dead")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the plugin has put back", func() bool { return !exists(mark) })
	eventually(t, "the plugin is gone", func() bool { return dead(r.Plugin) })
}

func TestThePluginInheritsNoLock(t *testing.T) {
	_, r := engine(t, filepath.Join(t.TempDir(), "mark"))
	t.Cleanup(func() { _ = unix.Kill(r.Plugin, unix.SIGTERM) })
	for open := range strings.Lines(r.Open) {
		open = strings.TrimSpace(open)
		own := open == "/dev/null" || strings.HasPrefix(open, "/proc/") || strings.HasPrefix(open, "/sys/") // its Go runtime's
		if strings.HasPrefix(open, "/") && !own {
			t.Errorf("the plugin has inherited %s", open)
		}
	}
}
