// Command faultline runs game days: it loads scenarios, breaks things through
// plugins, checks steady state, puts everything back and reports.
//
// The command line only wires: what a command does is in the engine's packages.
// Everything that belongs to the process (arguments, environment, terminal, signals)
// comes in by one door, the type process, so that tests can run commands inside
// themselves.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"
)

// process is what a command may know of the process that it runs in.
type process struct {
	args      []string // without the program's name
	stdin     io.Reader
	stdout    io.Writer
	stderr    io.Writer
	getenv    func(string) string
	lookupenv func(string) (string, bool)
	environ   func() []string

	stdinTTY  bool
	stdoutTTY bool
	stderrTTY bool
	width     func() int // of the terminal, in columns; 0: unknown

	// notify hands the signals that ask for an end to the channel, until stop. From
	// then on a reader of our output that goes away is an error of writing, and does
	// not end the process: a run goes on without it.
	notify func(chan<- os.Signal) (stop func())
	// interrupt is what Ctrl-C does where the terminal does not send a signal for it.
	interrupt func()
}

func main() {
	p := &process{
		args:  os.Args[1:],
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		getenv: os.Getenv, lookupenv: os.LookupEnv, environ: os.Environ,
		stdinTTY:  term.IsTerminal(int(os.Stdin.Fd())),
		stdoutTTY: term.IsTerminal(int(os.Stdout.Fd())),
		stderrTTY: term.IsTerminal(int(os.Stderr.Fd())),
		width: func() int {
			w, _, err := term.GetSize(int(os.Stdout.Fd()))
			if err != nil {
				return 0
			}
			return w
		},
		notify: func(c chan<- os.Signal) func() {
			signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // unlike ignoring it, plugins do not inherit this
			signal.Notify(c, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
			return func() { signal.Stop(c) }
		},
		interrupt: func() { _ = syscall.Kill(os.Getpid(), syscall.SIGINT) },
	}
	os.Exit(command(context.Background(), p))
}
