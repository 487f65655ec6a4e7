package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// command is faultline with a state and cache folder of the bench's own.
func (b *benches) command(args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(b.bin, "faultline"), args...)
	cmd.Env = append(os.Environ(), "FAULTLINE_STATE_DIR="+filepath.Join(b.dir, "state"), "XDG_CACHE_HOME="+filepath.Join(b.dir, "cache"))
	return cmd
}

// timed runs a command and returns its wall time and its largest resident set.
func timed(cmd *exec.Cmd) (time.Duration, int64, error) {
	began := time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(began)
	if err != nil {
		return 0, 0, fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return took, usage.Maxrss << 10, nil
}

func (b *benches) repeat(n int, args ...string) (time.Duration, error) {
	var all []time.Duration
	for range n {
		took, _, err := timed(b.command(args...))
		if err != nil {
			return 0, err
		}
		all = append(all, took)
	}
	return median(all), nil
}

// validate measures `faultline validate` of a scenario with one fault.
func (b *benches) validate() ([]row, error) {
	scenario := filepath.Join(b.dir, "one")
	if _, _, err := timed(b.command("new", scenario)); err != nil {
		return nil, err
	}
	if _, _, err := timed(b.command("validate", scenario)); err != nil { // fills the cache
		return nil, err
	}
	took, err := b.repeat(21, "validate", scenario)
	if err != nil {
		return nil, err
	}
	floor, err := b.repeat(21, "version")
	return []row{{"validate, 1 fault, whole process", ms(took), "version: " + ms(floor), "< 50 ms"}}, err
}

const largeExperiments = 10_000

// validateLarge measures a scenario of ten thousand experiments beside HCL's own
// parser on the same text.
func (b *benches) validateLarge() ([]row, error) {
	text := large()
	dir := filepath.Join(b.dir, "large")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "large.hcl"), []byte(text), 0o644); err != nil {
		return nil, err
	}
	var times []time.Duration
	var rss int64
	for range 5 {
		took, r, err := timed(b.command("validate", dir))
		if err != nil {
			return nil, err
		}
		times = append(times, took)
		rss = max(rss, r)
	}
	began := time.Now()
	if _, diags := hclsyntax.ParseConfig([]byte(text), "large.hcl", hcl.InitialPos); diags.HasErrors() {
		return nil, diags
	}
	parser := time.Since(began)
	return []row{
		{fmt.Sprintf("validate, %d experiments", largeExperiments), ms(median(times)), "HCL's parser alone: " + ms(parser), "< 1000 ms"},
		{"  its memory", fmt.Sprintf("%d MB", rss>>20), fmt.Sprintf("the text: %.1f MB", float64(len(text))/(1<<20)), "< 200 MB"},
	}, nil
}

func large() string {
	var s strings.Builder
	s.WriteString(`scenario "large" {}
probe "http" "p" {
  url  = "http://127.0.0.1:1/"
  rate = 100
}
steady_state "s" {
  objective "o" {
    probe  = probe.http.p
    good   = sample.ok
    target = 0.9
  }
}
target "process" "t" {
  match { pid_file = "/run/t.pid" }
}
`)
	for i := range largeExperiments {
		fmt.Fprintf(&s, `experiment "e%d" {
  hypothesis   = "nothing happens, number %d"
  steady_state = [steady_state.s]
  fault "process_pause" "f" {
    target   = target.process.t
    duration = "10s"
  }
}
`, i, i)
	}
	return s.String()
}
