package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/engine/note"
)

// notePatience is how long a run may take to put a note on record.
const notePatience = 5 * time.Second

func newNote(g *global) *cobra.Command {
	var f noteFlags
	c := &cobra.Command{
		Use:   "note TEXT...",
		Short: "Put a note into the record of a run that is on",
		Long: `note puts what you see into the record of a run that goes on, with its time: the
report and the post-mortem draft have it on their time lines. From any terminal; on the
run's own, press n.`,
		Args: arguments(1, 1<<10),
		RunE: func(c *cobra.Command, args []string) error {
			return g.tell(c, &f, judge.MarkNote, strings.Join(args, " "))
		},
	}
	f.add(c)
	return c
}

func newMark(g *global) *cobra.Command {
	var f noteFlags
	c := &cobra.Command{
		Use:   "mark {detected|mitigated} [TEXT...]",
		Short: "Say that the trouble was detected, or mitigated, in a run that is on",
		Long: `mark says when people noticed that something is wrong (detected: an alert came, a
customer called), and when users were no longer hurt (mitigated), so that the report has
the time to detect and the time to mitigate. The first mark of a kind in an experiment
counts. From any terminal; on the run's own, press d or m.`,
		Args:      arguments(1, 1<<10),
		ValidArgs: []string{judge.MarkDetected, judge.MarkMitigated},
		RunE: func(c *cobra.Command, args []string) error {
			what := args[0]
			if what != judge.MarkDetected && what != judge.MarkMitigated {
				return fmt.Errorf("%q is no mark: use detected or mitigated, or `faultline note`", what)
			}
			return g.tell(c, &f, what, strings.Join(args[1:], " "))
		},
	}
	f.add(c)
	return c
}

type noteFlags struct{ run, by string }

func (f *noteFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.run, "run", "", "the run that is meant, where more than one is on")
	c.Flags().StringVar(&f.by, "by", "", "who says so: a person or, better, a role such as on-call (default: your user name)")
}

// tell hands something to a run that is on, and waits until it is on record.
func (g *global) tell(c *cobra.Command, f *noteFlags, what, text string) error {
	store, err := journal.OpenRead(g.state())
	if err != nil {
		return err
	}
	live, err := liveRuns(store)
	if err != nil {
		return err
	}
	id, err := theRun(live, f.run)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Context(), notePatience)
	defer cancel()
	n := note.Note{What: what, Text: text, By: cmp.Or(f.by, who()), At: time.Now().UTC()}
	err = note.Leave(ctx, store.RunDir(id), n)
	if errors.Is(err, note.ErrNotTaken) {
		return fmt.Errorf("run %s has not taken it within %s: it is ending, or stands still", id, notePatience)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(c.OutOrStdout(), "On record in %s: %s\n", id, noteText(n))
	return nil
}

// theRun is the run that is meant.
func theRun(live []string, wanted string) (string, error) {
	switch {
	case wanted != "":
		for _, id := range live {
			if id == wanted {
				return id, nil
			}
		}
		return "", fmt.Errorf("run %s is not on", wanted)
	case len(live) == 0:
		return "", errors.New("no run is on")
	case len(live) > 1:
		return "", fmt.Errorf("%d runs are on; say which is meant with -run: %s", len(live), strings.Join(live, ", "))
	}
	return live[0], nil
}

func noteText(n note.Note) string {
	text := n.What
	if n.Text != "" {
		text += ": " + n.Text
	}
	return text + " (" + n.By + ")"
}

// hear is a run's Notes: it listens to whoever runs `faultline note` and `faultline mark`.
func hear(dir string) func(context.Context, func(journal.Mark) bool) {
	return func(ctx context.Context, take func(journal.Mark) bool) {
		note.Watch(ctx, dir, func(n note.Note) bool {
			return take(journal.Mark{What: n.What, Text: n.Text, By: n.By})
		})
	}
}
