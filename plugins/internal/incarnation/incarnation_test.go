package incarnation

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/sdk"
)

// TestMain also plays the process that the test ends.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "live" {
		time.Sleep(5 * time.Minute)
		return
	}
	os.Exit(m.Run())
}

func TestOneLife(t *testing.T) {
	cmd := exec.Command(os.Args[0], "live")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	i, err := Of(cmd.Process.Pid)
	if err != nil || i.PID != cmd.Process.Pid || i.Start == 0 || i.Boot == "" {
		t.Fatalf("%+v, %v", i, err)
	}
	if alive, err := i.Alive(); err != nil || !alive {
		t.Errorf("alive: %v, %v", alive, err)
	}
	for what, other := range map[string]Incarnation{
		"another start": {i.PID, i.Start - 1, i.Boot}, "another boot": {i.PID, i.Start, "x"}, "no pid": {0, i.Start, i.Boot},
	} {
		if h, err := other.Open(); !errors.Is(err, sdk.ErrGone) {
			t.Errorf("%s: opened %v, %v", what, h, err)
		}
	}
	h, err := i.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if err := h.Signal(0); err != nil {
		t.Error(err)
	}
	soon, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := h.Wait(soon); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waited for the living: %v", err)
	}
	if err := h.Signal(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := h.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	// Not waited for yet: its zombie has the pid.
	if alive, err := i.Alive(); err != nil || alive {
		t.Errorf("a zombie is alive: %v, %v", alive, err)
	}
	_ = cmd.Wait()
	if err := h.Signal(unix.SIGKILL); !errors.Is(err, sdk.ErrGone) {
		t.Errorf("signalled the dead: %v", err)
	}
}
