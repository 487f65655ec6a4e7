//go:build unix

// Package nobody gives tests addresses where connections are refused.
package nobody

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

// Listens is an address of this machine at which nobody listens until the test ends. The
// port is taken: one that was only found to be free may be another test's by now.
func Listens(t testing.TB) (address string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	unix.CloseOnExec(fd)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	at, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", at.(*unix.SockaddrInet4).Port)
}
