package selftest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/engine/recover"
	"github.com/faultline-go/faultline/sdk/arbiter"
	"github.com/faultline-go/faultline/sdk/schema"
)

// aftermath waits until everything has come to rest, and looks what is left.
func (a *attempt) aftermath(ctx context.Context) error {
	if a.c.How == Stopped && a.c.Who&Engine != 0 {
		if err := a.resume(ctx); err != nil {
			return err
		}
	}
	left, err := a.quiet(ctx)
	if err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return err
	}
	for _, p := range left {
		a.wrong("%s (process %d, state %c) still runs", p.name(), p.pid, p.state)
	}
	if a.c.nobodyLeft() && holdsItself(a.facts.hold) {
		a.awaitClean(ctx, a.dead.Add(a.leaseTime()+Slack))
	}
	clean := a.watch.look(ctx)
	_, seen := a.watch.now()
	finished := a.finished()
	switch {
	case a.c.nobodyLeft() && !holdsItself(a.facts.hold):
	default:
		a.r.Broken, _ = a.watch.brokenAfter(a.counted())
		if !clean {
			a.r.Leak = "everything that should put it back has ended, and " + seen
		}
	}
	if a.c.Who&Engine != 0 && a.c.How == Killed && a.c.Who&Guardian == 0 && !finished {
		a.wrong("the guardian did not bring the run to its end")
	}
	if err := a.recover(ctx, clean && finished); err != nil {
		return err
	}
	if a.c.calm() && a.endedEarly(ctx) {
		return fmt.Errorf("%w: the run did not come to its fault, see its log", errNoEvent)
	}
	if err := a.checkTarget(); err != nil {
		return err
	}
	events := a.checkJournal()
	a.r.By = a.whoReverted(events)
	a.checkTimes()
	if a.c.engineLives() && len(left) == 0 {
		a.checkExit(events)
	}
	if code, err := a.faultline(ctx, "report.log", "report"); err != nil {
		a.wrong("%v", err)
	} else if code != 0 {
		a.wrong("faultline report ended with %d", code)
	}
	return context.Cause(ctx)
}

// endedEarly says whether an undisturbed run came to no verdict, and to no fault: a
// machine with much to do misses samples of the baseline.
func (a *attempt) endedEarly(ctx context.Context) bool {
	select {
	case <-a.engine.over:
		return a.engine.code == judge.ExitInconclusive && len(a.watch.broken()) == 0
	case <-ctx.Done():
		return false
	}
}

// counted is from when on the target has to become clean.
func (a *attempt) counted() time.Time {
	if a.c.asleep() {
		return a.resumed
	}
	return a.dead
}

func (a *attempt) wrong(format string, args ...any) {
	a.r.Wrong = append(a.r.Wrong, fmt.Sprintf(format, args...))
}

// holdsItself says whether a fault ends by itself when every process of faultline is
// dead.
func holdsItself(hold string) bool {
	return hold == string(schema.HoldKernel) || hold == string(schema.HoldTarget)
}

func (a *attempt) awaitClean(ctx context.Context, until time.Time) {
	for !a.watch.look(ctx) && time.Now().Before(until) && ctx.Err() == nil {
		pause(ctx, a.target.every())
	}
}

// finished says whether the journal has its end.
func (a *attempt) finished() bool {
	log, err := journal.ReadAll(a.runDir)
	if err != nil || len(log.Events) == 0 {
		return false
	}
	_, ok := log.Events[len(log.Events)-1].Data.(*journal.RunEnded)
	return ok
}

// recover runs `faultline recover`, which must find nothing to do after a run that
// came to its end, and must put right what is left of any other.
func (a *attempt) recover(ctx context.Context, nothing bool) error {
	began := time.Now()
	code, err := a.faultline(ctx, "recover.log", "recover")
	if err != nil {
		a.wrong("%v", err)
	} else if code != 0 {
		a.wrong("faultline recover ended with %d", code)
	}
	a.watch.look(ctx)
	if !nothing {
		a.r.AfterRecover, _ = a.watch.brokenAfter(began)
	}
	return context.Cause(ctx)
}

// checkTarget holds what was seen of the target all the time against what must be. With
// errNoEvent it says that nobody came to look in time.
func (a *attempt) checkTarget() error {
	clean, seen := a.watch.now()
	broken := a.watch.broken()
	switch {
	case !clean:
		a.r.Leak = "not even `faultline recover` puts it back: " + seen
	case len(broken) > 1 && !broken[len(broken)-1].from.Before(a.replaced):
		a.r.Leak = fmt.Sprintf("it was broken %d times: again after it had been put back", len(broken))
	case len(broken) == 0 && (a.c.calm() || a.c.Story != "" || a.c.Event == BeforeRevert):
		if gap := a.watch.blind(); gap > a.facts.duration/2 {
			return fmt.Errorf("%w its fault could be seen: nobody looked at the target for %s", errNoEvent, gap.Round(time.Millisecond))
		}
		a.wrong("the target was never seen to be broken: nothing was tested")
	}
	return nil
}

// checkJournal reads the whole journal, which must be sound and have an end to every
// fault.
func (a *attempt) checkJournal() []journal.Event {
	log, err := journal.ReadAll(a.runDir)
	if err != nil {
		a.wrong("%v", err)
		return nil
	}
	if log.Torn != nil {
		a.wrong("%v", log.Torn)
	}
	for _, f := range recover.Open(log.Events) {
		a.wrong("the journal has no good end of fault %s", f.Intent.Fault)
	}
	switch end := log.Events[len(log.Events)-1].Data.(type) {
	case *journal.RunEnded:
		if end.Residue > 0 {
			a.wrong("the run ended with residue")
		}
	default:
		a.wrong("the journal has no end, its last event is %s", end.EventType())
	}
	return log.Events
}

// whoReverted reads who put back from the outcomes on record, or from the journal
// where there are none.
func (a *attempt) whoReverted(events []journal.Event) []string {
	var out []string
	add := func(by string) {
		if by != "" && !slices.Contains(out, by) {
			out = append(out, by)
		}
	}
	for _, e := range events {
		f, ok := e.Data.(*journal.FaultReverted)
		if !ok {
			continue
		}
		o, err := arbiter.Dir(a.runDir).Outcome(f.ID)
		if err != nil {
			a.wrong("%v", err)
			continue
		}
		for _, t := range o.Targets {
			add(t.By)
		}
		if len(o.Targets) == 0 {
			for _, t := range f.Targets {
				add(t.By)
			}
		}
	}
	return out
}

// checkTimes compares how long it took with what is promised.
func (a *attempt) checkTimes() {
	_, since := a.watch.brokenAfter(a.counted())
	planned := a.facts.duration
	switch at, ok := a.c.promise(a.leaseTime()); {
	case a.c.Who == Nobody:
		if b := a.watch.broken(); len(b) > 0 {
			a.r.Broken = b[0].to.Sub(b[0].from)
		}
	case a.c.nobodyLeft() && holdsItself(a.facts.hold):
		planned = a.leaseTime()
		a.r.Promised = &planned
	case a.c.nobodyLeft():
		a.r.Late = a.r.AfterRecover > Slack
		return
	case ok && (a.resumed.IsZero() || !since.After(a.resumed)):
		a.r.Promised, planned = &at, at
	}
	a.r.Late = a.r.Broken > planned+Slack
}

// The exit codes of `faultline run` that matter here.
const (
	exitHeld    = 0
	exitUsage   = 2
	exitResidue = 5
	exitErrored = 6
	exitRefused = 7
)

// checkExit looks at how an engine ended that was not killed.
func (a *attempt) checkExit(events []journal.Event) {
	select {
	case <-a.engine.over:
	case <-time.After(Slack):
		a.wrong("the engine has not ended")
		return
	}
	code := a.engine.code
	inForce := a.c.Event == FaultActive || a.c.Event == FaultObserved
	lost := a.c.Who&Engine != 0 && a.c.How == Stopped && slices.Contains(a.r.By, "plugin")
	switch {
	case code < 0 || slices.Contains([]int{exitUsage, exitResidue, exitRefused}, code):
		a.wrong("the run ended with %d", code)
	case (lost || a.c.Who&Plugin != 0 && inForce) && code != exitErrored:
		a.wrong("the run ended with %d, as if nothing had happened; it should be errored (%d)", code, exitErrored)
	case a.c.Who&(Engine|Plugin) == 0 && code == exitErrored:
		a.wrong("the run errored, though nobody disturbed its engine and plugin")
	case a.c.calm() && a.own == nil && code != exitHeld && !onlyMissing(events):
		a.wrong("an undisturbed run ended with %d", code)
	}
}

// onlyMissing says whether a run that came to its end has all it needs for held but
// samples: nothing that was measured was bad. A busy machine measures late, and what is
// put back does not depend on it.
func onlyMissing(events []journal.Event) bool {
	result, err := judge.FoldEvents(events)
	if err != nil || len(result.Experiments) == 0 || len(result.Residue) > 0 {
		return false
	}
	missing := 0
	for _, x := range result.Experiments {
		if x.Ending != journal.Completed {
			return false
		}
		for _, o := range x.Objectives {
			if o.Bad > 0 {
				return false
			}
			missing += o.Missing
		}
	}
	return missing > 0
}
