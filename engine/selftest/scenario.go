package selftest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The game day of every case: short, with the shortest lease there is, and a steady
// state that cannot break, because what is tested is not the target. It measures seldom,
// and has much time to be steady again, so that a machine that is busy with many cases
// at once keeps up: a sample may be late by as much as lies between two.
const lease = 3 * time.Second

// duration is how long the fault of a case is planned to last.
func (c Case) duration() time.Duration {
	if c.Story == SecondRun {
		return 20 * time.Second // the second run must come to its own fault meanwhile
	}
	return 3 * time.Second
}

const gameDay = `scenario "selftest" {
  title = "Self-test"
  seed  = 1
  lease = %[1]s
}
probe "tcp" "heart" {
  address = %[2]s
  rate    = 4
  timeout = "1s"
}
steady_state "heart" {
  objective "beats" {
    probe       = probe.tcp.heart
    good        = sample.ok
    target      = 0.5
    judge       = "point"
    min_samples = 3
  }
}
%[3]s
experiment "accident" {
  hypothesis     = "Whoever dies, the fault does not stay"
  steady_state   = [steady_state.heart]
  baseline       = "1s"
  observe        = "1s"
  recover_within = "10s"
%[4]s}
`

const faultBlock = `  fault %[1]s "victim" {
    target   = target.%[2]s.victim
    duration = %[3]s
%[4]s  }
`

// faultsOn are the faults that are tried on each kind of target.
var (
	onProcesses  = []string{"process_pause", "process_kill"}
	onContainers = []string{"docker_pause", "docker_kill", "docker_stop", "docker_disconnect"}
)

func (l *lab) processMaker(fault string) maker {
	return func(ctx context.Context, c Case, dir string) (target, string, error) {
		s, err := l.startSleeper(ctx, dir)
		if err != nil {
			return s, "", err
		}
		more := ""
		switch {
		case c.Story == Supervised:
			more = "    restart {\n      supervisor = true\n    }\n"
		case fault == "process_kill":
			var words []string
			for _, w := range s.command() {
				words = append(words, quote(w))
			}
			more = "    restart {\n      command = [" + strings.Join(words, ", ") + "]\n    }\n"
		}
		target := "target \"process\" \"victim\" {\n  match { pid_file = " + quote(s.pidFile) + " }\n}"
		path, err := l.write(dir, target, block(fault, "process", c.duration(), more))
		return s, path, err
	}
}

func (l *lab) containerMaker(fault string) maker {
	return func(ctx context.Context, c Case, dir string) (target, string, error) {
		x, err := l.dock.take(ctx)
		if err != nil {
			return nil, "", err
		}
		target := "target \"docker_container\" \"victim\" {\n  match { name = " + quote(x.name) + " }\n}"
		faults := block(fault, "docker_container", c.duration(), "")
		if c.Story == TwoFaults {
			faults += block("docker_disconnect", "docker_container", c.duration(), "")
		}
		path, err := l.write(dir, target, faults)
		return x, path, err
	}
}

func block(fault, kind string, duration time.Duration, more string) string {
	return fmt.Sprintf(faultBlock, quote(fault), kind, quote(duration.String()), more)
}

func (l *lab) write(dir, target, faults string) (string, error) {
	path := filepath.Join(dir, "selftest.hcl")
	text := fmt.Sprintf(gameDay, quote(lease.String()), quote(l.heart.address()), target, faults)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return "", fmt.Errorf("write the scenario: %w", err)
	}
	return path, nil
}

// quote writes a string as HCL does.
func quote(s string) string {
	return strings.NewReplacer("${", "$${", "%{", "%%{").Replace(fmt.Sprintf("%q", s))
}
