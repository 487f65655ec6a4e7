package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/faultline-go/faultline/sdk/wire"
)

// Serve runs a plugin until its engine is gone and every fault that it holds is put
// back; it does not return. It belongs in main, which does nothing else.
//
// Run by hand, the binary says what it is; with -describe it prints its
// description as JSON.
func Serve(p Plugin) {
	s, err := newServer(p)
	if err != nil {
		fmt.Fprintf(os.Stderr, "this plugin is built wrong: %v\n", err)
		os.Exit(1)
	}
	if os.Getenv(wire.CookieKey) != wire.CookieValue {
		os.Exit(byHand(s, os.Args[1:], os.Stdout))
	}
	if err := guardStdout(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	slog.SetDefault(slog.New(slog.NewTextHandler(os.NewFile(2, "stderr"), nil)))
	go s.endWithEngine()
	handshake := os.Stdout
	os.Stdout = os.NewFile(1, "standard output") // which the engine reads with standard error
	if err := serveEngine(s, handshake, os.Getenv, grpc.MaxRecvMsgSize(wire.MaxMessage), grpc.Creds(sameUser{})); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// The engine has asked for the end; it has reverted before it did, so that this
	// finds something to do only when the engine could not.
	_ = s.Close(context.Background())
	os.Exit(0)
}

func byHand(s *server, args []string, stdout io.Writer) int {
	if len(args) == 1 && (args[0] == "-describe" || args[0] == "--describe") {
		e := json.NewEncoder(stdout)
		e.SetIndent("", "  ")
		if err := e.Encode(s.desc); err != nil {
			return 1
		}
		return 0
	}
	fmt.Fprintf(stdout, "This is the faultline plugin %q, version %s: %s\nfaultline starts it by itself; `faultline plugin list` shows what it offers, -describe prints it as JSON.\n",
		s.desc.Name, s.desc.Version, s.desc.Doc)
	return 2
}

// guardStdout gives the handshake a descriptor of its own and sends everything else
// that is printed on descriptor 1 to standard error: a stray print of the author's
// code, or of a library, would otherwise spoil the handshake.
func guardStdout() error {
	own, err := unix.FcntlInt(1, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return fmt.Errorf("move standard output away: %w", err)
	}
	if err := unix.Dup3(2, 1, 0); err != nil {
		return fmt.Errorf("move standard output away: %w", err)
	}
	os.Stdout = os.NewFile(uintptr(own), "handshake")
	return nil
}

// endWithEngine ends the process when its engine is gone, after putting everything
// back. The engine holds the other end of standard input and writes nothing to it:
// its end is the engine's end. A signal means the same; SIGHUP and SIGINT of a
// terminal are the engine's to deal with.
func (s *server) endWithEngine() {
	// Caught and dropped, not ignored: programs that the plugin starts would inherit
	// an ignored signal.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP, syscall.SIGPIPE)
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	gone := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(gone)
	}()
	select {
	case <-gone:
	case <-term:
	}
	_ = s.Close(context.Background())
	os.Exit(0)
}

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
