package main

import (
	"fmt"
	"sync"

	"github.com/faultline-go/faultline/engine/trust"
)

// builtinPlugins are the checksums of the plugins that were built with this faultline,
// "docker:SHA256,http:SHA256": the linker puts them here, as the Makefile says it to. A
// program that `go build` alone has made knows none.
var builtinPlugins string

// inherited names variables that all plugins inherit: the tests' own.
var inherited []string

// guardedTrust decides for all plugins of a command, and warns of each unchecked one
// once.
type guardedTrust struct {
	rules trust.Rules
	warn  func(string)

	mu     sync.Mutex
	warned map[string]bool
}

func (t *guardedTrust) decide(b trust.Binary) (trust.Basis, error) {
	basis, err := t.rules.Decide(b)
	t.warning(basis, b)
	return basis, err
}

// warning warns once of what is not checked.
func (t *guardedTrust) warning(basis trust.Basis, b trust.Binary) {
	if text := basis.Warning(b); text != "" {
		t.mu.Lock()
		defer t.mu.Unlock()
		if !t.warned[text] {
			t.warned[text] = true
			t.warn(text)
		}
	}
}

// trusted decides which binaries this command may start.
func (g *global) trusted() (func(trust.Binary) (trust.Basis, error), error) {
	if g.trust == nil {
		builtin, err := trust.ParseSums(builtinPlugins)
		if err != nil {
			return nil, err
		}
		g.trust = &guardedTrust{
			rules:  trust.Rules{BuiltIn: builtin, Insecure: g.insecure},
			warn:   func(text string) { fmt.Fprintln(g.process.stderr, "Warning: "+text) },
			warned: map[string]bool{},
		}
	}
	return g.trust.decide, nil
}
