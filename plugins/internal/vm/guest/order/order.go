// Package order is what package vm tells the first process of an emulated computer.
package order

// Where things are in the computer.
const (
	File    = "/order.json" // the Order
	Command = "/test"       // the test binary
	Modules = "/modules"    // those that Order.Modules names
	Out     = "/dev/ttyS1"  // to which the test writes
	Status  = "/dev/ttyS2"  // to which its status goes, in decimal
)

// Order says what is to be done there.
type Order struct {
	Modules []string // files, each behind those that it needs
	Args    []string // of the test binary
	Env     []string
}
