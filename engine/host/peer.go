package host

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// servedBy says which process serves the socket.
func servedBy(ctx context.Context, address string) (int, error) {
	c, err := dialOwn(ctx, address)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	peer, err := peerOf(c)
	if err != nil {
		return 0, err
	}
	return int(peer.Pid), nil
}

// dialOwn connects to a socket that only the same user can have made: neither its folder
// nor who listens there may be another's.
func dialOwn(ctx context.Context, address string) (net.Conn, error) {
	folder := filepath.Dir(address)
	info, err := os.Lstat(folder)
	if err != nil {
		return nil, fmt.Errorf("it is not served any more: %w", err)
	}
	if !info.IsDir() || info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("others may enter the folder of its socket, %s", folder)
	}
	c, err := (&net.Dialer{}).DialContext(ctx, "unix", address)
	if err != nil {
		return nil, fmt.Errorf("it is not served any more: %w", err)
	}
	peer, err := peerOf(c)
	if err == nil && peer.Uid != 0 && int(peer.Uid) != os.Getuid() {
		err = fmt.Errorf("it is served by user %d, not by this one", peer.Uid)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func peerOf(c net.Conn) (peer *unix.Ucred, err error) {
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err == nil {
		var inner error
		if err = raw.Control(func(fd uintptr) {
			peer, inner = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		}); err == nil {
			err = inner
		}
	}
	if err != nil {
		return nil, fmt.Errorf("look at who serves it: %w", err)
	}
	return peer, nil
}
