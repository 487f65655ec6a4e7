package main

import (
	"os"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/faultline-go/faultline/internal/programs"
)

// real is the programs as users have them, there when a test first asks for them.
var real realPrograms

type realPrograms struct {
	once sync.Once
	dir  string
	err  error
}

// build returns the folder of the programs.
func (r *realPrograms) build() (string, error) {
	r.once.Do(func() {
		if r.dir, r.err = os.MkdirTemp("", "faultline-real-"); r.err != nil {
			return
		}
		r.err = programs.Put(r.dir, "faultline", "shop", "faultline-plugin-docker", "faultline-plugin-http", "faultline-plugin-process")
	})
	return r.dir, r.err
}

func (r *realPrograms) remove() {
	if r.dir != "" {
		os.RemoveAll(r.dir)
	}
}

// realCommand sets $REAL to the folder of the real programs.
func realCommand(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 0 {
		ts.Fatalf("usage: real")
	}
	dir, err := real.build()
	ts.Check(err)
	ts.Setenv("REAL", dir)
}
