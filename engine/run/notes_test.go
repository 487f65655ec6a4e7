package run_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/run"
)

func TestNotes(t *testing.T) {
	var take func(journal.Mark) bool
	var early, late bool
	p := planOf(experiment("x", off("a", 0, 4*time.Second, "a")))
	play(t, p, func(d *day) {
		d.options.Notes = func(ctx context.Context, f func(journal.Mark) bool) {
			take = f
			if pass(ctx, 12*time.Second) != nil {
				return
			}
			early = f(journal.Mark{What: "note", Text: "the pager is quiet", By: "ada"})
			<-ctx.Done()
			late = f(journal.Mark{What: "note", Text: "too late", By: "ada"})
		}
	}, func(t *testing.T, d *day) {
		if !early || late || take == nil {
			t.Errorf("taken while the run went on: %t, after its end: %t", early, late)
		}
		if m := d.result.Marks; len(m) != 1 || m[0].Text != "the pager is quiet" || m[0].By != "ada" {
			t.Errorf("marks %+v", m)
		}
	})
}

// A note that could not be written is not said to be on record.
func TestNotesOfAJournalThatFails(t *testing.T) {
	var taken bool
	p := planOf(experiment("x", off("a", 0, 4*time.Second, "a")))
	play(t, p, func(d *day) {
		d.diary.onAppend = func(data journal.Data) error {
			if _, ok := data.(*journal.Mark); ok {
				return errors.New("the disk is full")
			}
			return nil
		}
		d.options.Notes = func(ctx context.Context, f func(journal.Mark) bool) {
			if pass(ctx, 12*time.Second) == nil {
				taken = f(journal.Mark{What: "note", By: "ada"})
			}
		}
	}, func(t *testing.T, d *day) {
		if taken {
			t.Error("it was said to be on record")
		}
	})
}

// What a screen shows of guards and leases comes with the samples and the renewals.
func TestProgressOfGuardsAndLeases(t *testing.T) {
	var worst time.Duration
	var failing bool
	renewed := map[string]int{}
	p := guarded(planOf(experiment("x", off("a", 0, 8*time.Second, "a"))), 0, 20*time.Second, 30*time.Second)
	play(t, p, func(d *day) {
		d.options.Progress = func(p run.Progress) {
			for _, g := range p.Guards {
				worst, failing = max(worst, g.Bad), failing || g.Failing
				if g.Guard != "dark" || g.LastData.IsZero() {
					t.Errorf("guard %+v", g)
				}
			}
		}
		d.options.Renewed = func(plugin string, from time.Time) { renewed[plugin]++ }
	}, func(t *testing.T, d *day) {
		if !failing || worst < 5*time.Second || worst > 9*time.Second {
			t.Errorf("the guard was seen to fail: %t, for at most %s", failing, worst)
		}
		if renewed["lamp"] == 0 {
			t.Error("no renewal was told")
		}
	})
}
