package run_test

import (
	"context"
	"testing"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/sdk/wire"
)

// TestSilentPlugin stops a plugin as SIGSTOP does, from the middle of a fault on: it is
// killed, and one that is started anew puts back long before a call to the silent one
// would have run out of time.
func TestSilentPlugin(t *testing.T) {
	p := planOf(experiment("x", off("a", 0, 20*time.Second, "a")), experiment("y"))
	play(t, p, func(d *day) {
		d.world.after(5*time.Second, func() {
			d.process.hangs() // and never goes on
			d.process.mu.Lock()
			defer d.process.mu.Unlock()
			d.process.silent = true
		})
	}, func(t *testing.T, d *day) {
		if d.result.Verdict != judge.Errored {
			t.Errorf("the verdict is %s, want %s", d.result.Verdict, judge.Errored)
		}
		if off := d.off(); len(off) > 0 {
			t.Errorf("off are %v", off)
		}
		if !d.process.dead() {
			t.Error("the silent plugin still lives")
		}
		var aborted time.Time
		for _, e := range d.world.diary.all() {
			switch x := e.Data.(type) {
			case *journal.Aborted:
				aborted = e.Time
			case *journal.FaultReverted:
				for _, o := range x.Targets {
					if o.By != "engine" || o.Residue {
						t.Errorf("%s was put back by %s: %+v", o.ID, o.By, o)
					}
				}
				if late := e.Time.Sub(aborted); late > 3*time.Second {
					t.Errorf("reverted %s after the leases were lost", late)
				}
			}
		}
	})
}

// TestSuspendedInRevert suspends the engine between its decision to revert and the
// call: when it goes on, the plugin has put back by itself, and the run says so.
func TestSuspendedInRevert(t *testing.T) {
	p := planOf(experiment("x", off("a", 0, 3*time.Second, "a")), experiment("y"))
	play(t, p, func(d *day) {
		d.keepsOutcomes()
		suspended := false
		d.process.beforeRevert = func() {
			if !suspended {
				suspended = true
				goOn := d.process.hangs() // nothing renews
				_ = pass(context.Background(), lease+time.Second)
				goOn()
			}
		}
	}, func(t *testing.T, d *day) {
		if d.result.Verdict != judge.Errored {
			t.Errorf("the verdict is %s, want %s", d.result.Verdict, judge.Errored)
		}
		if off := d.off(); len(off) > 0 {
			t.Errorf("off are %v", off)
		}
	})
}

// canceled is a plugin whose injections end as calls over a closed connection do.
type canceled struct{ *process }

func (c canceled) Inject(context.Context, wire.Inject) ([]wire.Injected, error) {
	return nil, context.Canceled
}

// TestDebuggedPluginWithoutAnswer: a plugin in a debugger may take its time, but when a call
// to it has ended without its time being over, its fault is put back as soon as any other's.
func TestDebuggedPluginWithoutAnswer(t *testing.T) {
	play(t, planOf(experiment("x", off("a", 0, 5*time.Second, "a"))), func(d *day) {
		d.options.Debugged = map[string]bool{"lamp": true}
		d.options.Plugins["lamp"] = canceled{d.process}
	}, func(t *testing.T, d *day) {
		if d.result.Verdict != judge.Errored {
			t.Errorf("the verdict is %s, want %s", d.result.Verdict, judge.Errored)
		}
		if took := time.Since(d.world.start); took > 10*time.Minute {
			t.Errorf("the run took %s", took)
		}
	})
}
