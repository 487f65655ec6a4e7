// Command bare is a Go program that does nothing until its standard input ends: the
// floor of a plugin's memory.
package main

import "os"

func main() {
	os.Stdout.WriteString("ready\n")
	os.Stdin.Read(make([]byte, 1))
}
