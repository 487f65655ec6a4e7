package main

import (
	"fmt"
	"io"
	"sync"

	"github.com/faultline-go/faultline/engine/host/output"
	"github.com/faultline-go/faultline/engine/trust"
)

// builtinPlugins are the checksums of the plugins that were built with this faultline,
// "docker:SHA256,http:SHA256": the linker puts them here, as the Makefile says it to. A
// program that `go build` alone has made knows none.
var builtinPlugins string

// inherited names variables that all plugins inherit: the tests' own.
var inherited []string

// warnings are said once each, by all hosts of a command.
type warnings struct {
	say  func(string)
	mu   sync.Mutex
	said map[string]bool
}

func newWarnings(w io.Writer) *warnings {
	return &warnings{say: func(text string) { fmt.Fprintln(w, "Warning: "+output.Printable(text, false)) }, said: map[string]bool{}}
}

func (w *warnings) once(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if text != "" && !w.said[text] {
		w.said[text] = true
		w.say(text)
	}
}

// trusted decides which binaries may start with what was installed for a scenario.
func (g *global) trusted(in *installed) (func(trust.Binary) (trust.Basis, error), error) {
	builtin, err := trust.ParseSums(builtinPlugins)
	if err != nil {
		return nil, err
	}
	rules := trust.Rules{
		BuiltIn: builtin, Insecure: g.insecure, Locked: map[string][]string{}, LockFile: in.lock.Path,
		Overrides: in.config.DevOverrides,
	}
	for _, p := range in.lock.Plugins {
		rules.Locked[p.Name] = in.lock.Sums(p.Name)
	}
	return func(b trust.Binary) (trust.Basis, error) {
		basis, err := rules.Decide(b)
		if err == nil {
			err = g.allowed.Allow(b.Name, basis)
		}
		if err != nil {
			return "", err
		}
		g.warnings.once(basis.Warning(b))
		return basis, nil
	}, nil
}
