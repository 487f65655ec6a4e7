//go:build linux

// Package vm runs test binaries on another kernel than this machine's: the stock one of
// Debian, as it is in clouds, in an emulated computer. It has the modules that faults
// need and that this machine may lack, it needs no rights, and what a test breaks there is
// gone with it.
//
// The computer is emulated, processors and all, and so is slower than this one by far; a
// boot takes some seconds. It has no disk and no network: the test binary, the
// modules and a first process (package guest) come in the initial file system, and what
// the test writes leaves by a serial line.
package vm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/faultline-go/faultline/plugins/internal/vm/guest/order"
	"github.com/faultline-go/faultline/sdk/plugintest"
)

// Inside says whether this process runs in an emulated computer.
func Inside() bool { return os.Getenv(insideEnv) != "" }

const insideEnv = "FAULTLINE_IN_VM"

const (
	emulator = "qemu-system-x86_64"
	// arch is what the emulator emulates, whatever this machine is.
	arch = "amd64"
	// memory of the computer, in megabytes: everything in it lives there.
	memory = 1024
	// processors is one: the kernel changes its own code while it runs, when the first hook
	// of a kind is set, say, and emulated processors that run beside each other do not
	// always see that. Two of them have been caught in the same stale instruction for good.
	processors = 1
)

// Test builds the test binary of a package without the race detector, and runs the tests
// whose names match in an emulated computer. Facilities are those that a test in there
// must not miss; see plugintest.Need.
func Test(t *testing.T, pkg, run string, within time.Duration, facilities ...string) {
	t.Helper()
	var k kernel
	plugintest.Need(t, "vm", func() (err error) {
		if _, err := exec.LookPath(emulator); err != nil {
			return fmt.Errorf("%w: install the package qemu-system-x86", err)
		}
		k, err = findKernel()
		return err
	})
	dir := t.TempDir()
	test, first := filepath.Join(dir, "guest.test"), filepath.Join(dir, "init")
	build(t, "test", "-c", "-o", test, pkg)
	build(t, "build", "-o", first, "github.com/faultline-go/faultline/plugins/internal/vm/guest")
	out, status, err := k.boot(t.Context(), dir, first, test, within, order.Order{
		Args: []string{"-test.v", "-test.run=" + run, "-test.timeout=" + within.String()},
		Env:  []string{plugintest.RequireEnv + "=" + strings.Join(facilities, ","), insideEnv + "=1"},
	})
	switch {
	case err != nil:
		t.Fatal(err)
	case status != 0:
		t.Fatalf("on the other kernel, with status %d:\n%s", status, out)
	case !strings.Contains(out, "--- PASS"):
		t.Fatalf("no test ran on the other kernel:\n%s", out)
	}
	t.Log(out)
}

func build(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// startTime is how long a boot may take on a busy machine.
const startTime = 3 * time.Minute

// boot starts a computer in which first runs a test as it is ordered, and returns what the
// test wrote and its status.
func (k kernel) boot(ctx context.Context, dir, first, test string, within time.Duration, o order.Order) (out string, status int, err error) {
	initial := filepath.Join(dir, "initial")
	if err := k.pack(initial, first, test, o); err != nil {
		return "", 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, within+startTime)
	defer cancel()
	file := func(name string) string { return filepath.Join(dir, name) }
	// Emulated in any case: a machine that is virtual itself may offer /dev/kvm, and the
	// computer then hangs in its first steps, where no other way is tried any more.
	cmd := exec.CommandContext(ctx, emulator, "-accel", "tcg", "-machine", "q35", "-smp", strconv.Itoa(processors), "-m", strconv.Itoa(memory),
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-serial", "file:"+file("console"), "-serial", "file:"+file("out"), "-serial", "file:"+file("status"),
		"-kernel", k.image, "-initrd", initial, "-append", "console=ttyS0 panic=-1 mitigations=off nokaslr")
	var complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &complaint, &complaint
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	ran := cmd.Run()
	written, _ := os.ReadFile(file("out"))
	text, _ := os.ReadFile(file("status"))
	if status, err = strconv.Atoi(strings.TrimSpace(string(text))); err != nil {
		console, _ := os.ReadFile(file("console"))
		return "", 0, fmt.Errorf("the emulated computer has not come to its end: %w; %s\nthe test wrote\n%s\nand the kernel\n%s",
			errors.Join(ran, ctx.Err()), complaint.Bytes(), written, tail(console))
	}
	return string(written), status, nil
}

// tail is the end of what a kernel wrote: its beginning is the same each time.
func tail(b []byte) []byte {
	const most = 8 << 10
	return b[max(0, len(b)-most):]
}
