package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/faultline-go/faultline/engine/judge"
)

const holdingDay = `
scenario "hold" { seed = 7 }
probe "dummy_health" "things" {
  file = "health"
  rate = 2
}
steady_state "fine" {
  objective "good" {
    probe       = probe.dummy_health.things
    good        = sample.ok
    target      = 0.5
    min_samples = 1
  }
}
target "dummy_file" "things" {
  match { dir = "things" }
}
experiment "mark" {
  steady_state = [steady_state.fine]
  baseline     = "2600ms"
  observe      = "2600ms"
  fault "dummy_mark" "one" {
    target     = target.dummy_file.things
    duration   = "5m"
    ends_after = [prompt.first, prompt.second]
  }
  prompt "first" { question = "Is it marked?" }
  prompt "second" {
    question = "Was that enough?"
    after    = [prompt.first]
    start    = "3s"
  }
}
`

// A prompt is answered on the terminal of the run, by continue or stop and nothing else,
// or elsewhere, whoever is first.
func TestTerminalAnswersPrompts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		second func(t *testing.T, x *terminal, work string)
		want   int
		says   string
	}{
		{"continue", func(_ *testing.T, x *terminal, _ string) { x.send("Continue\n") }, judge.ExitHeld, "prompt second: continue ("},
		{"stop", func(_ *testing.T, x *terminal, _ string) { x.send("stop\n") }, judge.ExitAborted, "prompt second: stop ("},
		{"elsewhere", func(t *testing.T, _ *terminal, work string) {
			if out, err := faultlineIn(t, work, "answer", "continue", "-prompt", "second").CombinedOutput(); err != nil {
				t.Errorf("answer: %v: %s", err, out)
			}
		}, judge.ExitHeld, "prompt second: continue ("},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			work := workFolder(t)
			if err := os.WriteFile(filepath.Join(work, "hold.hcl"), []byte(holdingDay), 0o600); err != nil {
				t.Fatal(err)
			}
			x := onTerminal(t, faultlineIn(t, work, "run", "hold.hcl"))
			x.expect(`Only "yes"`)
			x.send("yes\n")
			x.expect("prompt first: Is it marked?")
			x.expect(`Type "continue" or "stop"`)
			x.send("perhaps\n")
			if !eventually(func() bool { return strings.Count(x.text(), `Type "continue" or "stop"`) == 2 }) {
				t.Errorf("after a line that is no answer it was not asked again:\n%s", x.text())
			}
			x.send("continue\n")
			x.expect("prompt second: Was that enough?")
			c.second(t, x, work)
			if got := x.end(); got != c.want {
				t.Errorf("the code is %d, want %d:\n%s", got, c.want, x.text())
			}
			if !strings.Contains(x.text(), c.says) {
				t.Errorf("it does not say %q:\n%s", c.says, x.text())
			}
			for _, thing := range []string{"apple", "pear", "plum"} {
				if exists(filepath.Join(work, "things", thing+".marked")) {
					t.Errorf("%s is still marked", thing)
				}
			}
		})
	}
}
