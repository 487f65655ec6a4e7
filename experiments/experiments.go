// Package experiments is the catalogue: experiments that the field knows by name, as
// scenarios to start from. `faultline new -from NAME` writes one out; what differs
// between systems is in its variables.
package experiments

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
)

//go:embed */*.hcl
var files embed.FS

// Names lists the catalogue, sorted.
func Names() []string {
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		panic(err) // the root of an embedded file system can be read
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// Read returns the scenario of that name. The error lists the names that there are.
func Read(name string) ([]byte, error) {
	raw, err := files.ReadFile(name + "/" + name + ".hcl")
	if err != nil {
		return nil, fmt.Errorf("no experiment %q in the catalogue; it has %s", name, strings.Join(Names(), ", "))
	}
	return raw, nil
}
