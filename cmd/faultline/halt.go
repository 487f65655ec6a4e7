package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/user"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/faultline-go/faultline/engine/halt"
	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/engine/recover"
)

// haltPatience is how long halt waits for the runs to have put everything back.
const haltPatience = 5 * time.Minute

func newHalt(g *global) *cobra.Command {
	var reason string
	var release, drill bool
	c := &cobra.Command{
		Use:   "halt",
		Short: "Stop every run at once, and let none begin until released",
		Long: `halt stops every run of the state folder, from any terminal: their faults are put
back, and no new run begins until ` + "`faultline halt -release`" + `. Whoever meets the halt is told
the -reason; in a hurry leave it out, and give it with a second halt. It waits until everything
is put back, and says how long that took. Runs that died before and were not recovered it
names, and ends with code 5: what they broke may still be broken. With -drill it does the
same and releases the halt again: practise it while it does not matter.`,
		Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			if release && drill {
				return errors.New("-release and -drill exclude each other")
			}
			if release { // whoever meets a halt is told that this ends it, and need not say why
				return g.release(c, cmp.Or(reason, "no reason was given"))
			}
			if drill {
				reason = cmp.Or(reason, "drill")
			}
			return g.halt(c, reason, drill)
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why; on record for everybody who meets the halt")
	c.Flags().BoolVar(&release, "release", false, "let runs begin again")
	c.Flags().BoolVar(&drill, "drill", false, "measure the time from halt to verified clean, and release again")
	return c
}

func (g *global) release(c *cobra.Command, reason string) error {
	err := halt.Release(g.state(), reason, who())
	if errors.Is(err, halt.ErrNone) {
		fmt.Fprintln(c.OutOrStdout(), "No halt is in force.")
		return nil
	}
	if err == nil {
		fmt.Fprintln(c.OutOrStdout(), "Released: runs may begin again.")
	}
	return err
}

func (g *global) halt(c *cobra.Command, reason string, drill bool) error {
	store, err := journal.Open(g.state())
	if err != nil {
		return err
	}
	if drill {
		if h, err := halt.Get(g.state()); err == nil {
			return fmt.Errorf("a halt is in force already (%s): nothing to practise", h.Reason)
		}
	}
	live, err := liveRuns(store)
	if err != nil {
		return err
	}
	began := time.Now()
	h, err := halt.Put(g.state(), reason, who())
	if err != nil {
		return err
	}
	if drill {
		defer func() {
			if err := halt.Release(g.state(), "end of the drill", who()); err != nil {
				fmt.Fprintln(g.process.stderr, "Warning: "+err.Error()+"; release it with `faultline halt -release`")
			}
		}()
	}
	// Only now, for it may wait: whoever has died is told from whoever lives.
	dead, _, err := recover.Pending(c.Context(), store)
	if err != nil {
		return err
	}
	dead = slices.DeleteFunc(dead, func(r journal.RunInfo) bool { return slices.Contains(live, r.ID) })
	fmt.Fprintf(c.OutOrStdout(), "Halted: %s (by %s, %s). %d runs are live.\n", h.Reason, h.By, h.At.Local().Format(time.DateTime), len(live))
	if h.Unexplained {
		fmt.Fprintln(c.OutOrStdout(), "Tell those who meet it why: `faultline halt -reason TEXT`.")
	}
	dirty := false
	for _, id := range live {
		info, err := waitEnded(c.Context(), store, id)
		if err != nil {
			return err
		}
		state := "clean"
		if !info.Finished || info.Residue > 0 {
			state = "NOT clean: put it right with `faultline recover " + id + "`"
			dirty = true
		}
		fmt.Fprintf(c.OutOrStdout(), "%s: %s after %.2f s\n", id, state, time.Since(began).Seconds())
	}
	for _, r := range dead {
		state := "died before, and may have left something broken"
		if r.Finished {
			state = "left something broken before"
		}
		fmt.Fprintf(c.OutOrStdout(), "%s: %s: put it right with `faultline recover %[1]s`\n", r.ID, state)
		dirty = true
	}
	if drill && !dirty {
		if err := halt.Drilled(g.state(), who(), time.Since(began), len(live)); err != nil {
			fmt.Fprintln(g.process.stderr, "Warning: "+err.Error())
		}
	}
	if drill && len(live) == 0 {
		fmt.Fprintln(c.OutOrStdout(), "There was nothing to stop: start a run, then drill.")
	}
	if dirty {
		return exit(judge.ExitResidue)
	}
	return nil
}

func liveRuns(store *journal.Store) ([]string, error) {
	runs, err := store.Runs()
	if err != nil {
		return nil, err
	}
	var live []string
	for _, r := range runs {
		if r.Live {
			live = append(live, r.ID)
		}
	}
	return live, nil
}

// waitEnded waits until nobody holds a run.
func waitEnded(ctx context.Context, store *journal.Store, id string) (journal.RunInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, haltPatience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		info, err := store.Run(id)
		if err != nil || !info.Live {
			return info, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return info, fmt.Errorf("run %s has not ended within %s: `faultline history` shows it", id, haltPatience)
		}
	}
}

func who() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "unknown"
}
