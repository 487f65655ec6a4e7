package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/faultline-go/faultline/engine/hold"
	"github.com/faultline-go/faultline/engine/live"
	"github.com/faultline-go/faultline/engine/run"
	"github.com/faultline-go/faultline/engine/scenario"
)

// asker puts the prompts of a run to the terminal that it runs on, and to whoever runs
// `faultline answer`. The first answer counts.
type asker struct {
	g     *global
	view  *live.View
	keys  bool   // the view has the keyboard, and hands over what is typed
	dir   string // of the run
	auto  string // why the default is taken and nobody asked; empty: somebody is
	start sync.Once
	lines chan string // typed at the terminal

	mu     sync.Mutex
	number int
}

func (g *global) newAsker(f *runFlags, dir string) *asker {
	a := &asker{g: g, dir: dir, lines: make(chan string)}
	switch {
	case f.waitForAnswers:
	case f.autoApprove:
		a.auto = "default, by -auto-approve"
	case !g.onTerminal():
		a.auto = "default, without a terminal"
	}
	return a
}

// onTerminal says whether somebody can be asked here.
func (g *global) onTerminal() bool { return g.process.stdinTTY && g.process.stdoutTTY }

// ask is a run's Ask.
func (a *asker) ask(ctx context.Context, q run.Question) (run.Answer, error) {
	if a.auto != "" {
		return run.Answer{Answer: q.Default, By: a.auto}, nil
	}
	a.mu.Lock()
	a.number++
	n := a.number
	a.mu.Unlock()
	err := hold.Ask(a.dir, hold.Question{Number: n, Experiment: q.Experiment, Prompt: q.Prompt, Text: q.Text, Default: q.Default, At: time.Now().UTC()})
	if err != nil {
		return run.Answer{}, err
	}
	asked, stop := context.WithCancel(ctx)
	defer stop()
	elsewhere := make(chan hold.Answer, 1)
	go func() {
		if x, err := hold.Wait(asked, a.dir, n); err == nil {
			elsewhere <- x
		}
	}()
	if a.g.onTerminal() {
		if !a.keys {
			a.start.Do(func() { go a.listen() })
		}
		a.hint()
	}
	for {
		select {
		case x := <-elsewhere:
			return run.Answer{Answer: x.Answer, By: x.By}, nil
		case line := <-a.lines:
			answer := run.Answer{Answer: meant(line), By: who()}
			if answer.Answer == "" {
				a.hint()
				continue
			}
			err := hold.Give(a.dir, n, hold.Answer{Answer: answer.Answer, By: answer.By, At: time.Now().UTC()})
			if errors.Is(err, hold.ErrAnswered) {
				continue // somebody else was quicker: elsewhere has it
			}
			return answer, err
		case <-ctx.Done():
			// Nobody shall think that an answer still counts.
			return run.Answer{}, errors.Join(ctx.Err(), hold.Close(a.dir, n, hold.Answer{By: "nobody", At: time.Now().UTC()}))
		}
	}
}

// listen reads lines as long as the process lives; those that nobody waits for are lost,
// so that what was typed before a question is no answer to it.
func (a *asker) listen() {
	in := bufio.NewReader(a.g.process.stdin)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return // the terminal is gone; `faultline answer` still works
		}
		a.typed(line)
	}
}

// typed hands over what was typed to whoever waits for it.
func (a *asker) typed(line string) {
	select {
	case a.lines <- line:
	case <-time.After(time.Second):
	}
}

func (a *asker) hint() {
	a.view.Say("  Type \"continue\" or \"stop\" and Enter, or run `faultline answer` elsewhere.")
}

// meant is the answer that a line is; empty when it is none.
func meant(line string) string {
	switch strings.ToLower(strings.TrimSpace(line)) {
	case scenario.Continue, "c", "yes", "y":
		return scenario.Continue
	case scenario.Stop, "s", "no", "n":
		return scenario.Stop
	}
	return ""
}

// question says a hold point in one line.
func question(q hold.Question) string {
	return fmt.Sprintf("experiment %s, prompt %s: %s", q.Experiment, q.Prompt, q.Text)
}
