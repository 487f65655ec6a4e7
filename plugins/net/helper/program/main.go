//go:build linux

// Command helper keeps network faults beside a container, in its network namespace. The
// plugin carries it along and sends it to Docker engines; nobody starts it by hand.
package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/faultline-go/faultline/plugins/net/hold"
)

func main() {
	// The end of the input is the order to end, and so is a stop of the container.
	signal.Ignore(syscall.SIGHUP, syscall.SIGPIPE)
	stopped := make(chan os.Signal, 1)
	signal.Notify(stopped, syscall.SIGTERM, syscall.SIGINT)
	orders, input := io.Pipe() // a read of the standard input cannot be broken off
	go func() {
		_, err := io.Copy(input, os.Stdin)
		input.CloseWithError(err)
	}()
	go func() {
		<-stopped
		input.Close()
	}()
	if err := hold.Serve(orders, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
