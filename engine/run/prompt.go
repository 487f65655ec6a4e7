package run

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/scenario"
)

// Question is what a hold point asks.
type Question struct {
	Experiment string
	Prompt     string
	Text       string
	Default    string // continue or stop
}

// Answer is what was said at a hold point.
type Answer struct {
	Answer string // continue or stop
	By     string // a person, or what answers in place of one
}

// ask holds the time line at a prompt. Faults that are in stay in meanwhile, for their
// duration at most: nobody has to answer for anything to be put back.
func (r *run) ask(x *experiment, s *step) {
	q := Question{Experiment: x.plan.Spec.Name, Prompt: s.plan.Name, Text: s.plan.Prompt.Question, Default: s.plan.Prompt.Default}
	r.record(&journal.PromptAsked{Experiment: q.Experiment, Prompt: q.Prompt, Question: q.Text, Default: q.Default, Timeout: s.plan.Timeout})
	s.asked = time.Now()
	if r.Ask == nil {
		r.answered(x, s, Answer{q.Default, "nobody is asked"}, nil)
		return
	}
	var ctx context.Context
	if s.plan.Timeout > 0 {
		ctx, s.hush = context.WithTimeout(x.calls, s.plan.Timeout)
	} else {
		ctx, s.hush = context.WithCancel(x.calls)
	}
	r.start(func() {
		a, err := r.Ask(ctx, q)
		r.send(func() { r.answered(x, s, a, err) })
	})
}

// hushed takes a question back: the time line does not go on in any case.
func (r *run) hushed(x *experiment, s *step) {
	r.answered(x, s, Answer{By: "the time line stopped"}, nil)
}

func (r *run) answered(x *experiment, s *step, a Answer, err error) {
	if s.state == done {
		return // it was taken back meanwhile
	}
	if s.hush != nil {
		s.hush()
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		a = Answer{s.plan.Prompt.Default, "nobody answered in time"}
	case err != nil && r.stopping(x) == "":
		x.fails("prompt %s: %v", s.plan.Name, err)
		a.By = "it could not be asked"
	}
	r.record(&journal.PromptAnswered{Experiment: x.plan.Spec.Name, Prompt: s.plan.Name, Answer: a.Answer, By: a.By, Took: time.Since(s.asked)})
	s.state, s.ended = done, time.Now()
	if a.Answer == scenario.Stop {
		r.abort(&stop{cause: "operator", reason: fmt.Sprintf("prompt %s was answered with stop: %s", s.plan.Name, a.By)})
	}
}
