package sdk

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/faultline-go/faultline/sdk/wire"
)

// serveAttached serves engines that were told of this process, one after the other, until
// a signal asks for its end: it is started by a person, under a debugger perhaps. What an
// engine holds ends with its connection, as ever; the end of standard input means nothing
// here. It prints what tells an engine.
func (s *server) serveAttached(stdout io.Writer) error {
	dir, err := os.MkdirTemp(shortTemp(), "faultline-")
	if err != nil {
		return fmt.Errorf("make a folder for the socket: %w", err)
	}
	defer os.RemoveAll(dir)
	address := filepath.Join(dir, "plugin.sock")
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "unix", address)
	if err != nil {
		return fmt.Errorf("listen at the socket: %w", err)
	}
	at := wire.Reattach{Protocol: wire.Protocol, Network: "unix", Address: address, PID: os.Getpid()}
	at.Binary, _ = os.Executable() // without it a run cannot be recovered once this process is gone
	line, err := wire.Export(s.desc.Name, at)
	if err != nil {
		return err
	}
	setLogger(os.Stderr)
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGINT, syscall.SIGTERM)

	s.leases.shared = true
	g := newGRPC(nil)
	wire.Register(g, s)
	failed := make(chan error, 1)
	go func() { failed <- g.Serve(l) }()
	fmt.Fprintf(stdout, "Plugin %s is served; in the terminal where faultline runs:\n\n  %s\n\nCtrl-C puts back what it holds, and ends it.\n", s.desc.Name, line)
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-end:
	}
	signal.Stop(end) // the next one ends it at once
	err = s.Close(context.Background())
	g.Stop()
	return err
}

// shortTemp is a folder whose name leaves room for that of a socket, which the system
// limits to 108 bytes.
func shortTemp() string {
	if dir := os.TempDir(); len(dir) < 60 {
		return dir
	}
	return "/tmp"
}
