package recover

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
)

// guard runs a guardian whose engine has just gone.
func (s *scene) guard() (Result, bool) {
	s.t.Helper()
	engine, end := io.Pipe()
	end.Close()
	s.by = "guardian"
	r, acted, err := Guard(s.t.Context(), engine, s.options(), s.run)
	if err != nil {
		s.t.Fatal(err)
	}
	return r, acted
}

func TestGuardRecovers(t *testing.T) {
	p := newStreet("a")
	s := newScene(t, map[string]*street{"lamp": p}, intent("f1", "a"), &journal.FaultActive{ID: "f1"})
	r, acted := s.guard()
	if got := outcomes(r); !acted || got != "f1/a reverted by guardian" || p.off["a"] {
		t.Errorf("acted %t: %s", acted, got)
	}
	if end := s.end(); end.By != "guardian" {
		t.Errorf("ended %+v", end)
	}
}

// A run that has its end is left alone at once, also while the engine still has it.
func TestGuardLeavesWhatHasEnded(t *testing.T) {
	for name, end := range map[string]*journal.RunEnded{
		"clean":        {By: "engine", Verdict: "held"},
		"with residue": {By: "engine", Verdict: "residue", ExitCode: 5, Residue: 1},
	} {
		for _, held := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { // only waiting takes time
					p := newStreet("a")
					s := newScene(t, map[string]*street{"lamp": p}, intent("f1", "a"), end)
					if held {
						w, err := s.store.TakeOver(s.run)
						if err != nil {
							t.Fatal(err)
						}
						defer w.Close()
					}
					before, began := len(s.events()), time.Now()
					if r, acted := s.guard(); acted || len(r.Faults) > 0 {
						t.Errorf("it acts: %+v", r)
					}
					if waited := time.Since(began); waited > 0 {
						t.Errorf("it waited %s to see that there is nothing to do", waited)
					}
					if len(s.events()) != before || p.started > 0 {
						t.Error("it has touched the run")
					}
				})
			})
		}
	}
}

// The engine closes the guardian's pipe, and only then comes to the run's end.
func TestGuardWaitsForAnEngineThatEnds(t *testing.T) {
	synctest.Test(t, guardWaitsForAnEngineThatEnds)
}

func guardWaitsForAnEngineThatEnds(t *testing.T) {
	p := newStreet("a")
	s := newScene(t, map[string]*street{"lamp": p}, intent("f1", "a"))
	w, err := s.store.TakeOver(s.run)
	if err != nil {
		t.Fatal(err)
	}
	written := make(chan error, 1)
	time.AfterFunc(pluginsFirst+50*time.Millisecond, func() {
		_, err := w.Append(&journal.RunEnded{By: "engine", Verdict: "held"})
		written <- errors.Join(err, w.Close())
	})
	if r, acted := s.guard(); acted {
		t.Errorf("it acts: %+v", r)
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	if end := s.end(); end.By != "engine" || p.started > 0 {
		t.Errorf("the run ended %+v, %d plugins were started", end, p.started)
	}
}

// Between the look at a run and its lock it may come to its end.
func TestTakeOverOfWhatHasJustEnded(t *testing.T) {
	p := newStreet("a")
	s := newScene(t, map[string]*street{"lamp": p}, intent("f1", "a"), &journal.RunEnded{By: "engine", Verdict: "held"})
	before := len(s.events())
	if _, err := takeOver(t.Context(), s.options(), s.run, endedClean); !errors.Is(err, errOver) {
		t.Errorf("got %v", err)
	}
	if len(s.events()) != before || p.started > 0 {
		t.Error("a run that was over was recovered")
	}
}
