package hold

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestAskAndGive(t *testing.T) {
	run := t.TempDir()
	if open, err := Open(run); err != nil || len(open) != 0 {
		t.Fatalf("a run that has asked nothing has %v, %v", open, err)
	}
	if err := Give(run, 1, Answer{Answer: "continue"}); err == nil {
		t.Error("what nobody asked was answered")
	}
	for n, text := range []string{"Ready?", "Has the traffic moved?"} {
		if err := Ask(run, Question{Number: n + 1, Experiment: "kong", Prompt: "p", Text: text, Default: "stop"}); err != nil {
			t.Fatal(err)
		}
	}
	if open, err := Open(run); err != nil || len(open) != 2 || open[1].Text != "Has the traffic moved?" {
		t.Fatalf("open %v, %v", open, err)
	}
	got := make(chan Answer, 1)
	go func() {
		a, err := Wait(t.Context(), run, 2)
		if err != nil {
			t.Error(err)
		}
		got <- a
	}()
	if err := Give(run, 2, Answer{Answer: "continue", By: "ada", At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if a := <-got; a.Answer != "continue" || a.By != "ada" {
		t.Errorf("answer %+v", a)
	}
	if err := Give(run, 2, Answer{Answer: "stop", By: "bob"}); !errors.Is(err, ErrAnswered) {
		t.Errorf("a second answer: %v", err)
	}
	if open, _ := Open(run); len(open) != 1 || open[0].Number != 1 {
		t.Errorf("open %v, want the first", open)
	}
	// Who gives up waiting closes the question, whether or not there was an answer.
	for _, n := range []int{1, 2} {
		if err := Close(run, n, Answer{By: "timeout"}); err != nil {
			t.Error(err)
		}
	}
	if open, _ := Open(run); len(open) != 0 {
		t.Errorf("open %v, want none", open)
	}
}

func TestWaitEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Wait(ctx, t.TempDir(), 1); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
