// Command target is the process in the containers that the tests break. It ends
// with SIGTERM, unless told to be stubborn; `target resolve NAME` looks a name up, and
// `target make|remove|has FILE` deals with a file.
// It says when it is ready: the first process of a container does not get a signal
// that it has no handler for.
package main

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == "resolve" {
		addresses, err := net.LookupHost(os.Args[2])
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(addresses)
		return
	}
	if len(os.Args) == 3 && os.Args[1] != "stubborn" {
		if err := file(os.Args[1], os.Args[2]); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGINT)
	if len(os.Args) == 2 && os.Args[1] == "stubborn" {
		signal.Ignore(syscall.SIGTERM)
	} else {
		signal.Notify(end, syscall.SIGTERM)
	}
	fmt.Println("ready")
	<-end
}

func file(what, name string) error {
	switch what {
	case "make":
		return os.WriteFile(name, []byte("made"), 0o600)
	case "remove": // also when it is gone
		return os.RemoveAll(name)
	case "has":
		_, err := os.Stat(name)
		return err
	}
	return fmt.Errorf("cannot %s %s", what, name)
}
