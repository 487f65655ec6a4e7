package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/faultline-go/faultline/engine/hold"
	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/scenario"
)

// waiting is a hold point of a run that goes on.
type waiting struct {
	Run string `json:"run"`
	hold.Question

	dir string
}

func newAnswer(g *global) *cobra.Command {
	var prompt, format string
	c := &cobra.Command{
		Use:   "answer [continue|stop]",
		Short: "Answer a run that waits at a hold point, or list those that do",
		Long: `answer lets a run go on that waits at a prompt, or stops it; from any terminal, and
for runs without one that were started with -wait-for-answers. Without an answer it
lists what is asked. Where more than one prompt waits, -prompt says which is meant.`,
		Args:      arguments(0, 1),
		ValidArgs: []string{scenario.Continue, scenario.Stop},
		RunE: func(c *cobra.Command, args []string) error {
			if err := formats(format, "text", "json"); err != nil {
				return err
			}
			store, err := journal.Open(g.state())
			if err != nil {
				return err
			}
			all, err := waitingPrompts(store, prompt)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return listWaiting(c, all, format)
			}
			answer := meant(args[0])
			if answer == "" {
				return fmt.Errorf("%q is no answer: use continue or stop", args[0])
			}
			switch {
			case len(all) == 0 && prompt != "":
				return fmt.Errorf("no run waits at a prompt %q", prompt)
			case len(all) == 0:
				return errors.New("no run waits for an answer")
			case len(all) > 1:
				return fmt.Errorf("%d prompts wait; say which is meant with -prompt: %s", len(all), namesOf(all))
			}
			w := all[0]
			if err := hold.Give(w.dir, w.Number, hold.Answer{Answer: answer, By: who(), At: time.Now().UTC()}); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "Answered %s: %s\n", question(w.Question), answer)
			return nil
		},
	}
	c.Flags().StringVar(&prompt, "prompt", "", "name of the prompt that is meant")
	c.Flags().StringVar(&format, "format", "text", "text or json")
	return c
}

// waitingPrompts lists the prompts of living runs that wait, or those of a name.
func waitingPrompts(store *journal.Store, name string) ([]waiting, error) {
	runs, err := liveRuns(store)
	if err != nil {
		return nil, err
	}
	all := []waiting{}
	for _, r := range runs {
		open, err := hold.Open(store.RunDir(r))
		if err != nil {
			return nil, err
		}
		for _, q := range open {
			if name == "" || q.Prompt == name {
				all = append(all, waiting{r, q, store.RunDir(r)})
			}
		}
	}
	return all, nil
}

func listWaiting(c *cobra.Command, all []waiting, format string) error {
	if format == "json" {
		return writeJSON(c, all)
	}
	if len(all) == 0 {
		fmt.Fprintln(c.OutOrStdout(), "No run waits for an answer.")
	}
	for _, w := range all {
		fmt.Fprintf(c.OutOrStdout(), "%s\n  %s\n  waits since %s; the default is %s\n", w.Run, question(w.Question), w.At.Local().Format(time.TimeOnly), w.Default)
	}
	return nil
}

func namesOf(all []waiting) string {
	var names []string
	for _, w := range all {
		names = append(names, w.Prompt)
	}
	return strings.Join(names, ", ")
}
