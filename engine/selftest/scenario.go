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
// state that cannot break, because what is tested is not the target.
const (
	lease    = 3 * time.Second
	duration = 3 * time.Second
)

const gameDay = `scenario "selftest" {
  title = "Self-test"
  seed  = 1
  lease = %[1]s
}
probe "tcp" "heart" {
  address = %[2]s
  rate    = 10
  timeout = "1s"
}
steady_state "heart" {
  objective "beats" {
    probe       = probe.tcp.heart
    good        = sample.ok
    target      = 0.5
    judge       = "point"
    min_samples = 5
  }
}
%[3]s
experiment "accident" {
  hypothesis     = "Whoever dies, the fault does not stay"
  steady_state   = [steady_state.heart]
  baseline       = "1s"
  observe        = "1s"
  recover_within = "1s"
  fault %[4]s "victim" {
    target   = target.%[5]s.victim
    duration = %[6]s
%[7]s  }
}
`

// faultsOn are the faults that are tried on each kind of target.
var (
	onProcesses  = []string{"process_pause", "process_kill"}
	onContainers = []string{"docker_pause", "docker_kill", "docker_stop", "docker_disconnect"}
)

func (l *lab) processMaker(fault string) maker {
	return func(ctx context.Context, dir string) (target, string, error) {
		s, err := l.startSleeper(ctx, dir)
		if err != nil {
			return s, "", err
		}
		more := ""
		if fault == "process_kill" {
			var words []string
			for _, w := range s.command() {
				words = append(words, quote(w))
			}
			more = "    restart {\n      command = [" + strings.Join(words, ", ") + "]\n    }\n"
		}
		target := "target \"process\" \"victim\" {\n  match { pid_file = " + quote(s.pidFile) + " }\n}"
		path, err := l.write(dir, fault, "process", target, more)
		return s, path, err
	}
}

func (l *lab) containerMaker(fault string) maker {
	return func(ctx context.Context, dir string) (target, string, error) {
		c, err := l.dock.take(ctx)
		if err != nil {
			return nil, "", err
		}
		target := "target \"docker_container\" \"victim\" {\n  match { name = " + quote(c.name) + " }\n}"
		path, err := l.write(dir, fault, "docker_container", target, "")
		return c, path, err
	}
}

func (l *lab) write(dir, fault, kind, target, more string) (string, error) {
	path := filepath.Join(dir, "selftest.hcl")
	text := fmt.Sprintf(gameDay, quote(lease.String()), quote(l.heart.address()), target, quote(fault), kind, quote(duration.String()), more)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return "", fmt.Errorf("write the scenario: %w", err)
	}
	return path, nil
}

// quote writes a string as HCL does.
func quote(s string) string {
	return strings.NewReplacer("${", "$${", "%{", "%%{").Replace(fmt.Sprintf("%q", s))
}
