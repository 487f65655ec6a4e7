// Package experiments is the catalogue: experiments that the field knows by name, for
// scenarios to use: experiment "x" { source = "catalog:chaos-monkey" }.
//
// An experiment is a folder: *.hcl files with one experiment block and the variables
// that are its inputs, a README.md that explains it, and in example/ a scenario that
// uses it, which `faultline new -from NAME` writes out. The package is data alone; the
// scenario language reads it.
package experiments

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
)

//go:embed */*.hcl */README.md */example/*.hcl
var files embed.FS

// FS has a folder for each experiment.
func FS() fs.FS { return files }

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

// Example returns the scenario that shows how to use an experiment. The error lists the
// names that there are.
func Example(name string) ([]byte, error) {
	raw, err := files.ReadFile(name + "/example/" + name + ".hcl")
	if err != nil {
		return nil, fmt.Errorf("no experiment %q in the catalogue; it has %s", name, strings.Join(Names(), ", "))
	}
	return raw, nil
}

// Title says in a few words what an experiment does; empty when there is none of that
// name.
func Title(name string) string {
	raw, err := files.ReadFile(name + "/README.md")
	if err != nil {
		return ""
	}
	return TitleOf(string(raw))
}

// TitleOf is what the heading of a README says after the name: "# name: title".
func TitleOf(readme string) string {
	line, _, _ := strings.Cut(readme, "\n")
	_, title, _ := strings.Cut(line, ": ")
	return strings.TrimSpace(title)
}
