package main

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/faultline-go/faultline/scenarios/quickstart"
)

// The planned phases of the game day that overhead runs.
const (
	phaseBaseline = 2 * time.Second
	phaseFault    = 2 * time.Second
	phaseObserve  = 6 * time.Second // not below the window that shows a steady state
)

const overheadScenario = `scenario "overhead" {}
variable "url" { type = string }
variable "pid_file" { type = string }
probe "http" "p" {
  url  = var.url
  rate = 50
}
steady_state "s" {
  objective "o" {
    probe  = probe.http.p
    good   = sample.ok
    target = 0.5
  }
}
target "process" "t" {
  match { pid_file = var.pid_file }
}
experiment "e" {
  steady_state = [steady_state.s]
  baseline     = "2s"
  observe      = "6s"
  fault "process_pause" "f" {
    target   = target.process.t
    duration = "2s"
  }
}
`

// overhead measures a whole `faultline run` with one fault and two plugins, minus
// the phases that the scenario asks for.
func (b *benches) overhead() (_ []row, err error) {
	shop, err := quickstart.Start(context.Background(), filepath.Join(b.bin, "shop"), filepath.Join(b.dir, "shop"), true)
	if err != nil {
		return nil, err
	}
	defer func() {
		if e := shop.Stop(); err == nil {
			err = e
		}
	}()
	path := filepath.Join(b.dir, "overhead.hcl")
	if err := os.WriteFile(path, []byte(overheadScenario), 0o644); err != nil {
		return nil, err
	}
	args := []string{path, "-var", "url=" + shop.URL() + "/checkout", "-var", "pid_file=" + filepath.Join(shop.Dir(), "web2.pid")}
	var over []time.Duration
	for range 3 {
		took, _, err := timed(b.command(append([]string{"run"}, args...)...))
		if err != nil {
			return nil, err
		}
		over = append(over, took-phaseBaseline-phaseFault-phaseObserve)
	}
	planning, err := b.repeat(5, append([]string{"plan"}, args...)...)
	return []row{{"run, on top of its phases (1 fault, 2 plugins)", ms(median(over)), "plan alone: " + ms(planning), "< 150 ms"}}, err
}
