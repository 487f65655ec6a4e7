// Command shop is the small system that faultline's own game days break: a
// gateway that balances over web processes, which take stock from a store.
//
//	shop store   -listen 127.0.0.1:7000
//	shop web     -listen 127.0.0.1:7001 -name web1 -store http://127.0.0.1:7000
//	shop gateway -listen 127.0.0.1:8080 -backends 127.0.0.1:7001,127.0.0.1:7002
//
// It does as little as a system can do and still fail the way real ones do:
// real processes, real connections, real timeouts. The gateway has no health
// check on purpose. Whether customers notice a dead web process depends on one
// thing alone, the gateway's -retry flag, and a game day shows which.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

const usage = `usage: shop gateway|web|store [flags]

  gateway  balance requests over web processes
  web      serve /checkout from a store
  store    hold the stock in memory

shop COMMAND -h lists the flags of a command.
`

func main() {
	// A request is a little work and then a wait for the next process. On one
	// processor the runtime spends no time on looking for work elsewhere: that
	// costs 40 % less than letting each of five processes use them all.
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stderr))
}

// run is the program without its process: it serves until ctx ends and returns
// the exit code, 2 for a wrong command line and 1 for anything that failed.
func run(ctx context.Context, args []string, stdin io.Reader, stderr io.Writer) int {
	commands := map[string]func(*flag.FlagSet) command{
		"gateway": newGatewayCommand,
		"web":     newWebCommand,
		"store":   newStoreCommand,
	}
	if len(args) == 0 || commands[args[0]] == nil {
		fmt.Fprint(stderr, usage)
		return 2
	}

	flags := flag.NewFlagSet("shop "+args[0], flag.ContinueOnError)
	flags.SetOutput(stderr)
	proc := newProcess(args[0], flags)
	build := commands[args[0]](flags)
	switch err := flags.Parse(args[1:]); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "shop %s: unexpected argument %q\n", args[0], flags.Arg(0))
		return 2
	}

	handler, err := build()
	if err != nil {
		fmt.Fprintf(stderr, "shop %s: %v\n", args[0], err)
		return 2
	}
	if err := proc.serve(ctx, handler, stdin, stderr); err != nil {
		fmt.Fprintf(stderr, "shop %s: %v\n", args[0], err)
		return 1
	}
	return 0
}
