package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// real is the programs as users have them, built when a test first asks for them.
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
		programs := map[string]string{"faultline": ".", "shop": "../../scenarios/quickstart/shop"}
		for _, plugin := range []string{"docker", "http", "process"} {
			programs["faultline-plugin-"+plugin] = "../../plugins/" + plugin
		}
		for name, source := range programs {
			build := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(r.dir, name), source)
			build.Env = append(os.Environ(), "CGO_ENABLED=0")
			if out, err := build.CombinedOutput(); err != nil {
				r.err = fmt.Errorf("build %s: %w: %s", name, err, out)
				return
			}
		}
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
