//go:build linux

// Command guest is the first process of an emulated computer: it makes the place fit for
// a test binary, runs it, says how it ended, and switches the computer off.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/plugins/internal/vm/guest/order"
)

func main() {
	// Without a status, package vm shows what the kernel and we have written.
	if err := run(); err != nil {
		fmt.Println("guest:", err) // on the console, the kernel gave it to us
	}
	unix.Sync()
	fmt.Println("guest: off:", unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF))
}

func run() error {
	var o order.Order
	raw, err := os.ReadFile(order.File)
	if err == nil {
		err = json.Unmarshal(raw, &o)
	}
	if err = errors.Join(err, furnish()); err != nil {
		return err
	}
	for _, name := range o.Modules {
		if err := load(filepath.Join(order.Modules, name)); err != nil {
			return fmt.Errorf("load module %s: %w", name, err)
		}
	}
	if err := loopback(); err != nil {
		return fmt.Errorf("switch the loopback on: %w", err)
	}
	out, err := line(order.Out)
	if err != nil {
		return err
	}
	status, err := line(order.Status)
	if err != nil {
		return err
	}
	test := exec.Command(order.Command, o.Args...)
	test.Dir = "/tmp"
	test.Env = append([]string{"PATH=/bin", "HOME=/root", "TMPDIR=/tmp"}, o.Env...)
	test.Stdout, test.Stderr = out, out
	var ended *exec.ExitError
	if err := test.Run(); err != nil && !errors.As(err, &ended) {
		return err
	}
	_, err = fmt.Fprintln(status, test.ProcessState.ExitCode())
	// What is on the way has to be out before the computer is off.
	return errors.Join(err, drained(out), drained(status))
}

// furnish mounts what programs expect.
func furnish() error {
	for _, m := range []struct{ kind, at string }{
		{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", "/run"}, {"tmpfs", "/tmp"}, {"cgroup2", "/sys/fs/cgroup"},
	} {
		if err := os.MkdirAll(m.at, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.kind, m.at, m.kind, 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.at, err)
		}
	}
	return errors.Join(os.MkdirAll("/root", 0o700), os.MkdirAll("/etc", 0o755), os.Symlink("/proc/self/fd", "/dev/fd"))
}

func load(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.FinitModule(int(f.Fd()), "", 0)
}

func loopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
}

// line opens a serial line that leaves all bytes as they are.
func line(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	t, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err == nil {
		t.Oflag &^= unix.OPOST
		t.Lflag &^= unix.ECHO
		err = unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, t)
	}
	if err != nil {
		return nil, fmt.Errorf("set up %s: %w", name, err)
	}
	return f, nil
}

func drained(f *os.File) error { return unix.IoctlSetInt(int(f.Fd()), unix.TCSBRK, 1) }
