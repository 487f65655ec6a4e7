//go:build linux

package relay

import (
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// Stream is an end of a connection: a *net.TCPConn or a *net.UnixConn.
type Stream interface {
	net.Conn
	syscall.Conn
	CloseWrite() error
}

// awaitData waits until there is something to read, data or its end, and reads
// nothing of it.
func awaitData(s Stream) error {
	raw, err := s.SyscallConn()
	if err != nil {
		return fmt.Errorf("wait for data: %w", err)
	}
	var one [1]byte
	return raw.Read(func(fd uintptr) bool {
		for {
			_, _, err := unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
			if err != unix.EINTR {
				return err != unix.EAGAIN
			}
		}
	})
}

// abort makes closing a connection reset it.
func abort(s Stream) {
	if tcp, ok := s.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // fails only for a closed connection
	}
}
