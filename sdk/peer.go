package sdk

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/credentials"
)

// sameUser lets in only connections from processes of the plugin's own user, or of
// root: the socket's private folder is the first lock, this is the second.
type sameUser struct{}

func (sameUser) ServerHandshake(c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return nil, nil, fmt.Errorf("connection over %T refused: only unix sockets are served", c)
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return nil, nil, fmt.Errorf("look at the peer: %w", err)
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		credErr = err
	}
	if credErr != nil {
		return nil, nil, fmt.Errorf("look at the peer: %w", credErr)
	}
	if cred.Uid != 0 && cred.Uid != uint32(os.Getuid()) {
		return nil, nil, fmt.Errorf("connection of user %d refused", cred.Uid)
	}
	return c, peer{}, nil
}

func (sameUser) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("a plugin is no client")
}

func (sameUser) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "peercred"}
}
func (s sameUser) Clone() credentials.TransportCredentials { return s }
func (sameUser) OverrideServerName(string) error           { return nil }

// peer says how a connection was checked.
type peer struct{ credentials.CommonAuthInfo }

func (peer) AuthType() string { return "peercred" }
