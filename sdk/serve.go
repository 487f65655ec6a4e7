package sdk

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"

	"github.com/faultline-go/faultline/sdk/wire"
)

// Serve runs a plugin until its engine is gone and every fault that it holds is put
// back; it does not return. It belongs in main, which does nothing else.
//
// Run by hand, the binary says what it is; with -describe it prints its description as
// JSON, and with -serve it serves engines that attach to it, for a debugger.
func Serve(p Plugin) {
	s, err := newServer(p)
	if err != nil {
		fmt.Fprintf(os.Stderr, "this plugin is built wrong: %v\n", err)
		os.Exit(1)
	}
	if os.Getenv(wire.CookieKey) != wire.CookieValue {
		os.Exit(byHand(s, os.Args[1:], os.Stdout))
	}
	handshake, err := guardStdout()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	setLogger(os.NewFile(2, "stderr"))
	s.leases.shared = os.Getenv(wire.SharedVariable) != ""
	go s.endWithEngine()
	if err := serveEngine(s, handshake, os.Getenv); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// The engine has asked for the end; it has reverted before it did, so that this
	// finds something to do only when the engine could not.
	_ = s.Close(context.Background())
	os.Exit(0)
}

// newGRPC makes the server of both ways to serve.
func newGRPC(opts []grpc.ServerOption) *grpc.Server {
	return grpc.NewServer(append(opts, grpc.MaxRecvMsgSize(wire.MaxMessage), grpc.Creds(sameUser{}))...)
}

func byHand(s *server, args []string, stdout io.Writer) int {
	what := ""
	if len(args) == 1 {
		what = strings.TrimPrefix(args[0], "-")
	}
	switch what {
	case "-describe", "describe":
		e := json.NewEncoder(stdout)
		e.SetIndent("", "  ")
		if err := e.Encode(s.desc); err != nil {
			return 1
		}
		return 0
	case "-serve", "serve":
		if err := s.serveAttached(stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	}
	fmt.Fprintf(stdout, "This is the faultline plugin %q, version %s: %s\nfaultline starts it by itself; `faultline plugin list` shows what it offers, -describe prints it as JSON,\n-serve serves it for a debugger.\n",
		s.desc.Name, s.desc.Version, s.desc.Doc)
	return 2
}

// guardStdout gives the handshake a descriptor of its own and sends everything else
// that is printed on descriptor 1 to standard error: a stray print of the author's
// code, or of a library, would otherwise spoil the handshake.
func guardStdout() (handshake *os.File, err error) {
	own, err := unix.FcntlInt(1, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("move standard output away: %w", err)
	}
	if err := unix.Dup3(2, 1, 0); err != nil {
		return nil, fmt.Errorf("move standard output away: %w", err)
	}
	return os.NewFile(uintptr(own), "handshake"), nil
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
