package main

import (
	"context"
	"time"

	"github.com/faultline-go/faultline/engine/halt"
	"github.com/faultline-go/faultline/engine/live"
	"github.com/faultline-go/faultline/engine/note"
	"github.com/faultline-go/faultline/engine/plan"
)

// startView shows a run on standard output: as a picture on a terminal, with keys where
// there is a keyboard, too.
func (g *global) startView(p *plan.Plan, id, dir string, a *asker) *live.View {
	o := live.Options{
		Plan: p, Out: g.process.stdout, Color: g.color(), Env: g.process.environ(),
		Terminal: g.process.stdoutTTY && g.process.getenv("TERM") != "dumb",
	}
	if o.Terminal && g.process.stdinTTY {
		o.In, a.keys = g.process.stdin, true
		o.Keys = live.Keys{
			Interrupt: g.process.interrupt,
			Halt: func() error {
				_, err := halt.Put(g.state(), "the h key of run "+id, who())
				return err
			},
			Tell: func(what, text string) error {
				ctx, cancel := context.WithTimeout(context.Background(), notePatience)
				defer cancel()
				return note.Leave(ctx, dir, note.Note{What: what, Text: text, By: who(), At: time.Now().UTC()})
			},
			Answer: a.typed,
		}
	}
	a.view = live.Start(o)
	a.view.Say("Run %s, seed %d, about %s", id, p.Seed, p.Longest.Round(time.Second))
	return a.view
}
