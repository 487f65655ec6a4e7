//go:build linux

// Package uml runs test binaries in user-mode Linux, for what this machine's kernel lacks:
// Debian's kernel of that kind is a program, needs no rights, starts within seconds, and
// has all modules.
//
// The guest sees the machine's files, which it cannot change, and has /run, /tmp and /dev
// of its own. It has no network but the one that a test makes.
package uml

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

	"github.com/faultline-go/faultline/sdk/plugintest"
)

const (
	kernel  = "/usr/bin/linux.uml"
	modules = "/usr/lib/uml/modules"
)

// Inside says whether this process runs in a guest.
func Inside() bool { return os.Getenv(guestEnv) != "" }

const guestEnv = "FAULTLINE_IN_UML"

// Test builds the test binary of a package without the race detector, and runs the tests
// whose names match in a guest. Facilities are those that a test in the guest must not
// miss; see plugintest.Need.
func Test(t *testing.T, pkg, run string, within time.Duration, facilities ...string) {
	t.Helper()
	plugintest.Need(t, "uml", func() error {
		for _, file := range []string{kernel, modules} {
			if _, err := os.Stat(file); err != nil {
				return fmt.Errorf("%w: install the package user-mode-linux", err)
			}
		}
		return nil
	})
	dir := t.TempDir()
	binary := filepath.Join(dir, "guest.test")
	build := exec.Command("go", "test", "-c", "-o", binary, pkg)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", pkg, err, out)
	}
	out, status, err := boot(t, dir, within, plugintest.RequireEnv+"="+strings.Join(facilities, ","),
		binary, "-test.v", "-test.run="+run, "-test.timeout="+within.String())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out, "--- PASS") && status == 0 {
		t.Fatalf("no test ran in the guest:\n%s", out)
	}
	if status != 0 {
		t.Fatalf("in the guest, with status %d:\n%s", status, out)
	}
	t.Log(out)
}

// boot starts a guest that runs one command, and returns what that wrote and its status.
func boot(t *testing.T, dir string, within time.Duration, env string, command ...string) (out string, status int, err error) {
	t.Helper()
	here, err := os.Getwd()
	if err != nil {
		return "", 0, err
	}
	var words []string
	for _, w := range command {
		words = append(words, "'"+strings.ReplaceAll(w, "'", `'\''`)+"'")
	}
	script := strings.NewReplacer(
		"@FOLDER@", dir, "@HERE@", here, "@MODULES@", modules, "@ENV@", env+" "+guestEnv+"=1", "@COMMAND@", strings.Join(words, " "),
	).Replace(initScript)
	first := filepath.Join(dir, "init")
	if err := os.WriteFile(first, []byte(script), 0o700); err != nil {
		return "", 0, err
	}
	ctx, cancel := context.WithTimeout(t.Context(), within+time.Minute)
	defer cancel()
	var console bytes.Buffer
	cmd := exec.CommandContext(ctx, kernel,
		"mem=512M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", "init="+first,
		"con=null", "con0=null,fd:1", "quiet", "umid=faultline"+strconv.Itoa(os.Getpid()), "uml_dir="+dir)
	cmd.Stdout, cmd.Stderr = &console, &console
	// The guest is several processes, which go together.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	ran := cmd.Run()
	written, _ := os.ReadFile(filepath.Join(dir, "out"))
	text, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return "", 0, fmt.Errorf("the guest has not come to its end: %w; it wrote %s\nand on its console\n%s", errors.Join(ran, ctx.Err()), written, console.Bytes())
	}
	status, err = strconv.Atoi(strings.TrimSpace(string(text)))
	return string(written), status, err
}

// initScript is the guest's first process. Modules are loaded when the kernel asks for
// them, from where the package has them.
const initScript = `#!/bin/sh
PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mount -t devtmpfs devtmpfs /dev 2>/dev/null
mkdir -p /run/lib /run/out
ln -s @MODULES@ /run/lib/modules
mount -t hostfs -o @FOLDER@ none /run/out
printf '#!/bin/sh\nexec modprobe -d /run "$@"\n' > /run/modprobe
chmod 755 /run/modprobe
echo /run/modprobe > /proc/sys/kernel/modprobe
/run/modprobe sch_netem
ip link set lo up
cd @HERE@
set -- @COMMAND@
cp "$1" /run/command 2>/dev/null || cp "/run/out/${1##*/}" /run/command
shift
env PATH="$PATH" HOME=/run TMPDIR=/tmp @ENV@ /run/command "$@" > /run/out/out 2>&1 < /dev/null
echo $? > /run/out/status
sync
poweroff -f
`
