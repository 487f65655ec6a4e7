package selftest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Story is what happens in a case besides the accident.
type Story string

const (
	// AllRecover: the plugin by itself, the guardian and several `faultline recover`
	// want to put the same fault back.
	AllRecover Story = "all-recover"
	// SecondRun: another run on the same target begins beside the first.
	SecondRun Story = "second-run"
	// Replaced: the target ends under its fault, and somebody starts another in its
	// place.
	Replaced Story = "replaced"
	// Supervised: a supervisor starts the target again before anybody puts it back.
	Supervised Story = "supervised"
	// TwoFaults: two faults are on one target when the accident happens.
	TwoFaults Story = "two-faults"
)

// stories are the cases that people ask about first. An injection that acts after its
// revert needs a Docker engine that is late: the docker plugin's tests have one, and
// the simulation. An engine that sleeps past its lease and wakes is among the accidents.
var stories = []Case{
	// Its plugin puts back within milliseconds: somebody must have looked at the target before.
	{Story: AllRecover, Fault: "process_pause", Who: Engine, How: Killed, Event: FaultObserved, Delay: longestDelay},
	{Story: SecondRun, Fault: "process_pause", Event: FaultObserved},
	{Story: Replaced, Fault: "process_pause", Event: FaultObserved},
	{Story: Supervised, Fault: "process_kill", Event: FaultActive},
	{Story: TwoFaults, Fault: "docker_pause", Who: Engine | Plugin, How: Killed, Event: BeforeRevert},
}

func (s Story) String() string {
	switch s {
	case AllRecover:
		return "recover, three times"
	case SecondRun:
		return "another run on the target"
	case Replaced:
		return "another target in its place"
	case Supervised:
		return "a supervisor starts it"
	case TwoFaults:
		return "two faults on the target"
	}
	return ""
}

// tell makes the case's story happen.
func (a *attempt) tell(ctx context.Context) error {
	switch a.c.Story {
	case AllRecover:
		return a.recoverThrice(ctx)
	case SecondRun:
		return a.runBeside(ctx)
	case Replaced, Supervised:
		s, ok := a.target.(*sleeper)
		if !ok {
			return fmt.Errorf("%s is for processes", a.c.Name)
		}
		if err := s.remove(ctx); err != nil {
			return err
		}
		err := s.start(ctx)
		a.replaced = time.Now() // until then what was seen of it is our doing
		return err
	}
	return nil
}

// recoverThrice does so at once; whichever comes late finds nothing to do, or that
// somebody is at it.
func (a *attempt) recoverThrice(ctx context.Context) error {
	var group sync.WaitGroup
	var mu sync.Mutex
	for i := range 3 {
		group.Go(func() {
			code, err := a.faultline(ctx, fmt.Sprintf("recover-%d.log", i), "recover")
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				a.wrong("%v", err)
			} else if code != 0 {
				a.wrong("recover beside others ended with %d", code)
			}
		})
	}
	group.Wait()
	return context.Cause(ctx)
}

// runBeside makes another run, which has to leave the target to the first.
func (a *attempt) runBeside(ctx context.Context) error {
	code, err := a.faultline(ctx, "second.log", a.runArgs()...)
	if err != nil {
		return err
	}
	switch {
	case time.Since(a.dead) > a.facts.duration:
		return fmt.Errorf("the second run took longer than the first one's fault: %w", errNoEvent)
	case !slices.Contains([]int{exitUsage, exitErrored, exitRefused}, code):
		a.wrong("a second run on the same target ended with %d", code) // planned or injected in vain, or refused
	}
	return nil
}
