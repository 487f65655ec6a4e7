package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"
)

// A command turns its parsed flags into what the process serves.
type command func() (http.Handler, error)

// drain bounds how long a stopping process waits for requests under way.
const drain = time.Second

// process is the life that every part of the shop shares: where it listens, how
// others find it, and what ends it.
type process struct {
	role     string
	listen   string
	addrFile string
	pidFile  string
	untilEOF bool
	maxLife  time.Duration
}

func newProcess(role string, flags *flag.FlagSet) *process {
	p := &process{role: role}
	flags.StringVar(&p.listen, "listen", "127.0.0.1:0", "`address` to listen on; port 0 takes a free one")
	flags.StringVar(&p.addrFile, "addr-file", "", "write the address to this `file` once serving")
	flags.StringVar(&p.pidFile, "pid-file", "", "write the process id to this `file` once serving")
	flags.BoolVar(&p.untilEOF, "until-eof", false, "stop when standard input ends, so that the process dies with its parent")
	flags.DurationVar(&p.maxLife, "max-life", 0, "stop after this `time`; 0 means never")
	return p
}

// serve answers requests until ctx ends, the standard input ends (with
// -until-eof) or the process has lived its time. Requests under way then get a
// moment to finish. The address and pid files appear only when connections are
// accepted, the pid file last; a clean stop takes its own pid file away.
func (p *process) serve(ctx context.Context, handler http.Handler, stdin io.Reader, stderr io.Writer) error {
	listener, err := net.Listen("tcp", p.listen)
	if err != nil {
		return fmt.Errorf("open the port: %w", err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()

	address, pid := listener.Addr().String(), strconv.Itoa(os.Getpid())
	if err := p.announce(address, pid); err != nil {
		server.Close()
		<-served
		return err
	}
	defer p.withdraw(pid)
	fmt.Fprintf(stderr, "shop %s: pid %s serves %s\n", p.role, pid, address)

	why, err := p.wait(ctx, stdin, served)
	if err != nil {
		return err
	}
	fmt.Fprintf(stderr, "shop %s: pid %s stops: %s\n", p.role, pid, why)
	draining, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	if err := server.Shutdown(draining); errors.Is(err, context.DeadlineExceeded) {
		// Whoever still holds a connection has had its time.
		err = server.Close()
		if err != nil {
			return fmt.Errorf("close connections: %w", err)
		}
	} else if err != nil {
		return fmt.Errorf("stop serving: %w", err)
	}
	<-served
	return nil
}

// wait returns why the process should stop, or the error that stopped it.
func (p *process) wait(ctx context.Context, stdin io.Reader, served <-chan error) (string, error) {
	var parentGone chan struct{}
	if p.untilEOF {
		parentGone = make(chan struct{})
		go func() {
			defer close(parentGone)
			_, _ = io.Copy(io.Discard, stdin) // an unreadable input is as good as an ended one
		}()
	}
	var old <-chan time.Time
	if p.maxLife > 0 {
		timer := time.NewTimer(p.maxLife)
		defer timer.Stop()
		old = timer.C
	}
	select {
	case <-ctx.Done():
		return "told to", nil
	case <-parentGone:
		return "standard input ended", nil
	case <-old:
		return "lived for " + p.maxLife.String(), nil
	case err := <-served:
		return "", fmt.Errorf("serve: %w", err)
	}
}

func (p *process) announce(address, pid string) error {
	if p.addrFile != "" {
		if err := writeWhole(p.addrFile, address+"\n"); err != nil {
			return fmt.Errorf("write the address file: %w", err)
		}
	}
	if p.pidFile != "" {
		if err := writeWhole(p.pidFile, pid+"\n"); err != nil {
			return fmt.Errorf("write the pid file: %w", err)
		}
	}
	return nil
}

// withdraw removes the pid file unless a successor has written it meanwhile.
func (p *process) withdraw(pid string) {
	if p.pidFile == "" {
		return
	}
	if text, err := os.ReadFile(p.pidFile); err == nil && string(text) == pid+"\n" {
		os.Remove(p.pidFile)
	}
}
