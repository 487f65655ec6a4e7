// Package scenarios holds the game days that run out of the box. Each folder is
// a scenario with the system that it breaks; the quickstart's is carried in the
// binary, so that `faultline demo` needs no checkout.
package scenarios

import (
	"embed"
	"io/fs"
)

//go:embed quickstart/*.hcl
var quickstart embed.FS

// Quickstart returns the files of the quickstart game day, as they stand in its
// folder.
func Quickstart() fs.FS {
	folder, err := fs.Sub(quickstart, "quickstart")
	if err != nil {
		panic(err) // the name is a constant and valid
	}
	return folder
}
